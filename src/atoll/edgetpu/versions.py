"""The newest version of each operator that Google's compiler reads.

The compiler (16.0.384591198, of July 2021) has TensorFlow's own reader and kernels built in. It
parses no file with an operator that is newer than those: "Didn't find op for builtin opcode
'CONV_2D' version '6'".
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from atoll.edgetpu.sources import Source, inferred, log

if TYPE_CHECKING:
    from collections.abc import Mapping

TENSORFLOW = "2.6"
"""The release whose operators compiler 16 knows."""

SOURCES: tuple[Source, ...] = (
    inferred(
        "tensorflow/tensorflow, lite/tools/versioning/runtime_version.cc: the release that each "
        "version came with; those up to 2.6 are here. 384591198 is a change of July 2021, when "
        "that was next"
    ),
    log("compiler 16 refuses CONV_2D 6 (google-coral/edgetpu#631), of TensorFlow 2.9"),
    log("compiler 16 refuses QUANTIZE 3 (google-coral/edgetpu#879), of TensorFlow 2.7"),
    log("compiler 16 refuses TRANSPOSE_CONV 4 (google-coral/edgetpu#845)"),
    log("compiler 16 refuses EXP 2 (google-coral/libedgetpu#71)"),
    log("compiler 15 refuses RSQRT 2, and 16 is the answer (google-coral/edgetpu#384)"),
)

_BY_VERSION = {
    1: """
        ADD_N ASSIGN_VARIABLE BROADCAST_ARGS CALL_ONCE CAST CEIL COMPLEX_ABS CONV_3D
        CONV_3D_TRANSPOSE COS CUMSUM CUSTOM DENSIFY ELU EMBEDDING_LOOKUP_SPARSE EXP EXPAND_DIMS
        FLOOR FLOOR_MOD HARD_SWISH HASHTABLE HASHTABLE_FIND HASHTABLE_IMPORT HASHTABLE_LOOKUP
        HASHTABLE_SIZE IF IMAG L2_POOL_2D LOCAL_RESPONSE_NORMALIZATION LOG LOGICAL_AND
        LOGICAL_NOT LOGICAL_OR LSH_PROJECTION MATRIX_DIAG MATRIX_SET_DIAG NEG
        NON_MAX_SUPPRESSION_V4 NON_MAX_SUPPRESSION_V5 ONE_HOT POW PRELU RANGE RANK READ_VARIABLE
        REAL REDUCE_ALL REDUCE_ANY RELU_N1_TO_1 RESHAPE REVERSE_SEQUENCE RFFT2D ROUND SCATTER_ND
        SEGMENT_SUM SELECT_V2 SHAPE SIN SKIP_GRAM SQRT SQUARE UNIQUE VAR_HANDLE WHERE WHILE
        ZEROS_LIKE
    """,
    2: """
        ARG_MAX ARG_MIN DEPTH_TO_SPACE DIV FAKE_QUANT FLOOR_DIV GREATER GREATER_EQUAL
        L2_NORMALIZATION LEAKY_RELU LESS LESS_EQUAL LOG_SOFTMAX MIRROR_PAD QUANTIZE REDUCE_PROD
        RSQRT SELECT SPACE_TO_DEPTH SPLIT_V SQUARED_DIFFERENCE SQUEEZE SUM TILE TOPK_V2
    """,
    3: """
        AVERAGE_POOL_2D BATCH_TO_SPACE_ND BIDIRECTIONAL_SEQUENCE_LSTM BIDIRECTIONAL_SEQUENCE_RNN
        BROADCAST_TO CONCATENATION EMBEDDING_LOOKUP EQUAL FILL GATHER_ND LOGISTIC MAX_POOL_2D
        MEAN NOT_EQUAL PACK REDUCE_MAX REDUCE_MIN RELU RELU6 REVERSE_V2 RNN SOFTMAX
        SPACE_TO_BATCH_ND SPARSE_TO_DENSE TANH TRANSPOSE_CONV UNIDIRECTIONAL_SEQUENCE_LSTM
        UNIDIRECTIONAL_SEQUENCE_RNN
    """,
    4: """
        ABS ADD BATCH_MATMUL DEQUANTIZE LSTM MAXIMUM MINIMUM PAD PADV2 RESIZE_BILINEAR
        RESIZE_NEAREST_NEIGHBOR SPLIT SVDF UNPACK
    """,
    5: "CONV_2D GATHER MUL SLICE SUB TRANSPOSE",
    6: "DEPTHWISE_CONV_2D STRIDED_SLICE",
    9: "FULLY_CONNECTED",
}

VERSIONS: Mapping[str, int] = MappingProxyType(
    {name: version for version, names in _BY_VERSION.items() for name in names.split()}
)
"""The newest version of every operator that TensorFlow 2.6 reads, by TFLite's name."""


def newest_version(op_type: str) -> int | None:
    """The newest version of an operator that Google's compiler reads.

    Args:
        op_type: TFLite's name: "CONV_2D"; "CUSTOM" for a custom operator.

    Returns:
        The version; None where the operator itself is newer than the compiler's TensorFlow.
    """
    return VERSIONS.get(op_type)
