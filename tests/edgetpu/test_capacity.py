"""What of the chip is free for parameters: too much promised, and a model streams unexpectedly."""

import logged
import pytest

from atoll.edgetpu.capacity import TILE_WORDS, WORD, need_of, reserved_words
from atoll.edgetpu.memory import plan_memory
from atoll.edgetpu.partition import partition
from atoll.tflite.build import GraphBuilder
from atoll.tflite.graph import Operator, Subgraph, Tensor
from atoll.tflite.reader import read_model


def needs_of(graph):
    verdicts = partition(graph)
    return [need_of(graph, graph.operators[v.index]) for v in verdicts if v.target == "tpu"]


# The least wide-memory address that parameters are sent to while the model runs, as the
# instructions of Google's file say it; in the first, cached parameters end exactly there.
LEAST_ADDRESS = {
    "v13/mobilenet_v1_1.0_224_quant_embedding_extractor": 1981,
    "v13/mobilenet_v1_0.75_192_quant": 1986,
}


@pytest.mark.parametrize("name", LEAST_ADDRESS)
def test_cached_parameters_end_where_the_ring_begins(shared, name):
    needs = needs_of(read_model(shared / f"models/{name}.tflite").main)
    assert TILE_WORDS - reserved_words(needs) == LEAST_ADDRESS[name]


# The words of all tiles that the caching program of Google's file writes.
WORDS = {
    "v13/mobilenet_v1_1.0_224_quant_embedding_extractor": 13_142,
    "v13/posenet_mobilenet_v1_075_353_481_16_quant_decoder": 5825,
    "v16/gabor_64x64_7k_4o_2s": 50,
}


@pytest.mark.parametrize("name", WORDS)
def test_parameters_take_the_words_that_are_written(shared, name):
    needs = needs_of(read_model(shared / f"models/{name}.tflite").main)
    assert sum(need.words for need in needs) == WORDS[name]


# What edgetpu_compiler printed, in MiB: used and off-chip; with what it had for parameters where
# its version keeps another part of the memory free. Sources: google-coral/edgetpu issue 572; a
# post about facenet_keras; github.com/goruck/smart-zoneminder, person-class/train-results.
@pytest.mark.parametrize(
    ("name", "available", "used", "offchip"),
    [
        ("MobileNetV3Small+conv", None, 0.59, 3.45),
        ("facenet_keras", None, 7.04, 15.06),
        ("MobileNetV2 person", None, 2.79, 0.0),
        ("VGG16 person", 5.59, 5.40, 8.75),
        ("ResNet50 person", 6.25, 6.25, 16.69),
    ],
)
def test_networks_are_cached_as_printed(name, available, used, offchip):
    graph = logged.logged()[name]().main
    plan = plan_memory(
        graph,
        partition(graph),
        min_runtime=14,
        cache_bytes=None if available is None else int(available * 2**20),
    )
    assert plan.onchip_memory_bytes / 2**20 == pytest.approx(used, abs=0.006)
    assert plan.offchip_bytes / 2**20 == pytest.approx(offchip, abs=0.012)


def test_partial_sums_take_memory_where_channels_come_in_pieces():
    """256 channels on 28x28: 49 pixels a tile, and a ring of two times 8 groups and a bias."""
    b = GraphBuilder("uint8")
    model = b.model(b.conv2d(b.input((1, 28, 28, 256)), 256, 1))
    assert reserved_words(needs_of(model.main)) == 49 + 2 * (8 + 1)


def test_a_small_block_is_sent_whole():
    b = GraphBuilder("uint8")
    model = b.model(b.conv2d(b.input((1, 56, 56, 128)), 128, 1))
    assert reserved_words(needs_of(model.main)) == 2 * (32 + 1)


@pytest.mark.parametrize(
    "kind", ["CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV", "SOFTMAX", "ADD"]
)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (0, 0), (1, 0, 0, 0), (1, 1 << 30, 7, 1 << 20)])
def test_any_graph_has_a_need(kind, shape):
    """Files are hostile: no shape, no options, inputs left out."""
    tensors = [Tensor("a", "INT8", shape), Tensor("b", "INT8", shape), Tensor("c", "INT8", shape)]
    for inputs in ([], [-1], [0], [0, 1], [0, -1, 1], [0, 1, 2], [-1, -1, -1]):
        op = Operator(kind, inputs, [2] if inputs else [])
        need = need_of(Subgraph("", tensors, [op], [], []), op)
        assert need.words * WORD >= 0
        assert 0 <= reserved_words([need]) <= TILE_WORDS
