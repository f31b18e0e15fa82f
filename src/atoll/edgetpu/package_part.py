"""A compiled part as it is checked, and the sizes that its layers must have."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from atoll.edgetpu.package_tables import (
    BaseAddress,
    DataType,
    Executable,
    ExecutableType,
    Layer,
    Transfer,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from atoll.edgetpu.package import Package
    from atoll.tflite.graph import Tensor

# The bytes of a layer's element.
ELEMENT_BYTES = {
    DataType.FIXED_POINT8: 1,
    DataType.FIXED_POINT16: 2,
    DataType.SIGNED_FIXED_POINT32: 4,
    DataType.BFLOAT: 2,
    DataType.HALF: 2,
    DataType.SINGLE: 4,
    DataType.SIGNED_FIXED_POINT8: 1,
    DataType.SIGNED_FIXED_POINT16: 2,
}
# A layer is sent in whole words of this many bytes.
WORD = 8
# A row of the chip's memory: no input was seen with as much padding.
ROW = 64


@dataclass(frozen=True)
class Part:
    """What is checked.

    Attributes:
        package: What the operator carries, every offset in range.
        inputs: The tensors that the operator reads, in its order.
        outputs: The tensors that it writes, in its order.
    """

    package: Package
    inputs: Sequence[Tensor]
    outputs: Sequence[Tensor]

    @property
    def main(self) -> Executable | None:
        """The executable that runs at every call."""
        by_type = {each.type: each for each in self.package.executables}
        if len(by_type) == 1:
            return next(iter(by_type.values()))
        wanted = {2: ExecutableType.EXECUTION_ONLY, 3: ExecutableType.STAND_ALONE}
        return by_type.get(wanted.get(len(by_type), ExecutableType.STAND_ALONE))


def determined(program: Executable) -> bool:
    """Whether all of a program's transfers are known before it runs."""
    return program.dma_hints is not None and program.dma_hints.fully_deterministic


def transfers(program: Executable) -> list[Transfer]:
    """The transfers of data that a program announces, in order."""
    hints = program.dma_hints.hints if program.dma_hints is not None else ()
    return [hint.what for hint in hints if isinstance(hint.what, Transfer)]


def key_of(hint: Transfer) -> tuple[BaseAddress, str]:
    """What a transfer is of, as `sent_sizes` names it.

    There is one buffer of parameters and one of scratch: the driver does not look at their names.
    """
    if hint.meta is None:
        return BaseAddress.SCRATCH, "nothing"
    base = hint.meta.base
    return base, hint.meta.name if base in (BaseAddress.INPUT, BaseAddress.OUTPUT) else ""


def sent_sizes(program: Executable) -> dict[tuple[BaseAddress, str], int]:
    """What may be transferred, and its size in bytes."""
    sizes = {(BaseAddress.INPUT, each.name): _sent_bytes(each) for each in program.input_layers}
    sizes |= {(BaseAddress.OUTPUT, each.name): _sent_bytes(each) for each in program.output_layers}
    sizes[BaseAddress.PARAMETER, ""] = len(program.parameters)
    sizes[BaseAddress.SCRATCH, ""] = max(program.scratch_size_bytes, 0)
    return sizes


def _sent_bytes(layer: Layer) -> int:
    return layer.size_bytes * layer.execution_count_per_inference


def layer_bytes(layer: Layer) -> int:
    """The bytes of a layer's elements, without padding (layer_information.h, ActualSizeBytes)."""
    return once_bytes(layer) * layer.execution_count_per_inference


def once_bytes(layer: Layer) -> int:
    """The same of one of the times that a layer is sent in a call; each has padding of its own."""
    if layer.shape is not None and layer.shape.dimensions:
        elements = math.prod(last - first + 1 for first, last in layer.shape.dimensions)
    else:
        elements = layer.y_dim * layer.x_dim * layer.z_dim
    return elements * ELEMENT_BYTES[layer.data_type]
