"""Outputs leave in tiles, and a tensor comes out of these again as it was."""

from dataclasses import replace

import numpy as np
import pytest
from compiled_files.tiles import tiles
from hypothesis import given
from hypothesis import strategies as st

from atoll.edgetpu.package import packages
from atoll.edgetpu.package_tables import (
    DataType,
    ExecutableType,
    InputLayer,
    Layer,
    OutputLayer,
    OutputLayout,
    OutputShapeInfo,
)
from atoll.errors import ModelError
from atoll.stick.layout import LayerLayout
from atoll.tflite.reader import read_model

KINDS = {DataType.FIXED_POINT8: np.uint8, DataType.SIGNED_FIXED_POINT8: np.int8}


def output(y, x, z, of=DataType.FIXED_POINT8, **changes):
    """An output in tiles."""
    maps, size = tiles(y, x, z)
    layout = OutputLayout(*(tuple(m) for m in maps))
    layer = Layer(
        name="out",
        size_bytes=-(-size // 8) * 8,
        y_dim=y,
        x_dim=x,
        z_dim=z,
        numerics=None,
        data_type=of,
        kind=OutputLayer(layout, DataType.FIXED_POINT8, None),
        execution_count_per_inference=1,
        cache_on_dram=False,
        shape=None,
    )
    return replace(layer, **changes)


def by_hand(layer, buffer):
    """The tensor by the rule of docs/format.md, one element at a time."""
    maps = layer.kind.layout
    found = np.empty((layer.y_dim, layer.x_dim, layer.z_dim), np.uint8)
    for y in range(layer.y_dim):
        for x in range(layer.x_dim):
            tile = maps.y_tile[y] + maps.x_tile[x]
            start = maps.tile_offset[tile] + maps.y_local[y] * maps.x_row_size[x] + maps.x_local[x]
            found[y, x] = buffer[start : start + layer.z_dim]
    return found


sides = st.integers(1, 20)


@given(sides, sides, st.integers(1, 9), st.sampled_from(list(KINDS)), st.integers(0, 2**32))
def test_tensors_come_back_from_the_tiles(y, x, z, kind, seed):
    """For any size: a pixel at the wrong place is a box at the wrong place."""
    layer = output(y, x, z, kind)
    tensor = np.random.default_rng(seed).integers(0, 256, (y, x, z), np.uint8).view(KINDS[kind])
    layout = LayerLayout(layer, "x")
    buffer = layout.to_chip(tensor)
    assert buffer.shape == (layer.size_bytes,)
    assert np.array_equal(layout.from_chip(buffer), tensor.view(np.uint8).reshape(-1))
    if y * x > 1:
        flip = 128 if kind == DataType.SIGNED_FIXED_POINT8 else 0
        assert np.array_equal(by_hand(layer, buffer), tensor.view(np.uint8) ^ flip)


def test_published_layouts_are_read_as_by_hand(shared):
    """Google's own maps, of one pixel to 48 x 48 and to 512 channels."""
    rng, checked = np.random.default_rng(0), 0
    for path in sorted((shared / "models").glob("*/*_edgetpu.tflite")):
        for package in packages(read_model(path)):
            run = package.executable(ExecutableType.EXECUTION_ONLY)
            for layer in run.output_layers:
                layout = LayerLayout(layer, path)
                if layer.y_dim * layer.x_dim == 1:
                    continue
                buffer = rng.integers(0, 256, layer.size_bytes, np.uint8)
                flip = 128 if layer.data_type == DataType.SIGNED_FIXED_POINT8 else 0
                ours = layout.from_chip(buffer).reshape(layer.y_dim, layer.x_dim, layer.z_dim)
                assert np.array_equal(ours, by_hand(layer, buffer) ^ flip)
                checked += 1
    assert checked >= 25


def test_what_lies_between_the_elements_is_not_zero():
    """A driver that reads padding must not be lucky."""
    buffer = LayerLayout(output(3, 3, 3), "x").to_chip(np.zeros((3, 3, 3), np.uint8))
    assert set(buffer.tolist()) == {0, 0xCC}


def test_inputs_that_run_several_times_are_padded_each():
    """Iterative models have their input cut into equal shares."""
    layer = output(1, 1, 3, execution_count_per_inference=4, size_bytes=32, kind=InputLayer())
    layout = LayerLayout(layer, "x")
    buffer = np.arange(32, dtype=np.uint8)
    assert layout.from_chip(buffer).tolist() == [0, 1, 2, 8, 9, 10, 16, 17, 18, 24, 25, 26]


def wide_layer():
    return output(1, 1, 5, DataType.SIGNED_FIXED_POINT16, size_bytes=16, kind=InputLayer())


def test_sixteen_bits_are_flipped_at_the_top():
    """A state of an LSTM."""
    sent = np.array([-32768, -1, 0, 1, 32767], "<i2")
    buffer = LayerLayout(wide_layer(), "x").to_chip(sent)
    assert buffer.view("<u2")[:5].tolist() == [0, 32767, 32768, 32769, 65535]


DAMAGE = {
    "no size": {"size_bytes": 0},
    "too small": {"size_bytes": 8},
    "no height": {"y_dim": 0},
    "a negative width": {"x_dim": -3},
    "a size that would fill memory": {"size_bytes": 2**31 - 8, "z_dim": 2**30},
    "more elements than there are": {"y_dim": 2**30, "x_dim": 2**30},
}


@pytest.mark.parametrize("changes", DAMAGE.values(), ids=DAMAGE)
def test_layers_that_contradict_themselves_are_refused(changes):
    """Compiled files come from anywhere."""
    with pytest.raises(ModelError, match="'out'") as caught:
        LayerLayout(output(4, 4, 4, **changes), "x")
    assert len(str(caught.value).splitlines()) == 1


@given(st.integers(0, 5), st.integers(-5, 400), st.integers(0, 30))
def test_maps_that_lead_astray_are_refused_or_harmless(which, value, place):
    """An element outside would be another's memory in C; here it must be an error."""
    layer = output(5, 6, 3)
    fields = list(vars(layer.kind.layout))
    numbers = list(getattr(layer.kind.layout, fields[which]))
    numbers[place % len(numbers)] = value
    layout = replace(layer.kind.layout, **{fields[which]: tuple(numbers)})
    changed = replace(layer, kind=replace(layer.kind, layout=layout))
    tensor = np.random.default_rng(0).integers(0, 256, (5, 6, 3), np.uint8)
    try:
        made = LayerLayout(changed, "x")
    except ModelError:
        return
    assert np.array_equal(made.from_chip(made.to_chip(tensor)), tensor.reshape(-1))


def test_layouts_that_are_not_known_are_refused():
    """Outputs in slices are in the format, and in no file that was seen."""
    sliced = OutputLayer(None, DataType.FIXED_POINT8, OutputShapeInfo((), ()))
    with pytest.raises(ModelError, match="slices"):
        LayerLayout(output(4, 4, 4, kind=sliced), "x")
    with pytest.raises(ModelError, match="2 executions"):
        LayerLayout(output(4, 4, 2, execution_count_per_inference=2), "x")
    short = replace(output(4, 4, 4).kind.layout, y_tile=(0,))
    with pytest.raises(ModelError, match="shorter"):
        LayerLayout(output(4, 4, 4, kind=OutputLayer(short, DataType.FIXED_POINT8, None)), "x")
