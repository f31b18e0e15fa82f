"""Segments run one after another, and give what the whole gives."""

import numpy as np
import pytest

from atoll import Interpreter
from atoll.compiler import program
from atoll.compiler.job import compile_models
from atoll.compiler.request import Request
from atoll.errors import UsageError
from atoll.tflite.build import GraphBuilder
from atoll.tflite.writer import write_model


@pytest.fixture(autouse=True)
def no_google(monkeypatch):
    monkeypatch.setattr(program, "COMMAND", "no-such-compiler")


def residual(blocks=6):
    """Blocks with a skip each, one skip over all of them, and a tail that stays on the CPU."""
    b = GraphBuilder("int8", seed=1)
    first = x = b.conv2d(b.input((1, 16, 16, 4)), 16, 3, activation="RELU")
    for _ in range(blocks):
        y = b.conv2d(x, 16, 3, activation="RELU")
        x = b.add(x, b.conv2d(y, 16, 1))
    x = b.add(x, first)
    return b.model([b.resize(x, (160, 160)), b.mean(x)])


def large(layers=12):
    """More parameters than one chip caches, and no more than two do."""
    b = GraphBuilder("int8", seed=1)
    x = b.input((1, 1024))
    for _ in range(layers):
        x = b.dense(x, 1024)
    return b.model(x)


def segments_of(tmp_path, model, count):
    path = tmp_path / "m.tflite"
    path.write_bytes(write_model(model))
    return path, compile_models([path], tmp_path / "out", Request(backend="sim", segments=count))


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_the_segments_compute_what_the_whole_computes(tmp_path, count):
    """A tensor that is not handed on, or under another name, stops the pipeline."""
    path, done = segments_of(tmp_path, residual(), count)
    pixels = np.random.default_rng(0).integers(-128, 128, (1, 16, 16, 4), np.int8)
    with Interpreter(path, device="cpu") as whole:
        expected = whole.invoke(pixels)
        known = {whole.inputs[0].name: pixels}
    for segment in done:
        with Interpreter(segment.output, device="sim") as piece:
            values = piece.invoke(*[known[tensor.name] for tensor in piece.inputs])
            known |= {t.name: v for t, v in zip(piece.outputs, values, strict=True)}
    assert all((one == two).all() for one, two in zip(values, expected, strict=True))


def test_the_names_are_googles_and_each_has_its_log(tmp_path):
    """A pipeline runner finds the segments by their names."""
    _, done = segments_of(tmp_path, residual(), 2)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "m_segment_0_of_2.log",
        "m_segment_0_of_2_sim.tflite",
        "m_segment_1_of_2.log",
        "m_segment_1_of_2_sim.tflite",
    ]
    assert [one.segment for one in done] == [(0, 2), (1, 2)]
    assert sum(one.ops_total for one in done) == len(residual().main.operators)
    # What stays on the CPU stands at the end, and the operators count from each segment's first.
    assert [v.target for v in done[1].verdicts].count("cpu") == 1
    assert [v.index for one in done for v in one.verdicts] == [
        index for one in done for index in range(one.ops_total)
    ]


def test_each_segment_has_a_cache_of_its_own(tmp_path):
    """That is what a second Edge TPU is bought for: nothing is streamed any more."""
    _, (whole,) = segments_of(tmp_path, large(), 1)
    assert whole.sizes.offchip > 0
    _, done = segments_of(tmp_path, large(), 2)
    assert [one.sizes.offchip for one in done] == [0, 0]
    slowest = max(one.latency["usb3"].ms for one in done)
    assert slowest < whole.latency["usb3"].ms / 2


def test_more_segments_than_mapped_operators_are_refused(tmp_path):
    """An empty segment would waste a chip."""
    with pytest.raises(UsageError, match="64 segments"):
        segments_of(tmp_path, large(3), 64)
    assert not (tmp_path / "out").exists()


def test_a_note_says_where_fewer_segments_would_be_faster(tmp_path):
    """A chip that only adds transfers would be bought for nothing."""
    b = GraphBuilder("int8", seed=1)
    x = b.input((1, 64, 64, 3))
    for _ in range(3):
        x = b.conv2d(x, 64, 3)
    model = b.model(b.mean(x))
    _, done = segments_of(tmp_path, model, 4)
    assert len(done) == 4
    (note,) = [note for one in done for note in one.notes if "would be faster" in note]
    assert "Predicted: the whole model on one Edge TPU" in note
    _, (whole,) = segments_of(tmp_path, model, 1)
    slowest = max(one.latency["usb3"].ms for one in done)
    faster = whole.latency["usb3"].ms
    assert f"{faster:.2f} ms over usb3 against {slowest:.2f} ms of the slowest" in note
    _, enough = segments_of(tmp_path, large(), 2)
    assert not any("faster" in note for one in enough for note in one.notes)
