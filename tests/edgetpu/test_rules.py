"""The table of operators decides what a user is told to change in a model."""

import csv
import itertools

import ai_edge_litert.schema_py_generated as schema
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll.edgetpu.rules import (
    GENERAL,
    NEWEST_RUNTIME,
    OLDEST_RUNTIME,
    REFUSED,
    REPLACED,
    RULES,
    TYPES,
    breach,
)
from atoll.edgetpu.sources import Evidence
from atoll.edgetpu.verdict import (
    LIMITATION,
    UNSUPPORTED,
    UNSUPPORTED_RANK,
    UNSUPPORTED_TYPE,
    UNSUPPORTED_VERSION,
)
from atoll.legalize.table import REWRITES
from atoll.tflite.graph import Operator, Quantization, Subgraph, Tensor

ROWS = {rule.op for rule in RULES}
# The names of the vendor's table in TFLite's words, where they are not just spelt otherwise.
SPELLING = {
    "AveragePool2d": "AVERAGE_POOL_2D",
    "Conv2d": "CONV_2D",
    "DepthwiseConv2d": "DEPTHWISE_CONV_2D",
    "ExpandDims": "EXPAND_DIMS",
    "FullyConnected": "FULLY_CONNECTED",
    "L2Normalization": "L2_NORMALIZATION",
    "LSTM": "UNIDIRECTIONAL_SEQUENCE_LSTM",
    "MaxPool2d": "MAX_POOL_2D",
    "ReduceMax": "REDUCE_MAX",
    "ReduceMin": "REDUCE_MIN",
    "ReLUN1To1": "RELU_N1_TO_1",
    "ResizeBilinear": "RESIZE_BILINEAR",
    "ResizeNearestNeighbour": "RESIZE_NEAREST_NEIGHBOR",
    "ResizeNearestNeighbor": "RESIZE_NEAREST_NEIGHBOR",
    "SpaceToDepth": "SPACE_TO_DEPTH",
    "SquaredDifference": "SQUARED_DIFFERENCE",
    "StridedSlice": "STRIDED_SLICE",
    "TransposeConv": "TRANSPOSE_CONV",
}


def int8(shape, data=None, zero_point=0, **changes) -> Tensor:
    quantization = Quantization(np.float32([0.5]), np.int64([zero_point]))
    fields = {"quantization": quantization, "data": data} | changes
    return Tensor(f"t{shape}", fields.pop("type", "INT8"), tuple(shape), **fields)


def int32(*values) -> Tensor:
    data = np.array(values, np.int32)
    return Tensor("n", "INT32", data.shape, data=data)


def weights(*shape) -> Tensor:
    return int8(shape, np.ones(shape, np.int8))


def judged(kind, tensors, outputs=1, options=None, min_runtime=NEWEST_RUNTIME, version=1):
    """The verdict on one operator; the last tensors are its outputs."""
    split = len(tensors) - outputs
    made = list(range(split, len(tensors)))
    op = Operator(kind, list(range(split)), made, version, options=options)
    return breach(Subgraph("g", tensors, [op], [0], op.outputs), op, min_runtime)


def test_every_row_is_a_real_operator_and_its_ranges_meet():
    """A misspelt name would send an operator to the CPU for ever."""
    for name in ROWS:
        assert hasattr(schema.BuiltinOperator, name)
        rows = sorted((rule.since, rule.until) for rule in RULES if rule.op == name)
        assert rows[-1][1] == NEWEST_RUNTIME
        assert all(OLDEST_RUNTIME <= since <= until for since, until in rows)
        for (_, until), (since, _) in itertools.pairwise(rows):
            assert since == until + 1


def test_every_constraint_reads_as_a_sentence():
    """Its docstring is what the user reads."""
    named = {c for rule in RULES for c in rule.constraints} | {*GENERAL, *TYPES}
    for constraint in named:
        text = constraint.__doc__
        assert text[0].isupper()
        assert text.endswith(".")
        assert "\n" not in text


def test_every_row_says_how_it_is_known():
    """Nobody could judge a rule without its source; one that nobody saw must say so."""
    for rule in RULES:
        assert rule.sources, rule.op
        assert all(source.where for source in rule.sources)
        order = [[*Evidence].index(source.evidence) for source in rule.sources]
        assert Evidence.UNKNOWN not in {source.evidence for source in rule.sources}
        assert order[0] == min(order), rule.op
    assert not ROWS & REFUSED.keys()
    for name in REFUSED:
        assert hasattr(schema.BuiltinOperator, name)


def test_what_the_legaliser_replaces_is_what_users_are_sent_to_it_for():
    """A fix that does nothing costs trust; one that nobody hears of does nothing either."""
    starts = {op for row in REWRITES for op in row.ops} - ROWS
    # SHAPE goes with the constants that it stands for; DEQUANTIZE only as an end of others.
    assert starts - {"DEQUANTIZE"} == REPLACED - {"SHAPE"}


def test_measured_rows_name_published_files(shared):
    """A measurement that nobody can repeat is none."""
    files = {path.name for path in (shared / "models").glob("*/*_edgetpu.tflite")}
    sources = [source for rule in RULES for source in rule.sources] + [*REFUSED.values()]
    named = {
        source.where.partition(".tflite")[0] + ".tflite"
        for source in sources
        if source.evidence is Evidence.MEASURED
    }
    assert len(named) >= 7
    assert named <= files


def test_every_operator_of_the_vendors_table_has_a_row(shared):
    """What the vendor documents as supported must not be called unsupported."""
    with (shared / "facts/supported_ops.csv").open() as file:
        names = [row["op"] for row in csv.DictReader(file)]
    assert len(names) > 35
    assert {SPELLING.get(name, name.upper()) for name in names} == ROWS


IMAGE = (1, 8, 8, 4)
FUSED = {"fusedActivationFunction": schema.ActivationFunctionType.RELU}
VECTOR = int8((1, 4))


@pytest.mark.parametrize(
    ("kind", "tensors", "options", "status", "words"),
    [
        ("ADD", [int8(IMAGE, type="INT16"), int8(IMAGE)], None, UNSUPPORTED_TYPE, "8 bits"),
        ("ADD", [int8(IMAGE), int8(IMAGE, quantization=None)], None, UNSUPPORTED_TYPE, "8 bits"),
        ("RELU", [int8(IMAGE), int8((2, 8, 8, 4))], None, UNSUPPORTED_RANK, "three innermost"),
        (
            "RELU",
            [int8(IMAGE, shape_signature=(1, -1, 8, 4)), int8(IMAGE)],
            None,
            LIMITATION,
            "Sizes must be known",
        ),
        ("LEAKY_RELU", [int8(IMAGE), int8(IMAGE)], None, UNSUPPORTED, "no LEAKY_RELU"),
        ("ELU", [int8(IMAGE), int8(IMAGE)], None, UNSUPPORTED, "nobody has evidence"),
        (
            "ARG_MIN",
            [int8(IMAGE), int8(IMAGE, type="INT64")],
            None,
            UNSUPPORTED_TYPE,
            "nobody has evidence",
        ),
        ("CONV_2D", [int8(IMAGE), int8((4, 1, 1, 4)), int8(IMAGE)], None, LIMITATION, "constants"),
        (
            "CONV_2D",
            [int8(IMAGE), weights(4, 1, 1, 4), int8(IMAGE)],
            schema.Conv2DOptionsT(dilationHFactor=2, dilationWFactor=1),
            LIMITATION,
            "same in x and y",
        ),
        (
            "CONV_2D",
            [int8(IMAGE), weights(4, 1, 1, 2), int8(IMAGE)],
            None,
            LIMITATION,
            "Received: 4 channels, weights of 2.",
        ),
        (
            "AVERAGE_POOL_2D",
            [int8(IMAGE), int8(IMAGE)],
            schema.Pool2DOptionsT(**FUSED),
            LIMITATION,
            "no fused activation",
        ),
        (
            "CONCATENATION",
            [int8(IMAGE), weights(1, 8, 8, 4), int8((1, 8, 8, 8))],
            None,
            LIMITATION,
            "all zeros",
        ),
        ("FULLY_CONNECTED", [int8((2, 4)), weights(3, 4), int8((2, 3))], None, LIMITATION, "one"),
        ("SOFTMAX", [int8((1, 16001)), int8((1, 16001))], None, LIMITATION, "16,000"),
        (
            "MEAN",
            [int8((1, 256, 128, 3)), int32(1, 2), int8((1, 1, 1, 3))],
            None,
            LIMITATION,
            "Received: 32768.",
        ),
        ("MEAN", [int8((2, 8, 4)), int32(-3, -2), int8((4,))], None, LIMITATION, "batch"),
        ("MEAN", [int8((1, 8, 8, 6)), int32(3), int8((1, 8, 8, 1))], None, LIMITATION, "of 4"),
        ("MEAN", [int8(IMAGE), int32(0), int8(IMAGE)], None, LIMITATION, "batch"),
        ("PACK", [int8((8, 4)), int8((8, 4)), int8((2, 8, 4))], None, LIMITATION, "batch"),
        (
            "PAD",
            [int8((1, 4)), int32([0, 1], [0, 0]), int8((2, 4))],
            None,
            LIMITATION,
            "batch",
        ),
        ("PRELU", [int8(IMAGE), weights(8, 8, 4), int8(IMAGE)], None, LIMITATION, "one dimension"),
        (
            "STRIDED_SLICE",
            [VECTOR, int32(0, 0), int32(1, 4), int32(1, 2), int8((1, 2))],
            None,
            LIMITATION,
            "stride must be 1",
        ),
        (
            "STRIDED_SLICE",
            [VECTOR, int32(0, 0), int32(1, 4), int32(1, 1), VECTOR],
            schema.StridedSliceOptionsT(newAxisMask=1),
            LIMITATION,
            "new-axis",
        ),
        (
            "RESIZE_BILINEAR",
            [int8((1, 1, 1, 4)), int32(33, 33), int8((1, 33, 33, 4))],
            None,
            LIMITATION,
            "enlarge",
        ),
        (
            "RESIZE_NEAREST_NEIGHBOR",
            [int8((1, 256, 256, 64)), int32(512, 512), int8((1, 512, 512, 64))],
            None,
            LIMITATION,
            "2 MiB",
        ),
    ],
)
def test_each_limit_is_found_and_named(kind, tensors, options, status, words):
    """The reason must be the one thing that the user has to change."""
    found = judged(kind, tensors, options=options)
    assert found is not None
    assert found.status == status
    assert words in found.reason


@pytest.mark.parametrize(
    ("kind", "tensors", "options"),
    [
        ("ADD", [int8(IMAGE), weights(1, 1, 1, 4), int8(IMAGE)], schema.AddOptionsT(**FUSED)),
        ("RELU", [int8((1, 4), shape_signature=(-1, 4)), VECTOR], None),
        ("CONCATENATION", [int8(IMAGE), int8(IMAGE), int8((1, 8, 8, 8))], None),
        (
            "CONCATENATION",
            [int8(IMAGE), int8(IMAGE, np.full(IMAGE, 7, np.int8), 7), int8((1, 8, 8, 8))],
            None,
        ),
        ("MEAN", [int8(IMAGE), int32(1, 2), int8((1, 1, 1, 4))], None),
        ("MEAN", [int8(IMAGE), int32(-1), int8((1, 8, 8, 1))], None),
        ("MEAN", [int8(IMAGE), int32(-3, -2), int8((1, 4))], None),
        ("SOFTMAX", [int8((1, 4, 1344, 16)), int8((1, 4, 1344, 16))], None),
        ("FULLY_CONNECTED", [VECTOR, weights(3, 4), int8((1, 3))], None),
        ("PACK", [int8((1, 4)), int8((1, 4)), int8((1, 2, 4))], schema.PackOptionsT(axis=1)),
        ("PAD", [int8(IMAGE), int32([0, 0], [1, 1], [0, 0], [0, 0]), int8((1, 10, 8, 4))], None),
        ("RESIZE_BILINEAR", [int8(IMAGE), int32(16, 16), int8((1, 16, 16, 4))], None),
        ("QUANTIZE", [int8(IMAGE, type="UINT8"), int8(IMAGE)], None),
    ],
)
def test_what_is_within_the_limits_is_mapped(kind, tensors, options):
    """A limit that is too strict would move a whole model to the CPU."""
    assert judged(kind, tensors, options=options) is None


def test_reasons_say_what_was_received():
    """ "Must have one dimension" helps nobody who does not know which shape there is."""
    found = judged("FULLY_CONNECTED", [int8((7, 7, 4)), weights(3, 4), int8((1, 7, 7, 3))])
    assert found.reason == (
        "The output must have one dimension: only its innermost size may be above 1. "
        "Received: [1, 7, 7, 3]."
    )
    assert judged("ADD", [int8(IMAGE), int8(IMAGE, type="INT16")]).reason.endswith("INT16.")


def test_a_damaged_list_of_sizes_does_not_fill_the_message():
    """A constant of a million strides would be a line of megabytes."""
    many = int32(*range(2, 10_000))
    found = judged("STRIDED_SLICE", [int8(IMAGE), int32(0), int32(0), many, int8(IMAGE)])
    assert found.reason.endswith(", ...].")
    assert len(found.reason) < 200


def test_an_operator_with_too_few_inputs_is_no_operator():
    """The compiler runs the model first, and a sum of one tensor cannot be run."""
    assert "inputs" in judged("ADD", [int8(IMAGE), int8(IMAGE)]).reason


def test_a_dense_layer_with_a_scale_a_channel_maps():
    """TensorFlow 2.16 and later write them so; dense_256_edgetpu.tflite shows that they map."""
    scales = Quantization(np.float32([0.5, 0.25, 0.125]), np.int64([0, 0, 0]))
    dense = int8((3, 4), np.ones((3, 4), np.int8), quantization=scales)
    assert judged("FULLY_CONNECTED", [VECTOR, dense, int8((1, 3))]) is None


def test_newer_versions_are_not_mapped_and_the_cure_is_named():
    """Google's compiler would not even read the file."""
    conv = [int8(IMAGE), weights(4, 1, 1, 4), int8(IMAGE)]
    assert judged("CONV_2D", conv, version=5) is None
    found = judged("CONV_2D", conv, version=6)
    assert found.status == UNSUPPORTED_VERSION
    assert found.reason.endswith("Received: 6.")
    assert "atoll legalize" in found.fix


def test_runtimes_before_12_take_no_signed_numbers():
    """Compiled for runtime 11, an int8 model stays on the CPU as a whole."""
    signed, plain = [int8(IMAGE), int8(IMAGE)], [int8(IMAGE, type="UINT8")] * 2
    assert judged("RELU", plain, min_runtime=11) is None
    assert judged("RELU", signed, min_runtime=12) is None
    found = judged("RELU", signed, min_runtime=11)
    assert (found.status, "runtime 12" in found.reason) == (UNSUPPORTED_TYPE, True)


def test_older_runtimes_have_fewer_operators_and_stricter_rows():
    """A model that is compiled for an old runtime must not crash on it."""
    pack = [int8((1, 4)), int8((1, 4)), int8((1, 2, 4))]
    found = judged("PACK", pack, options=schema.PackOptionsT(axis=1), min_runtime=12)
    assert found.status == UNSUPPORTED
    assert found.reason == "It needs runtime 13. Received: 12."
    over_channels = [int8(IMAGE), int32(3), int8((1, 8, 8, 1))]
    many = [int8((1, 8, 4)), int8((1, 8, 4))]
    assert judged("SOFTMAX", many, min_runtime=14) is None
    assert "one dimension" in judged("SOFTMAX", many, min_runtime=13).reason
    assert judged("MEAN", over_channels, min_runtime=13) is None
    assert "x and y alone" in judged("MEAN", over_channels, min_runtime=12).reason
    tall = [int8((5, 1, 10)), int8((5, 10))]
    assert judged("SQUEEZE", tall, min_runtime=13) is None
    assert "leading" in judged("SQUEEZE", tall, min_runtime=12).reason


def test_the_float_edges_of_a_model_are_no_fault_of_it():
    """Nobody should be sent to change the QUANTIZE that the converter put there."""
    real = Tensor("f", "FLOAT32", IMAGE)
    for kind, tensors in (("QUANTIZE", [real, int8(IMAGE)]), ("DEQUANTIZE", [int8(IMAGE), real])):
        found = judged(kind, tensors)
        assert "The CPU converts" in found.reason
        assert found.fix.startswith("If the program can ")


_TENSORS = st.builds(
    lambda shape, kind, data, quantised: Tensor(
        "t",
        kind,
        tuple(shape),
        shape_signature=tuple(shape) or None,
        quantization=Quantization(np.float32([1]), np.int64([0])) if quantised else None,
        data=np.full(shape, data, np.int32 if kind == "INT32" else np.int8)
        if data is not None
        else None,
    ),
    st.lists(st.integers(0, 3), max_size=4),
    st.sampled_from(["INT8", "UINT8", "INT32", "FLOAT32"]),
    st.none() | st.integers(-128, 127),
    st.booleans(),
)


@given(
    st.sampled_from(sorted({*ROWS, "CUSTOM", "GELU"})),
    st.lists(_TENSORS, min_size=1, max_size=6),
    st.data(),
    st.integers(OLDEST_RUNTIME, NEWEST_RUNTIME),
)
def test_any_graph_gets_a_verdict(kind, tensors, data, runtime):
    """Operators of damaged or strange files lack inputs, or have odd ones: that is no crash."""
    index = st.integers(-1, len(tensors) - 1)
    op = Operator(
        kind,
        data.draw(st.lists(index, max_size=5)),
        data.draw(st.lists(st.integers(0, len(tensors) - 1), max_size=2)),
        options=data.draw(st.sampled_from([None, schema.PackOptionsT(axis=9)])),
    )
    found = breach(Subgraph("g", tensors, [op], [], []), op, runtime)
    assert found is None or (found.status and found.reason)


@pytest.mark.parametrize(
    ("kind", "fix"),
    [("FLOAT32", "full-integer quantisation"), ("INT16", "activations in 8 bits"),
     ("INT32", "sizes alone"), ("BOOL", "")],
)  # fmt: skip
def test_a_fix_for_a_type_is_one_for_that_type(kind, fix):
    """Sizes in 32-bit integers were to be quantised: there is nothing to quantise in them."""
    tensors = [Tensor(name, kind, (1, 4)) for name in "ab"]
    op = Operator("RESHAPE", [0], [1])
    found = breach(Subgraph("", tensors, [op], [0], [1]), op)
    assert found.reason.endswith(f"Received: {kind}.")
    assert fix in found.fix
    assert bool(fix) == bool(found.fix)


def test_a_float_edge_is_told_how_to_do_without():
    """Only at the model's own edge can its program give 8 bits instead, and only where it has 8."""
    scale = Quantization(np.ones(1, np.float32), np.zeros(1, np.int64))
    tensors = [Tensor("a", "FLOAT32", (4,)), Tensor("b", "INT8", (4,), quantization=scale)]
    op = Operator("QUANTIZE", [0], [1])
    assert "--input-type" in breach(Subgraph("", tensors, [op], [0], [1]), op).fix
    assert not breach(Subgraph("", tensors, [op], [], [1]), op).fix
    wide = [tensors[0], Tensor("b", "INT16", (4,), quantization=scale)]
    assert not breach(Subgraph("", wide, [op], [0], [1]), op).fix
    back = Operator("DEQUANTIZE", [1], [0])
    assert "--output-type" in breach(Subgraph("", tensors, [back], [1], [0]), back).fix
