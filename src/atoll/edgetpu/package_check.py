"""What must hold of a compiled part before the driver may see it.

The driver (libedgetpu, runtime 14) verifies that a package is a FlatBuffer, and little more: it was
seen to run files with a wrong caching token, input size or transfer size, and to end its process
over a wrong output size or layer name. Each rule here is a small function over a part: it returns
None where it holds, and otherwise what was received; its docstring is what the user reads then.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from atoll.edgetpu import package_hints
from atoll.edgetpu.chip import BEAGLE
from atoll.edgetpu.package_layout import largest_byte, slices_fit
from atoll.edgetpu.package_part import (
    ELEMENT_BYTES,
    ROW,
    WORD,
    Part,
    determined,
    layer_bytes,
    once_bytes,
)
from atoll.edgetpu.package_tables import DataType, Direction, ExecutableType, OutputLayer, Transfer
from atoll.errors import ModelError
from atoll.tflite.types import BY_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from atoll.edgetpu.package import Package
    from atoll.edgetpu.package_tables import Layer
    from atoll.tflite.graph import Tensor

# The tensors that the driver takes a layer's elements for (custom_op.cc, ValidateDataType).
_TENSOR_TYPES = {
    DataType.FIXED_POINT8: "UINT8",
    DataType.FIXED_POINT16: "INT16",
    DataType.SIGNED_FIXED_POINT32: "INT32",
    DataType.HALF: "FLOAT16",
    DataType.SINGLE: "FLOAT32",
    DataType.SIGNED_FIXED_POINT8: "INT8",
    DataType.SIGNED_FIXED_POINT16: "INT16",
}
# Outputs of one pixel that the driver turns into uint8 itself (the same, ReFormatOutputs).
_TURNED_INTO_UINT8 = (DataType.FIXED_POINT16, DataType.SINGLE)
# What an operator's own state is called among the outputs that it is sent back in.
_STATE_SUFFIX = "_variable_output"


def check_package(
    package: Package,
    inputs: Sequence[Tensor],
    outputs: Sequence[Tensor],
    source: object = "compiled model",
    *,
    usb: bool = True,
) -> None:
    """Refuses a compiled part that the driver would crash over, or run wrongly.

    Args:
        package: What the operator carries.
        inputs: The tensors that it reads, in its order.
        outputs: The tensors that it writes, in its order.
        source: What to call it in a message.
        usb: Whether it is to run on a USB stick; some parts run on PCI Express alone.

    Raises:
        ModelError: A rule does not hold.
    """
    part = Part(package, inputs, outputs)
    for rule in RULES:
        received = rule(part)
        if received is not None:
            raise ModelError(
                source,
                f"the compiled part is damaged: {_sentence(rule)}",
                received=received,
                fix="Get the file again, or compile the model again",
            )
    if usb:
        _check_determined(part, source)


def sent_back(package: Package) -> int:
    """The bytes that the chip sends back in one call: outputs with their padding, and scratch."""
    main = Part(package, (), ()).main
    hints = main.dma_hints.hints if main is not None and main.dma_hints is not None else ()
    return sum(
        hint.what.size_in_bytes
        for hint in hints
        if isinstance(hint.what, Transfer) and hint.direction == Direction.OUTFEED
    )


def _for_one_chip(part: Part) -> str | None:
    """It must be made for one chip."""
    table = part.package.table
    if table.virtual_chip_id == -1 or table.multi_chip_package:
        return f"a package for {len(table.multi_chip_package) or 'several'} chips"
    return None


def _known_executables(part: Part) -> str | None:
    """It must hold one program, or one to run and one that loads the parameters."""
    types = [each.type for each in part.package.executables]
    allowed: tuple[set[ExecutableType], ...] = (
        {ExecutableType.EXECUTION_ONLY, ExecutableType.PARAMETER_CACHING},
        {*ExecutableType},
    )
    alone = [ExecutableType.STAND_ALONE], [ExecutableType.EXECUTION_ONLY]
    if types in alone or (len(set(types)) == len(types) and set(types) in allowed):
        return None
    return ", ".join(each.name for each in types) or "none"


def _known_chip(part: Part) -> str | None:
    """Its programs must be for the Edge TPU."""
    others = {each.chip for each in part.package.executables} - {BEAGLE.name}
    return f"the chip {min(others)!r}" if others else None


def _one_at_a_time(part: Part) -> str | None:
    """Its programs must take one input at a time."""
    sizes = {each.batch_size for each in part.package.executables} - {1}
    return f"a batch of {min(sizes)}" if sizes else None


def _one_token(part: Part) -> str | None:
    """Its programs must share one token, by which the chip knows its parameters."""
    tokens = {each.parameter_caching_token for each in part.package.executables}
    return " and ".join(f"{token:016x}" for token in sorted(tokens)) if len(tokens) > 1 else None


def _inputs_fit(part: Part) -> str | None:
    """Its input layers must be the operator's inputs, in order."""
    layers = part.main.input_layers if part.main else ()
    if len(layers) != len(part.inputs):
        return f"{len(layers)} layers for {len(part.inputs)} tensors"
    for layer, tensor in zip(layers, part.inputs, strict=True):
        fault = _layer_fault(layer, tensor, part.inputs)
        padding = layer.size_bytes - once_bytes(layer)
        if fault is None and (layer.size_bytes % WORD or not 0 <= padding < ROW):
            fault = f"{layer.size_bytes} bytes for {once_bytes(layer)}"
        if fault is not None:
            return f"{fault} at {layer.name!r}"
    return None


def _outputs_fit(part: Part) -> str | None:
    """Its output layers must be the operator's outputs, in order."""
    layers = part.main.output_layers if part.main else ()
    states = {f"{tensor.name}{_STATE_SUFFIX}" for tensor in part.inputs}
    # What is left of an operator's state is sent back too, behind the outputs.
    while len(layers) > len(part.outputs) and layers[-1].name in states:
        layers = layers[:-1]
    if len(layers) != len(part.outputs):
        return f"{len(layers)} layers for {len(part.outputs)} tensors"
    for layer, tensor in zip(layers, part.outputs, strict=True):
        fault = _layer_fault(layer, tensor, part.outputs)
        if fault is not None:
            return f"{fault} at {layer.name!r}"
    return None


def _outputs_have_room(part: Part) -> str | None:
    """Every element of an output must lie within what the chip sends for it."""
    for layer in part.main.output_layers if part.main else ():
        if layer.size_bytes % WORD or layer.size_bytes < once_bytes(layer):
            return f"{layer.size_bytes} bytes for {once_bytes(layer)} at {layer.name!r}"
        if not isinstance(layer.kind, OutputLayer):
            return f"no output at {layer.name!r}"
        element = ELEMENT_BYTES[layer.data_type]
        if layer.kind.shape_info is not None and layer.execution_count_per_inference == 1:
            # Then the driver goes by the slices, and not by the layout (layer_information.cc).
            if not slices_fit(layer, layer.kind.shape_info, element):
                return f"slices that do not fit its shape at {layer.name!r}"
            continue
        largest = largest_byte(layer, layer.kind.layout, element)
        if largest is None:
            return f"a layout that does not fit its shape at {layer.name!r}"
        if largest >= layer.size_bytes:
            return f"byte {largest} of {layer.size_bytes} at {layer.name!r}"
    return None


def _names_differ(part: Part) -> str | None:
    """Its inputs must have names of their own, and so must its outputs."""
    # A tensor may have no name; a layer that has lost its name crashes the driver.
    nameless = any(not tensor.name for tensor in (*part.inputs, *part.outputs))
    for layers in (part.main.input_layers, part.main.output_layers) if part.main else ():
        names = Counter(each.name for each in layers)
        for name, count in names.items():
            if count > 1 or not (name or nameless):
                return repr(name)
    return None


RULES: tuple[Callable[[Part], str | None], ...] = (
    _for_one_chip,
    _known_executables,
    _known_chip,
    _one_at_a_time,
    _one_token,
    _inputs_fit,
    _outputs_fit,
    _names_differ,
    _outputs_have_room,
    package_hints.hints_are_there,
    package_hints.hints_name_layers,
    package_hints.hints_go_their_way,
    package_hints.hints_cover,
    package_hints.fields_name_layers,
)


def _sentence(rule: Callable[[Part], str | None]) -> str:
    """A rule's docstring as a clause."""
    words = (rule.__doc__ or "").strip().rstrip(".")
    return words[:1].lower() + words[1:]


def _check_determined(part: Part, source: object) -> None:
    if all(determined(each) for each in part.package.executables):
        return
    raise ModelError(
        source,
        "a USB stick runs only programs whose transfers are all known beforehand",
        received="a program that asks for some of them as it runs, as those of an LSTM do",
        fix="Use an Edge TPU on PCI Express, or run the model that it was compiled from",
    )


def _layer_fault(layer: Layer, tensor: Tensor, all_tensors: Iterable[Tensor]) -> str | None:
    """What speaks against a layer being a tensor."""
    kinds = [_TENSOR_TYPES.get(layer.data_type)]
    if layer.y_dim == layer.x_dim == 1 and layer.data_type in _TURNED_INTO_UINT8:
        kinds.append("UINT8")
    if tensor.type not in kinds:
        return f"{layer.data_type.name} for {tensor.type}"
    stored = BY_NAME[tensor.type].storage_bytes(tensor.shape) or 0
    if kinds[0] != tensor.type:
        stored *= ELEMENT_BYTES[layer.data_type]
    if layer_bytes(layer) != stored:
        return f"{layer_bytes(layer)} bytes for {list(tensor.shape)} of {tensor.type}"
    # The driver goes by the order. A tensor may have been renamed since; but not exchanged.
    if layer.name != tensor.name and layer.name in {each.name for each in all_tensors}:
        return f"the place of {tensor.name!r}"
    return None
