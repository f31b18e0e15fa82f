"""The table of operators that the Edge TPU takes, and what each must fulfil."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from atoll.edgetpu import constraints as must
from atoll.edgetpu.verdict import (
    LIMITATION,
    UNSUPPORTED,
    UNSUPPORTED_RANK,
    UNSUPPORTED_TYPE,
)

if TYPE_CHECKING:
    from atoll.edgetpu.constraints import Constraint
    from atoll.tflite.graph import Operator, Subgraph

OLDEST_RUNTIME, NEWEST_RUNTIME = 10, 14

# Where a row comes from.
VENDOR = "vendor's table of supported operations"
VENDOR_2019 = "vendor's table of 2019; the one of 2021 does not contradict it"
RECALLED = "vendor's table of 2021, not seen again"


@dataclass(frozen=True)
class Rule:
    """One row: an operator, for a range of runtimes.

    Attributes:
        op: TFLite's name.
        since: The oldest runtime version that runs it.
        constraints: What must hold beside `GENERAL`.
        source: Where the row comes from.
        until: The newest runtime version that the row is for.
    """

    op: str
    since: int
    constraints: tuple[Constraint, ...] = ()
    source: str = VENDOR
    until: int = NEWEST_RUNTIME


@dataclass(frozen=True)
class Breach:
    """Why an operator is not supported: the first thing that does not hold."""

    status: str
    reason: str
    fix: str = ""


# Google's compiler looks at the types first: DEQUANTIZE and the SSD post-processing, which it
# knows nothing of, are reported for their types.
TYPES: tuple[Constraint, ...] = (must.eight_bit, must.constant_types)
GENERAL: tuple[Constraint, ...] = (
    must.complete,
    must.constant_parameters,
    must.static_sizes,
    must.three_dimensions,
)

_OLD = "a published file for runtime 12 has it; the vendor's table says 13 or 14"

RULES = (
    Rule("ADD", 10),
    Rule("AVERAGE_POOL_2D", 10, (must.no_activation,)),
    Rule("CONCATENATION", 10, (must.no_activation, must.only_zero_padding)),
    Rule("CONV_2D", 10, (must.same_dilation,)),
    Rule("DEPTHWISE_CONV_2D", 10, (must.no_dilation,), until=11),
    Rule("DEPTHWISE_CONV_2D", 12, (must.same_dilation,), _OLD),
    Rule("EXPAND_DIMS", 13),
    Rule("FULLY_CONNECTED", 10, (must.default_weights_format, must.one_dimensional_output)),
    Rule("L2_NORMALIZATION", 10),
    Rule("LOGISTIC", 10),
    Rule("MAXIMUM", 10),
    Rule("MAX_POOL_2D", 10, (must.no_activation,)),
    Rule("MEAN", 10, (must.not_over_batch, must.only_over_space), VENDOR_2019, until=12),
    Rule("MEAN", 13, (must.not_over_batch, must.whole_fours_of_channels)),
    Rule("MINIMUM", 10),
    Rule("MUL", 10),
    Rule("PACK", 13, (must.not_over_batch,)),
    Rule("PAD", 10, (must.not_over_batch, must.only_over_space), VENDOR_2019, until=12),
    Rule("PAD", 13, (must.not_over_batch,)),
    Rule("PRELU", 13, (must.one_alpha_a_channel,)),
    Rule("QUANTIZE", 12, (), _OLD),
    Rule("REDUCE_MAX", 14, (must.not_over_batch,)),
    Rule("REDUCE_MIN", 14, (must.not_over_batch,)),
    Rule("RELU", 10),
    Rule("RELU6", 10),
    Rule("RELU_N1_TO_1", 10),
    Rule("RESHAPE", 10),
    Rule("RESIZE_BILINEAR", 10, (must.small_enlargement, must.small_resized)),
    Rule("RESIZE_NEAREST_NEIGHBOR", 10, (must.small_resized,)),
    Rule("RSQRT", 14, (), RECALLED),
    Rule("SLICE", 10, (), VENDOR_2019),
    Rule("SOFTMAX", 10, (must.softmax_size,), VENDOR_2019),
    Rule("SPACE_TO_DEPTH", 10, (), VENDOR_2019),
    Rule("SPLIT", 10, (must.not_over_batch,), VENDOR_2019),
    Rule("SQUARED_DIFFERENCE", 14, (), RECALLED),
    Rule("SQUEEZE", 10, (must.leading_ones,), VENDOR_2019, until=12),
    Rule("SQUEEZE", 13, (), RECALLED),
    Rule("STRIDED_SLICE", 10, (must.no_stride, must.no_masked_axes), VENDOR_2019),
    Rule("SUB", 10, (), VENDOR_2019),
    Rule("SUM", 13, (must.not_over_batch,), RECALLED),
    Rule("TANH", 10, (), VENDOR_2019),
    Rule("TRANSPOSE", 14, (), RECALLED),
    Rule("TRANSPOSE_CONV", 13, (), RECALLED),
    Rule("UNIDIRECTIONAL_SEQUENCE_LSTM", 12, (), _OLD),
)

# What Google's compiler calls a breach; all others are "some unspecified limitation".
_STATUS: dict[Constraint, str] = {
    must.eight_bit: UNSUPPORTED_TYPE,
    must.constant_types: UNSUPPORTED_TYPE,
    must.three_dimensions: UNSUPPORTED_RANK,
}

_FIX: dict[Constraint, str] = {
    must.eight_bit: "Quantise the model to full integers: atoll quantize",
    must.static_sizes: "Fix the input's shape before converting",
    must.no_activation: "Use the activation as a layer of its own",
    must.same_dilation: "Use one dilation rate for x and y",
    must.whole_fours_of_channels: "Use a number of channels that is a multiple of 4",
    must.one_alpha_a_channel: "Set shared_axes=[1, 2] in Keras' PReLU",
    must.small_enlargement: "Enlarge in steps of 2",
    must.softmax_size: "Leave the softmax out, and take it on the CPU",
}

# The float side of a model's edge: nothing has to be changed there. Google's compiler calls the
# first "otherwise supported", and the second by its type.
_EDGES = {
    "QUANTIZE": Breach(LIMITATION, "The CPU converts from float."),
    "DEQUANTIZE": Breach(UNSUPPORTED_TYPE, "The CPU converts to float."),
}


def breach(graph: Subgraph, op: Operator, min_runtime: int = NEWEST_RUNTIME) -> Breach | None:
    """The first thing that keeps an operator from being mapped, itself alone considered.

    Args:
        graph: The operator's graph.
        op: The operator.
        min_runtime: The oldest runtime version that must run the model.

    Returns:
        What does not hold; None where the Edge TPU supports it.
    """
    wrong_type = next((test for test in TYPES if not test(graph, op)), None)
    if wrong_type is not None and op.type in _EDGES:
        return _EDGES[op.type]
    rows = [rule for rule in RULES if rule.op == op.type]
    if not rows:
        status = UNSUPPORTED if wrong_type is None else UNSUPPORTED_TYPE
        return Breach(status, f"The Edge TPU has no {op.custom_name or op.type}.")
    if wrong_type is not None:
        return _breach(wrong_type)
    row = next((rule for rule in rows if rule.since <= min_runtime <= rule.until), None)
    if row is None:
        oldest = min(rule.since for rule in rows)
        return Breach(
            UNSUPPORTED,
            f"It needs runtime {oldest}. Received: {min_runtime}.",
            f"Compile for runtime {oldest} or newer",
        )
    failed = next((test for test in (*GENERAL, *row.constraints) if not test(graph, op)), None)
    return None if failed is None else _breach(failed)


def _breach(constraint: Constraint) -> Breach:
    return Breach(
        _STATUS.get(constraint, LIMITATION),
        (constraint.__doc__ or "").strip(),
        _FIX.get(constraint, ""),
    )
