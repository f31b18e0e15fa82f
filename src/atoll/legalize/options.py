"""The options of operators: read, and made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from atoll.tflite.schema import schema

if TYPE_CHECKING:
    from collections.abc import Mapping

    from atoll.tflite.graph import Operator

# The schema's enums that options hold.
NO_ACTIVATION, RELU, RELU_N1_TO_1, RELU6 = 0, 1, 2, 3
SAME, VALID = 0, 1

# The schema's class of options, where an operator has one.
_CLASSES = {
    "ABS": "AbsOptionsT",
    "ADD": "AddOptionsT",
    "AVERAGE_POOL_2D": "Pool2DOptionsT",
    "CONCATENATION": "ConcatenationOptionsT",
    "CONV_2D": "Conv2DOptionsT",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptionsT",
    "DEPTH_TO_SPACE": "DepthToSpaceOptionsT",
    "EXPAND_DIMS": "ExpandDimsOptionsT",
    "FULLY_CONNECTED": "FullyConnectedOptionsT",
    "L2_NORMALIZATION": "L2NormOptionsT",
    "MAXIMUM": "MaximumMinimumOptionsT",
    "MAX_POOL_2D": "Pool2DOptionsT",
    "MEAN": "ReducerOptionsT",
    "MINIMUM": "MaximumMinimumOptionsT",
    "MUL": "MulOptionsT",
    "PACK": "PackOptionsT",
    "PAD": "PadOptionsT",
    "QUANTIZE": "QuantizeOptionsT",
    "DEQUANTIZE": "DequantizeOptionsT",
    "REDUCE_MAX": "ReducerOptionsT",
    "REDUCE_MIN": "ReducerOptionsT",
    "RESHAPE": "ReshapeOptionsT",
    "RESIZE_BILINEAR": "ResizeBilinearOptionsT",
    "RESIZE_NEAREST_NEIGHBOR": "ResizeNearestNeighborOptionsT",
    "SLICE": "SliceOptionsT",
    "SOFTMAX": "SoftmaxOptionsT",
    "SPACE_TO_DEPTH": "SpaceToDepthOptionsT",
    "SPLIT": "SplitOptionsT",
    "SQUARED_DIFFERENCE": "SquaredDifferenceOptionsT",
    "SQUEEZE": "SqueezeOptionsT",
    "STRIDED_SLICE": "StridedSliceOptionsT",
    "SUB": "SubOptionsT",
    "SUM": "ReducerOptionsT",
    "TRANSPOSE": "TransposeOptionsT",
    "TRANSPOSE_CONV": "TransposeConvOptionsT",
    "UNPACK": "UnpackOptionsT",
}
_WITHOUT = ("LOGISTIC", "PRELU", "RELU", "RELU6", "RELU_N1_TO_1", "RSQRT", "TANH")
# Where leaving a field out does not mean 0.
_DEFAULTS = {"strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1}


def option(op: Operator, name: str, default: int = 0) -> int:
    """One field of an operator's options; the default where it has none.

    Args:
        op: The operator.
        name: The field, as the schema names it; one that holds a whole number, or yes and no.
        default: What it means where there is none.
    """
    return int(getattr(op.options, name, default))


def make_options(kind: str, fields: Mapping[str, Any]) -> Any:
    """The schema's options object of an operator.

    Args:
        kind: TFLite's name of the operator.
        fields: What differs from the usual values.

    Returns:
        The object; None for an operator without options.

    Raises:
        TypeError: It has no such field: a fault of the rewrite.
    """
    if kind in _WITHOUT:
        options, known = None, set()
    else:
        options = getattr(schema(), _CLASSES[kind])()
        known = set(vars(options))
        for name in known & _DEFAULTS.keys():
            setattr(options, name, _DEFAULTS[name])
    if not fields.keys() <= known:
        raise TypeError(f"{kind} has no option {sorted(fields.keys() - known)}")
    for name, value in fields.items():
        setattr(options, name, value)
    return options
