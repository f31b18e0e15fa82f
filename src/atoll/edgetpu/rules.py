"""The table of operators that the Edge TPU takes, and what each must fulfil."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from atoll.edgetpu import constraints as must
from atoll.edgetpu.sources import PAGE, PAGE_2019, Source, inferred, log, measured
from atoll.edgetpu.verdict import (
    LIMITATION,
    UNSUPPORTED,
    UNSUPPORTED_RANK,
    UNSUPPORTED_TYPE,
    UNSUPPORTED_VERSION,
)
from atoll.edgetpu.versions import newest_version

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from atoll.edgetpu.constraints import Constraint
    from atoll.tflite.graph import Operator, Subgraph

OLDEST_RUNTIME, NEWEST_RUNTIME = 10, 14

# The first runtime that computes with signed 8-bit tensors: for older ones the compiler calls
# them an unsupported type (google-coral/edgetpu issues 222 and 439).
_SIGNED_SINCE = 12


@dataclass(frozen=True)
class Rule:
    """One row: an operator, for a range of runtimes.

    Attributes:
        op: TFLite's name.
        since: The oldest runtime version that runs it.
        constraints: What must hold beside `GENERAL`.
        sources: Where the row comes from, the surest first.
        until: The newest runtime version that the row is for.
        caveat: What is known to be refused at times, by a rule that nobody has found.
    """

    op: str
    since: int
    constraints: tuple[Constraint, ...] = ()
    sources: tuple[Source, ...] = (PAGE,)
    until: int = NEWEST_RUNTIME
    caveat: str = ""


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

_MOBILENET = measured("mobilenet_v2_1.0_224_quant_edgetpu.tflite")
_MOVENET = measured("movenet_single_pose_lightning_ptq_edgetpu.tflite")
_DEEPLAB = measured("deeplabv3_mnv2_dm05_pascal_quant_edgetpu.tflite")
_POSENET = measured("posenet_mobilenet_v1_075_353_481_16_quant_decoder_edgetpu.tflite")
_LSTM = measured("keras_lstm_mnist_ptq_edgetpu.tflite, for runtime 12")
_DENSE = measured("dense_256_edgetpu.tflite: weights with a scale a channel map too")
_EFFICIENTDET = log("compiler 16, EfficientDet-Lite: efficientdet_coral_v2.log of a tutorial")
_YOLOV5 = log("compiler 16, YOLOv5s: google-coral/edgetpu#512")
_YOLOV9 = log("compiler 16, YOLOv9: dbro/frigate-detector-edgetpu-yolo9, README")

_PIPELINE = "jiaheguo521/int8-pruning-pipeline"

_TRANSPOSE_CAVEAT = (
    "Some are refused, of tensors with at least 115,200 values (google-coral/edgetpu#433 and "
    "#512); others as large map."
)
_RESHAPE_CAVEAT = (
    "The vendor: certain reshapes of large tensors might not be mapped. Seen for merges of y and "
    "x with at least 102,000 values (ultralytics/yolov5#10527); others of 1.7 million map."
)

RULES = (
    Rule("ADD", 10, (), (_MOBILENET, PAGE)),
    Rule("AVERAGE_POOL_2D", 10, (must.no_activation,), (_MOBILENET, PAGE)),
    Rule("CONCATENATION", 10, (must.no_activation, must.only_zero_padding), (_POSENET, PAGE)),
    Rule(
        "CONV_2D",
        10,
        (must.same_dilation, must.one_group),
        (_MOBILENET, log(f"compiler 16, {_PIPELINE}: 65 channels for weights of 64"), PAGE),
    ),
    Rule("DEPTHWISE_CONV_2D", 10, (must.no_dilation,), (PAGE_2019, PAGE), until=11),
    Rule("DEPTHWISE_CONV_2D", 12, (must.same_dilation,), (_DEEPLAB, PAGE)),
    Rule("EXPAND_DIMS", 13),
    Rule(
        "FULLY_CONNECTED",
        10,
        (must.default_weights_format, must.one_dimensional_output),
        (_DENSE, PAGE),
    ),
    Rule("L2_NORMALIZATION", 10),
    Rule("LOGISTIC", 10, (), (_MOVENET, PAGE)),
    Rule("MAXIMUM", 10, (), (_YOLOV9, PAGE)),
    Rule("MAX_POOL_2D", 10, (must.no_activation,), (_EFFICIENTDET, PAGE)),
    Rule("MEAN", 10, (must.not_over_batch, must.only_over_space), (PAGE_2019,), until=12),
    Rule(
        "MEAN",
        13,
        (must.not_over_batch, must.whole_fours_of_channels, must.few_averaged),
        (
            log("compiler 16, google-coral/edgetpu#461: 256 x 128 are refused, 64 x 128 map"),
            PAGE,
        ),
    ),
    Rule("MINIMUM", 10, (), (_YOLOV9, PAGE)),
    Rule("MUL", 10, (), (_MOVENET, PAGE)),
    Rule("PACK", 13, (must.not_over_batch,)),
    Rule("PAD", 10, (must.not_over_batch, must.only_over_space), (PAGE_2019,), until=12),
    Rule("PAD", 13, (must.not_over_batch,), (_POSENET, PAGE)),
    Rule("PRELU", 13, (must.one_alpha_a_channel,)),
    Rule("QUANTIZE", 12, (), (_LSTM, PAGE)),
    Rule("REDUCE_MAX", 14, (must.not_over_batch,)),
    Rule("REDUCE_MIN", 14, (must.not_over_batch,)),
    Rule("RELU", 10),
    Rule("RELU6", 10),
    Rule("RELU_N1_TO_1", 10),
    Rule("RESHAPE", 10, (), (_MOVENET, PAGE), caveat=_RESHAPE_CAVEAT),
    Rule(
        "RESIZE_BILINEAR",
        10,
        (must.small_enlargement, must.small_resized),
        (
            _MOVENET,
            measured(
                "deeplabv3_mnv2_dm05_pascal_quant_edgetpu.tflite: 1 x 1 to 33 x 33 is refused"
            ),
            log("google-coral/edgetpu#31: 512 x 512 x 32 is refused, 128 x 128 x 32 maps"),
            PAGE,
        ),
        caveat="The vendor: depending on the size it might not be mapped, to avoid loss of "
        "precision.",
    ),
    Rule(
        "RESIZE_NEAREST_NEIGHBOR",
        10,
        (must.small_resized,),
        (_EFFICIENTDET, _YOLOV5, log("google-coral/edgetpu#187: large ones are refused"), PAGE),
        caveat="The vendor: depending on the size it might not be mapped, to avoid loss of "
        "precision.",
    ),
    Rule("RSQRT", 14),
    Rule("SLICE", 10, (), (PAGE_2019,)),
    Rule("SOFTMAX", 10, (must.softmax_vector,), (_MOBILENET, PAGE_2019), until=13),
    Rule(
        "SOFTMAX",
        14,
        (must.softmax_size,),
        (
            _YOLOV9,
            inferred("the vendor's 16,000 elements, of a vector: that log has many vectors"),
        ),
        caveat="The vendor's table says one dimension; logs of compiler 16 have more.",
    ),
    Rule("SPACE_TO_DEPTH", 10, (), (PAGE_2019,)),
    Rule(
        "SPLIT",
        10,
        (must.not_over_batch,),
        (measured("split_concat_edgetpu.tflite"), _YOLOV9, PAGE_2019),
    ),
    Rule("SQUARED_DIFFERENCE", 14),
    Rule("SQUEEZE", 10, (must.leading_ones,), (PAGE_2019,), until=12),
    Rule("SQUEEZE", 13),
    Rule("STRIDED_SLICE", 10, (must.no_stride, must.no_masked_axes), (_YOLOV5, _YOLOV9, PAGE_2019)),
    Rule("SUB", 10, (), (_MOVENET, PAGE_2019)),
    Rule("SUM", 13, (must.not_over_batch,)),
    Rule("TANH", 10, (), (PAGE_2019,)),
    Rule("TRANSPOSE", 14, (), (_YOLOV9, PAGE), caveat=_TRANSPOSE_CAVEAT),
    Rule(
        "TRANSPOSE_CONV",
        13,
        (),
        (log("compiler 16 maps three of four: google-coral/edgetpu#686"), PAGE),
        caveat="Some are refused for their size (google-coral/edgetpu#684 and #686).",
    ),
    Rule("UNIDIRECTIONAL_SEQUENCE_LSTM", 12, (), (_LSTM, PAGE)),
)
"""Every operator that there is evidence for."""

_AFTER_MAPPED = "with everything before it mapped"
REFUSED: Mapping[str, Source] = MappingProxyType(
    {
        "ARG_MAX": measured(f"movenet_single_pose_lightning_ptq_edgetpu.tflite, {_AFTER_MAPPED}"),
        "CAST": measured("movenet_single_pose_lightning_ptq_edgetpu.tflite, at its head"),
        "CUSTOM": log("google-coral/edgetpu#515"),
        "DEQUANTIZE": _EFFICIENTDET,
        "FLOOR_MOD": log("google-coral/edgetpu#659"),
        "GATHER": _YOLOV9,
        "GATHER_ND": log(f"compiler 16: {_PIPELINE}, etpu_fixups"),
        "HARD_SWISH": log("google-coral/edgetpu#272"),
        "LEAKY_RELU": log("google-coral/edgetpu#597"),
        "PADV2": log(f"compiler 16: {_PIPELINE}, etpu_fixups"),
    }
)
"""Operators that Google's compiler is known to leave on the CPU."""

# What Google's compiler calls a breach; all others are "some unspecified limitation".
_STATUS: dict[Constraint, str] = {
    must.eight_bit: UNSUPPORTED_TYPE,
    must.constant_types: UNSUPPORTED_TYPE,
    must.unsigned: UNSUPPORTED_TYPE,
    must.three_dimensions: UNSUPPORTED_RANK,
}

LEGALIZE = "Run: atoll legalize"
"""How a fix begins that the legaliser may make."""

QUANTIZE = "Convert it again with full-integer quantisation, activations in 8 bits"
"""What to do about a model that does not compute in 8 bits."""

# By what an operator computes with instead of 8 bits; all else can be quantised.
_FIX_OF_TYPE = {
    "INT32": f"{LEGALIZE}, which computes what follows from sizes alone",
    "INT64": f"{LEGALIZE}, which computes what follows from sizes alone",
    "BOOL": "",
    "STRING": "",
}

_FIX: dict[Constraint, str] = {
    must.constant_parameters: f"{LEGALIZE}, which computes what does not depend on the input",
    must.few_averaged: f"{LEGALIZE}, which averages in steps",
    must.leading_ones: f"{LEGALIZE}, which writes it as RESHAPE",
    must.no_activation: f"{LEGALIZE}, which makes the activation an operator of its own",
    must.no_masked_axes: f"{LEGALIZE}, which writes it without masks",
    must.no_stride: f"{LEGALIZE}, which writes it with other operators where it can",
    must.one_alpha_a_channel: f"{LEGALIZE}, or set shared_axes=[1, 2] in Keras' PReLU",
    must.one_dimensional_output: f"{LEGALIZE}, which writes it as a convolution of 1 x 1",
    must.one_group: f"{LEGALIZE}, which writes one convolution a group",
    must.same_dilation: f"{LEGALIZE}, or use one dilation rate for x and y",
    must.small_enlargement: f"{LEGALIZE}, or enlarge in steps of 2",
    must.small_resized: "Use a smaller input, or fewer channels where it is enlarged",
    must.softmax_size: "Leave the softmax out, and take it on the CPU",
    must.softmax_vector: f"{LEGALIZE}, or compile for runtime 14",
    must.static_sizes: "Fix the input's shape before converting",
    must.three_dimensions: f"{LEGALIZE}, which fixes the batch to 1 and folds dimensions",
    must.unsigned: f"Compile for runtime {_SIGNED_SINCE} or newer",
    must.whole_fours_of_channels: f"{LEGALIZE}, which averages channels by a convolution",
}

_REPLACED = """
    ABS BATCH_MATMUL BATCH_TO_SPACE_ND BROADCAST_TO CEIL COS DEPTH_TO_SPACE DIV ELU EQUAL EXP
    FLOOR FLOOR_DIV FLOOR_MOD GATHER GELU GREATER GREATER_EQUAL HARD_SWISH LEAKY_RELU LESS
    LESS_EQUAL LOG LOGICAL_AND LOGICAL_NOT LOGICAL_OR LOG_SOFTMAX MIRROR_PAD NEG NOT_EQUAL PADV2
    POW RELU_0_TO_1 ROUND SELECT SELECT_V2 SHAPE SIGN SIN SPLIT_V SQRT SQUARE TILE UNPACK
    ZEROS_LIKE
"""
REPLACED = frozenset(_REPLACED.split())
"""Operators of no row that the legaliser can write with those of rows, at times."""

# Google's compiler calls the first "otherwise supported", and the second by its type.
_EDGES = {
    "QUANTIZE": Breach(LIMITATION, "The CPU converts from float."),
    "DEQUANTIZE": Breach(UNSUPPORTED_TYPE, "The CPU converts to float."),
}
# At a model's own edge they can be done without.
_INPUT_FIX = "If the program can give 8 bits: atoll legalize --input-type int8"
_OUTPUT_FIX = "If the program can take 8 bits: atoll legalize --output-type int8"

_ROWS: dict[str, list[Rule]] = {}
for _rule in RULES:
    _ROWS.setdefault(_rule.op, []).append(_rule)


def breach(graph: Subgraph, op: Operator, min_runtime: int = NEWEST_RUNTIME) -> Breach | None:
    """The first thing that keeps an operator from being mapped, itself alone considered.

    Args:
        graph: The operator's graph.
        op: The operator.
        min_runtime: The oldest runtime version that must run the model.

    Returns:
        What does not hold; None where the Edge TPU supports it.
    """
    types = TYPES if min_runtime >= _SIGNED_SINCE else (*TYPES, must.unsigned)
    wrong_type = _first(graph, op, types)
    if wrong_type is not None and op.type in _EDGES:
        return _edge(graph, op)
    rows = _ROWS.get(op.type)
    if rows is None:
        return _no_row(graph, op)
    if wrong_type is not None:
        return wrong_type
    row = next((rule for rule in rows if rule.since <= min_runtime <= rule.until), None)
    if row is None:
        oldest = min(rule.since for rule in rows)
        return Breach(
            UNSUPPORTED,
            f"It needs runtime {oldest}. Received: {min_runtime}.",
            f"Compile for runtime {oldest} or newer",
        )
    newest = newest_version(op.type)
    if newest is not None and op.version > newest:
        return Breach(
            UNSUPPORTED_VERSION,
            f"Google's compiler reads {op.type} up to version {newest}, and no file with a newer "
            f"one. Received: {op.version}.",
            f"{LEGALIZE}, which brings versions down where the meaning is the same",
        )
    return _first(graph, op, (*GENERAL, *row.constraints))


def _edge(graph: Subgraph, op: Operator) -> Breach:
    """What becomes of an operator on the float side, and how a model does without it."""
    given = [graph.tensors[t].type for t in op.outputs if t >= 0]
    taken = [graph.tensors[t].type for t in op.inputs if t >= 0]
    fix = ""
    if any(t in graph.inputs for t in op.inputs) and _is_eight_bit(given):
        fix = _INPUT_FIX
    elif any(t in graph.outputs for t in op.outputs) and _is_eight_bit(taken):
        fix = _OUTPUT_FIX
    return replace(_EDGES[op.type], fix=fix)


def _is_eight_bit(types: Sequence[str]) -> bool:
    return all(kind in ("INT8", "UINT8") for kind in types)


def _no_row(graph: Subgraph, op: Operator) -> Breach:
    """What becomes of an operator that the table does not have."""
    name = op.custom_name or op.type
    # Types that the compiler has no word for at all: 32-bit integers are its biases.
    strange = any(
        graph.tensors[t].type not in ("INT8", "UINT8", "INT32")
        for t in (*op.inputs, *op.outputs)
        if t >= 0
    )
    known = REFUSED.get(op.type)
    reason = (
        f"The Edge TPU has no {name}."
        if known is not None
        else f"Unknown: nobody has evidence that the Edge TPU runs {name}; treated as not mapped."
    )
    fix = f"{LEGALIZE}, which writes it with others where it can" if op.type in REPLACED else ""
    return Breach(UNSUPPORTED_TYPE if strange else UNSUPPORTED, reason, fix)


def _first(graph: Subgraph, op: Operator, tests: tuple[Constraint, ...]) -> Breach | None:
    """The first constraint that does not hold, as the user reads it."""
    for test in tests:
        received = test(graph, op)
        if received is not None:
            sentence = " ".join((test.__doc__ or "").split())
            fix = _FIX.get(test, "")
            if test is must.eight_bit:
                fix = _FIX_OF_TYPE.get(received, QUANTIZE)
            return Breach(_STATUS.get(test, LIMITATION), f"{sentence} Received: {received}.", fix)
    return None
