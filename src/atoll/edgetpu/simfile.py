"""A compiled model for the simulator: the mapped part in one custom operator, the rest around it.

The operator's payload is the mapped part itself, as a whole TFLite file. So whoever can run TFLite
can simulate, and nobody can take the file for one that real silicon runs.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from atoll.edgetpu.partition import Place, partition, place
from atoll.edgetpu.rules import NEWEST_RUNTIME
from atoll.errors import CompilerError
from atoll.tflite.edit import compact, with_main
from atoll.tflite.graph import Model, Operator, Subgraph
from atoll.tflite.writer import write_model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from atoll.edgetpu.verdict import Verdict

SIM_OP = "atoll-sim-op"
EDGETPU_OP = "edgetpu-custom-op"


def to_sim(model: Model, verdicts: Sequence[Verdict]) -> Model:
    """Puts the mapped operators of a model into one custom operator.

    Args:
        model: The model; it stays as it is.
        verdicts: What `partition` says of its main subgraph.

    Returns:
        The compiled model; the model itself where nothing is mapped.

    Raises:
        CompilerError: The mapped operators cannot run as one, for one needs what a CPU operator
            computes from another.
    """
    graph = model.main
    on_tpu = [verdict.target == "tpu" for verdict in verdicts]
    places = place(graph, on_tpu)
    for verdict, here in zip(verdicts, places, strict=True):
        if verdict.target == "tpu" and here != Place.TPU:
            raise CompilerError(
                verdict.name,
                "mapped operators must not need what a CPU operator computes from mapped ones",
                received=verdict.type,
                fix="Leave it on the CPU",
            )
    if not any(on_tpu):
        return model

    def placed(here: Place) -> list[Operator]:
        return [op for op, where in zip(graph.operators, places, strict=True) if where == here]

    mapped = placed(Place.TPU)
    inputs, outputs = _boundary(model, mapped)
    custom = Operator(
        type="CUSTOM",
        inputs=inputs,
        outputs=outputs,
        custom_name=SIM_OP,
        custom_options=_payload(model, mapped, inputs, outputs),
    )
    operators = [*placed(Place.HEAD), custom, *placed(Place.TAIL)]
    return with_main(model, replace(graph, operators=operators))


def compile_for_sim(model: Model, *, min_runtime: int = NEWEST_RUNTIME) -> Model:
    """Compiles a model for the simulator, in memory.

    Args:
        model: A model that is not compiled; it stays as it is.
        min_runtime: The oldest runtime version that must run the model, 10 to 14.

    Returns:
        The compiled model; the model itself where nothing is mapped.

    Raises:
        UsageError: There is no such runtime version.
    """
    return to_sim(model, partition(model.main, min_runtime=min_runtime))


def _boundary(model: Model, mapped: list[Operator]) -> tuple[list[int], list[int]]:
    """The tensors that cross into and out of the mapped part, in the order of their operators."""
    graph = model.main
    made = {t: None for op in mapped for t in op.outputs}
    taken = {t: None for op in mapped for t in graph.activations(op)}
    inside = {id(op) for op in mapped}
    wanted = set(graph.outputs)
    wanted |= {t for op in graph.operators if id(op) not in inside for t in op.inputs}
    for signature in model.signatures:
        if signature.subgraphIndex == 0:
            wanted |= {entry.tensorIndex for entry in signature.outputs or ()}
    # An operator's own state stays where the operator is.
    inputs = [t for t in taken if t not in made and not graph.tensors[t].is_variable]
    return inputs, [t for t in made if t in wanted]


def _payload(model: Model, mapped: list[Operator], inputs: list[int], outputs: list[int]) -> bytes:
    graph = model.main
    part = Subgraph("main", graph.tensors, mapped, inputs, outputs)
    return write_model(Model([compact(part)[0]], description="The part that the Edge TPU runs."))
