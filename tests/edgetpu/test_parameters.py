"""Sizes of parameters decide what fits the chip: they must be those of Google's blobs, to the byte.

Where a model's source is at hand, so are the bytes: each block that we encode must lie in the blob.
"""

import csv

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atoll.edgetpu.package import packages
from atoll.edgetpu.package_tables import ExecutableType
from atoll.edgetpu.parameters import RULES, parameter_bytes, streamed_bytes, used_taps
from atoll.edgetpu.parameters_encode import encode
from atoll.edgetpu.partition import partition
from atoll.tflite.build import GraphBuilder
from atoll.tflite.graph import Operator, Quantization, Subgraph, Tensor
from atoll.tflite.reader import read_model
from atoll.tflite.types import BY_NAME

# Joined and split channels cancel out in this one; what remains takes 192 bytes.
CANCELLED = {"split_concat": 576 - 192}


def pairs(shared):
    """(source, compiled) of every published pair, in order."""
    for path in sorted((shared / "models").glob("*/*.tflite")):
        compiled = path.with_name(f"{path.stem}_edgetpu.tflite")
        if compiled.is_file():
            yield path, compiled


def mapped(graph):
    """The mapped operators of a graph."""
    verdicts = partition(graph)
    return [op for op, v in zip(graph.operators, verdicts, strict=True) if v.target == "tpu"]


def mapped_bytes(graph):
    """(cacheable, streamed) bytes of the mapped operators."""
    ops = mapped(graph)
    streamed = sum(streamed_bytes(graph, op) for op in ops)
    return sum(parameter_bytes(graph, op) for op in ops) - streamed, streamed


def test_sizes_are_those_of_googles_blobs(shared):
    """Cached and streamed bytes of 19 published pairs, exactly."""
    checked = 0
    for source, compiled in pairs(shared):
        cached, streamed = mapped_bytes(read_model(source).main)
        (package,) = packages(read_model(compiled))
        assert cached - CANCELLED.get(source.stem, 0) == package.cached_bytes, source.name
        assert streamed == package.streamed_bytes, source.name
        checked += 1
    assert checked >= 19


def test_every_block_lies_in_googles_blob_byte_for_byte(shared):
    """Weights, scales, biases and softmax tables; every byte of 16 of the blobs is explained."""
    covered, blocks = 0, 0
    for source, compiled in pairs(shared):
        graph = read_model(source).main
        (package,) = packages(read_model(compiled))
        blobs = [each.parameters for each in package.executables]
        known = [np.zeros(len(blob), bool) for blob in blobs]
        for op in mapped(graph):
            block = encode(graph, op)
            if not block:
                continue
            assert len(block) == parameter_bytes(graph, op), (source.name, op.type)
            places = [blob.find(block) for blob in blobs]
            assert max(places) >= 0, (source.name, op.type)
            for place, mask in zip(places, known, strict=True):
                mask[max(place, 0) : max(place, 0) + len(block) * (place >= 0)] = True
            blocks += 1
        covered += all(mask.all() for mask in known)
    assert covered >= 16
    assert blocks >= 587


@pytest.fixture(scope="module")
def compiled_facts(shared):
    """What was read off compiled files whose sources are not at hand, by file name."""
    with (shared / "facts/google_compiled.csv").open() as file:
        return {row["file"].split("/")[-1]: row for row in csv.DictReader(file)}


def test_a_mobilenet_built_from_its_paper_has_the_published_size(compiled_facts):
    """MobileNet v1 0.5 160, of which only the compiled file is published."""
    b = GraphBuilder("uint8")
    x = b.conv2d(b.input((1, 160, 160, 3)), 16, 3, 2, activation="RELU6")
    strides = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)
    widths = (32, 64, 64, 128, 128, 256, 256, 256, 256, 256, 256, 512, 512)
    for stride, width in zip(strides, widths, strict=True):
        x = b.depthwise(x, 3, stride, activation="RELU6")
        x = b.conv2d(x, width, 1, activation="RELU6")
    x = b.conv2d(b.average_pool(x, 5), 1001, 1)
    graph = b.model(b.softmax(b.reshape(x, (1, 1001)))).main
    name = "mobilenet_v1_0.5_160_quant_cocompiled_with_mobilenet_v1_0.25_128_quant_edgetpu.tflite"
    assert mapped_bytes(graph) == (int(compiled_facts[name]["PC_param_bytes"]), 0)


def test_taps_that_only_meet_padding_are_dropped_as_google_drops_them(compiled_facts):
    """The heads of SSD MobileNet v1, whose last kernel runs over 2 x 2 pixels."""
    b = GraphBuilder("uint8")
    early, late = b.input((1, 19, 19, 512)), b.input((1, 10, 10, 1024))
    maps, x = [(early, 3), (late, 6)], late
    for narrow, wide in ((256, 512), (128, 256), (128, 256), (64, 128)):
        x = b.conv2d(b.conv2d(x, narrow, 1), wide, 3, 2)
        maps.append((x, 6))
    heads = [b.conv2d(x, anchors * size, 1) for x, anchors in maps for size in (4, 91)]
    graph = b.model(heads).main
    size = sum(parameter_bytes(graph, op) for op in graph.operators)
    name = "ssd_mobilenet_v1_coco_quant_postprocess_segment_1_of_2_edgetpu.tflite"
    assert size == int(compiled_facts[name]["PC_param_bytes"])


@pytest.mark.parametrize("classes", [1, 4, 10, 64, 65, 1000, 1001])
def test_the_size_of_a_block_is_the_size_of_its_bytes(classes):
    """Sizes and bytes are written apart; they must not drift apart, whatever the shapes."""
    for style, per_channel in (("int8", True), ("int8", False), ("uint8", False)):
        for zero_bias in (True, False):
            how = {"per_channel": per_channel, "zero_bias": zero_bias}
            b = GraphBuilder(style, seed=classes)
            x = b.input((1, 9, 5, 3))
            x = b.conv2d(x, classes % 70 + 1, (3, 2), 2, **how)
            x = b.depthwise(x, (2, 3), 1, dilation=2, **how)
            x = b.dense(b.mean(x), classes, **how)
            graph = b.model(b.softmax(x)).main
            for op in graph.operators:
                assert len(encode(graph, op) or b"") == parameter_bytes(graph, op), op.type


def test_sizes_of_layers_of_each_kind():
    """Worked by hand from the layout; a slip in a rule shows here without any file."""
    b = GraphBuilder("int8")
    x = b.input((1, 16, 16, 8))
    cases = {
        b.conv2d(x, 65, 3): 2 * 256 * (9 * 2 + 3),
        b.conv2d(x, 64, 1): 256 * (2 + 3),
        b.conv2d(x, 17, 1): 128 * (2 + 3),
        b.conv2d(x, 5, 1): 64 * (2 + 3),
        b.conv2d(x, 4, 3, per_channel=False): 320,  # 16 * (18 + 1), filled up to 64
        b.conv2d(x, 64, 1, zero_bias=True): 256 * (2 + 2),
        b.depthwise(x, 3): 2 * 16 * (9 + 3),
        b.transpose_conv(x, 6, 2): 64 * (4 * 2 + 3),
        b.softmax(b.dense(b.mean(x), 10)): 64 * 9,
    }
    graph = b.model(list(cases)).main
    made = graph.producers()
    for tensor, size in cases.items():
        assert parameter_bytes(graph, graph.operators[made[tensor]]) == size


def test_constants_beside_an_activation_are_streamed():
    """They would otherwise be counted into the cache, where Google's compiler never puts them."""
    b = GraphBuilder("int8")
    x = b.input((1, 8, 8, 4))
    plane = b.random_constant((1, 8, 8, 4))
    graph = b.model(b.mul(b.add(x, plane), b.random_constant((1,)))).main
    add, mul = graph.operators
    assert parameter_bytes(graph, add) == streamed_bytes(graph, add) == 256
    assert parameter_bytes(graph, mul) == 0


@given(st.integers(1, 40), st.integers(1, 9), st.integers(1, 5), st.integers(1, 4))
def test_kept_taps_are_those_that_meet_the_image(image, taps, stride, dilation):
    """Against counting: every output's window, laid over the image."""
    outputs = -(-image // stride)
    padding = max((outputs - 1) * stride + (taps - 1) * dilation + 1 - image, 0) // 2
    met = [
        t
        for t in range(taps)
        if any(0 <= o * stride - padding + t * dilation < image for o in range(outputs))
    ]
    assert list(used_taps(image, taps, stride, dilation, padding=0)) == met
    assert used_taps(image, taps, stride, dilation, padding=1) == range(taps)


TENSORS = st.builds(
    lambda kind, shape, scales: Tensor(
        "t",
        kind,
        tuple(shape),
        quantization=Quantization(np.ones(scales, np.float32), np.zeros(scales, np.int64))
        if scales
        else None,
        data=np.zeros(shape, BY_NAME[kind].dtype) if max(shape, default=1) < 9 else None,
    ),
    st.sampled_from(["INT8", "UINT8", "INT32", "FLOAT32"]),
    st.lists(st.sampled_from([0, 1, 2, 3, 65, (1 << 31) - 1]), max_size=5),
    st.integers(0, 3),
)


@settings(max_examples=400)
@given(
    st.sampled_from([*RULES, "MEAN", "CUSTOM"]),
    st.lists(TENSORS, min_size=1, max_size=6),
    st.lists(st.integers(-1, 5), max_size=24),
    st.lists(st.integers(0, 5), max_size=4),
)
def test_any_operator_at_all_has_a_size(kind, tensors, inputs, outputs):
    """A damaged file must not end in a traceback: missing inputs, odd ranks, huge sizes."""
    last = len(tensors) - 1
    op = Operator(kind, [min(i, last) for i in inputs], [min(i, last) for i in outputs])
    graph = Subgraph("main", tensors, [op], [], [])
    size = parameter_bytes(graph, op)
    assert size >= streamed_bytes(graph, op) >= 0
    assert size % 64 == 0


def test_a_package_says_what_is_cached_by_its_type(shared):
    """The sums above compare with these: they must be the right executables."""
    (package,) = packages(
        read_model(shared / "models/v13/movenet_single_pose_lightning_ptq_edgetpu.tflite")
    )
    caching = package.executable(ExecutableType.PARAMETER_CACHING)
    assert package.cached_bytes == len(caching.parameters) == 2_862_656
    assert package.streamed_bytes == 2_368
