"""Why Google's compiler may refuse a whole file, with no word on any operator.

It says one line and writes nothing. What is here was seen in published logs of compiler 16; each
kind carries one of them. The simulator takes such files all the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from atoll.edgetpu.chip import BEAGLE
from atoll.edgetpu.shapes import activation_bytes
from atoll.edgetpu.sources import Source, inferred, log, measured
from atoll.edgetpu.versions import newest_version

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from atoll.edgetpu.verdict import Verdict
    from atoll.tflite.graph import Operator, Subgraph


@dataclass(frozen=True)
class Kind:
    """One way in which the compiler refuses a file.

    Attributes:
        words: What it prints, as far as it is the same for every file.
        reason: What is behind it.
        fix: What helps.
        source: Where it was seen.
        certain: Whether it refuses every such file; otherwise some of them.
    """

    words: str
    reason: str
    fix: str
    source: Source
    certain: bool = True


@dataclass(frozen=True)
class Refusal:
    """Something in a model that the compiler refuses it for.

    Attributes:
        kind: What kind of refusal.
        index: The operator's place in the main subgraph.
        received: What was found there.
    """

    kind: Kind
    index: int
    received: str


NEW_VERSION = Kind(
    words="Didn't find op for builtin opcode",
    reason="The operator, or its version, is newer than the TensorFlow in Google's compiler.",
    fix="Run: atoll legalize, which brings versions down where the meaning is the same",
    source=log("google-coral/edgetpu#631"),
)
CUSTOM_OP = Kind(
    words="Encountered unresolved custom op",
    reason="Google's compiler runs the model once, and has no such custom operator.",
    fix="Cut the model before it, and run it behind the model",
    source=log("'Encountered unresolved custom op: Atan', compiler 16, a public project's notes"),
)
COMPUTED_SIZE = Kind(
    words="Attempting to use a delegate that only supports static-sized tensors with a graph that "
    "has dynamic-sized tensors",
    reason="Every size must be known before the model runs.",
    fix="Run: atoll legalize, which fixes the batch to 1; other sizes must be fixed before",
    source=inferred("tensorflow/tensorflow 2.6, lite/core/subgraph.cc, whose sentence it is"),
)
LONG_PADDING = Kind(
    words="Model failed in Tflite interpreter",
    reason="It reads 64-bit paddings as 32-bit ones, and pads another dimension.",
    fix="Run: atoll legalize",
    source=log("compiler 16: jiaheguo521/int8-pruning-pipeline, litert_stage0.json"),
)
LARGE_ACTIVATIONS = Kind(
    words="Compilation failed due to large activation tensors in model.",
    reason="An operator that is not computed piece by piece holds more than the chip's 8 MiB at "
    "once. Why others are refused is unknown: YOLOv5s compiles at 384 and 512 pixels and not at "
    "352 and 480.",
    fix="Use a smaller input, or let the compiler leave the end out: atoll compile -d",
    source=inferred(
        "google-coral/edgetpu#651 and #653: EfficientDet-Lite3, whose scores take 4.2 MiB before "
        "and after their logistic, compiles only without its last operators; #512: YOLOv5s"
    ),
    certain=False,
)
KINDS = (NEW_VERSION, CUSTOM_OP, COMPUTED_SIZE, LONG_PADDING, LARGE_ACTIVATIONS)
"""Every kind that is looked for."""

# Custom operators that published models were compiled with.
CUSTOM_OPS = {
    "TFLite_Detection_PostProcess": log("google-coral/edgetpu#515"),
    "PosenetDecoderOp": measured(
        "posenet_mobilenet_v1_075_353_481_16_quant_decoder_edgetpu.tflite"
    ),
    "edgetpu-custom-op": measured("every compiled file"),
}

# These go over an image piece by piece, so that the whole need not be there at once; a RESHAPE
# moves nothing.
_PIECEWISE = (
    "AVERAGE_POOL_2D",
    "CONV_2D",
    "DEPTHWISE_CONV_2D",
    "MAX_POOL_2D",
    "PAD",
    "QUANTIZE",
    "RESHAPE",
    "TRANSPOSE_CONV",
)
# Where an operator's output shape comes from, by input.
_SIZE_INPUTS = {
    "FILL": 0,
    "PAD": 1,
    "PADV2": 1,
    "RESHAPE": 1,
    "RESIZE_BILINEAR": 1,
    "RESIZE_NEAREST_NEIGHBOR": 1,
    "TILE": 1,
}


def refusals(graph: Subgraph, verdicts: Sequence[Verdict]) -> list[Refusal]:
    """What Google's compiler would refuse a model for, without a word on its operators.

    Args:
        graph: The main subgraph.
        verdicts: What `partition` says of it.

    Returns:
        What was found, in the graph's order; none for a model that it compiles, as far as known.
    """
    return [
        Refusal(kind, index, received)
        for index, (op, verdict) in enumerate(zip(graph.operators, verdicts, strict=True))
        for kind, received in _found(graph, op, verdict)
    ]


def _found(graph: Subgraph, op: Operator, verdict: Verdict) -> Iterator[tuple[Kind, str]]:
    newest = newest_version(op.type)
    if newest is None or op.version > newest:
        yield NEW_VERSION, f"{op.type} version {op.version}"
    if op.type == "CUSTOM" and op.custom_name not in CUSTOM_OPS:
        yield CUSTOM_OP, op.custom_name or "a custom operator without a name"
    size = _SIZE_INPUTS.get(op.type, len(op.inputs))
    if size < len(op.inputs) and op.inputs[size] >= 0:
        tensor = graph.tensors[op.inputs[size]]
        if not tensor.is_constant:
            yield COMPUTED_SIZE, f"{op.type} of a computed size"
        if op.type in ("PAD", "PADV2") and tensor.type == "INT64":
            yield LONG_PADDING, f"{op.type} with INT64 paddings"
    if verdict.target == "tpu" and op.type not in _PIECEWISE:
        held = activation_bytes(graph, op)
        if held > BEAGLE.parameter_memory:
            yield LARGE_ACTIVATIONS, f"{op.type} with {held / 2**20:.1f} MiB"
