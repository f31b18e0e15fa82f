"""The compiled parts of a model: what the Edge TPU runs of it, each as a model by itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from atoll.edgetpu.package import read_package
from atoll.edgetpu.simfile import EDGETPU_OP
from atoll.errors import ModelError
from atoll.tflite.edit import compact
from atoll.tflite.graph import Model
from atoll.tflite.writer import write_model

if TYPE_CHECKING:
    from atoll.edgetpu.package import Package
    from atoll.tflite.graph import Operator, Subgraph, Tensor


@dataclass(frozen=True)
class CompiledPart:
    """One `edgetpu-custom-op` of a model.

    Attributes:
        index: Its place among the compiled parts of the model, from 0.
        package: What the operator carries, every offset checked.
        inputs: The tensors that it reads, in the operator's order.
        outputs: The tensors that it writes, in the operator's order.
        content: A .tflite file of this operator alone, with the same tensors in the same order.
    """

    index: int
    package: Package
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    content: bytes


def compiled_parts(model: Model, source: object) -> list[CompiledPart]:
    """Reads the compiled parts of a model's main subgraph.

    Args:
        model: A model, compiled or not.
        source: What to call it in a message.

    Returns:
        The parts, in the order in which they run; none of a model that is not compiled.

    Raises:
        ModelError: A part is damaged.
    """
    graph = model.main
    compiled = [op for op in graph.operators if op.custom_name == EDGETPU_OP]
    if any(t < 0 for op in compiled for t in (*op.inputs, *op.outputs)):
        raise ModelError(
            source,
            "the model is damaged: a compiled part must have all of its tensors",
            received="one that is left out",
            fix="Get the file again",
        )
    return [
        CompiledPart(
            index=index,
            package=read_package(op.custom_options, source),
            inputs=tuple(graph.tensors[t] for t in op.inputs),
            outputs=tuple(graph.tensors[t] for t in op.outputs),
            content=_alone(graph, op),
        )
        for index, op in enumerate(compiled)
    ]


def _alone(graph: Subgraph, op: Operator) -> bytes:
    small, _ = compact(
        replace(graph, operators=[op], inputs=list(op.inputs), outputs=list(op.outputs))
    )
    return write_model(Model([small], description="A part that the Edge TPU runs."))
