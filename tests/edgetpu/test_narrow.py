"""Activation memory of a tile: who trusts it resizes a model until it maps."""

import pytest

from atoll.edgetpu.memory import plan_memory
from atoll.edgetpu.narrow import narrow_bytes
from atoll.edgetpu.partition import partition
from atoll.edgetpu.tiling import plane_of, span
from atoll.tflite.build import GraphBuilder
from atoll.tflite.reader import read_model

# used_narrow_memory_bytes_per_tile of Google's compiled files whose activations fit.
COMPILED = {
    "v10/mobilenet_v1_0.25_128_quant": 8996,
    "v10/mobilenet_v1_0.75_192_quant": 43_824,
    "v10/mobilenet_v2_1.0_224_quant": 99_552,
    "v10/mobilenet_v2_1.0_224_inat_bird_quant": 99_552,
    "v13/mobilenet_v1_1.0_224_quant_embedding_extractor": 78_912,
    "v13/movenet_single_pose_lightning_ptq": 73_824,
    "v16/dense_256": 832,
    "v16/dense_512": 1088,
    "v16/gabor_64x64_7k_4o_2s": 3984,
}


@pytest.mark.parametrize("name", COMPILED)
def test_it_is_what_googles_compiler_stores(shared, name):
    graph = read_model(shared / f"models/{name}.tflite").main
    plan = plan_memory(graph, partition(graph), min_runtime=14)
    assert plan.narrow_bytes_per_tile == COMPILED[name]
    assert not plan.spills


@pytest.mark.parametrize("size", ["353_481", "481_641"])
def test_what_does_not_fit_is_said(shared, size):
    """Google's compiler runs these in several passes over the plane."""
    graph = read_model(
        shared / f"models/v13/posenet_mobilenet_v1_075_{size}_16_quant_decoder.tflite"
    ).main
    assert plan_memory(graph, partition(graph), min_runtime=14).spills


def test_a_tensor_that_is_needed_later_takes_room_until_then():
    b = GraphBuilder("int8")
    first = b.conv2d(b.input((1, 64, 64, 4)), 16, 1)
    x = b.conv2d(b.conv2d(b.conv2d(first, 16, 1), 16, 1), 16, 1)
    chain = b.model(x)
    needs = narrow_bytes(chain.main, range(4))
    b.model(b.add(first, x))
    kept = narrow_bytes(b.model(b.add(first, x)).main, range(5))
    tile = 16 * 16 * 16
    assert needs[3] == 2 * tile
    assert kept[3] == 3 * tile


def test_a_window_reaches_into_the_neighbours():
    """Of 150 rows a tile owns 38; windows of 3 with a stride of 2 make it hold 40 (SSD)."""
    assert span(150, 75, 3, 2) == 40
    assert span(112, 112, 3, 1) == 30
    assert span(224, 112, 3, 2) == 57
    assert span(1, 1, 7, 1) >= 1


@pytest.mark.parametrize("shape", [(), (0,), (5,), (2, 3), (1, 2, 3, 4, 5), (1, 1 << 40, 1, 3)])
def test_any_shape_has_a_plane(shape):
    plane = plane_of(shape)
    assert plane.tile_pixels >= 0
