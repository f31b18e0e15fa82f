"""Boxes: which of many stand for an object. Held against LiteRT's operator and TensorFlow's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atoll import Interpreter
from atoll.adapters.boxes import from_centers, from_yx, nms, overlaps
from atoll.adapters.results import Box
from atoll.tflite.graph import Model, Operator, Subgraph, Tensor
from atoll.tflite.writer import write_model


def some_boxes(seed, n):
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 1, (n, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(0.05, 0.5, (n, 2))], axis=1)
    # 8-bit scores tie often.
    return boxes.astype(np.float32), (rng.integers(0, 64, n) / 64).astype(np.float32)


def litert_nms(boxes, scores, overlap, most):
    """LiteRT's operator NON_MAX_SUPPRESSION_V4."""
    n = len(boxes)
    tensors = [
        Tensor("boxes", "FLOAT32", (n, 4)),
        Tensor("scores", "FLOAT32", (n,)),
        Tensor("most", "INT32", (), data=np.array(most, np.int32)),
        Tensor("overlap", "FLOAT32", (), data=np.array(overlap, np.float32)),
        Tensor("least", "FLOAT32", (), data=np.array(-1, np.float32)),
        Tensor("chosen", "INT32", (most,)),
        Tensor("count", "INT32", ()),
    ]
    op = Operator("NON_MAX_SUPPRESSION_V4", [0, 1, 2, 3, 4], [5, 6])
    graph = Subgraph("main", tensors, [op], [0, 1], [5, 6])
    with Interpreter(write_model(Model([graph])), "cpu") as interpreter:
        chosen, count = interpreter.invoke(boxes[:, [1, 0, 3, 2]], scores)
    return chosen[: int(count)]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("overlap", [0.1, 0.5, 0.9])
def test_suppression_keeps_what_litert_keeps(seed, overlap):
    """A crowd drawn as one person, or one person twice."""
    boxes, _ = some_boxes(seed, 200)
    # All different: which of two equal scores goes first is nobody's rule.
    scores = np.random.default_rng(seed).permutation(200).astype(np.float32) / 200
    ours = nms(boxes, scores, overlap=overlap)
    assert list(ours) == list(litert_nms(boxes, scores, overlap, 200))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_suppression_keeps_what_tensorflow_keeps(seed):
    """The same, against the implementation that detectors are trained and measured with."""
    tf = pytest.importorskip("tensorflow")
    boxes, _ = some_boxes(seed, 300)
    scores = np.random.default_rng(seed).permutation(300).astype(np.float32) / 300
    theirs = tf.image.non_max_suppression(boxes[:, [1, 0, 3, 2]], scores, 50, 0.4).numpy()
    assert list(nms(boxes, scores, overlap=0.4, most=50)) == list(theirs)


@settings(max_examples=50)
@given(st.integers(0, 10_000), st.integers(0, 40), st.floats(0.0, 1.0))
def test_what_is_kept_does_not_overlap_and_what_is_not_does(seed, n, overlap):
    boxes, scores = some_boxes(seed, n)
    classes = np.random.default_rng(seed).integers(0, 3, n)
    kept = nms(boxes, scores, classes, overlap=overlap)
    for place, one in enumerate(kept):
        earlier = kept[:place][classes[kept[:place]] == classes[one]]
        assert (overlaps(boxes[one], boxes[earlier]) <= overlap).all()
    for gone in set(range(n)) - set(map(int, kept)):
        same = kept[classes[kept] == classes[gone]]
        better = same[scores[same] >= scores[gone]]
        assert (overlaps(boxes[gone], boxes[better]) > overlap).any()


def test_a_dog_on_a_sofa_is_two_things():
    """Boxes of different classes may lie on each other."""
    boxes = np.float32([[0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 1, 1]])
    kept = nms(boxes, np.float32([0.5, 0.9, 0.7]), np.array([0, 1, 1]))
    assert list(kept) == [1, 0]


def test_no_more_are_kept_than_asked_for_and_none_of_none():
    boxes, scores = some_boxes(1, 100)
    assert list(nms(boxes, scores, overlap=0.99, most=3)) == list(
        nms(boxes, scores, overlap=0.99)[:3]
    )
    assert nms(np.zeros((0, 4)), np.zeros(0)).tolist() == []


def test_the_forms_of_a_box():
    assert np.allclose(from_centers(np.array([[0.5, 0.4, 0.2, 0.4]])), [[0.4, 0.2, 0.6, 0.6]])
    assert from_yx(np.array([[1, 2, 3, 4]])).tolist() == [[2, 1, 4, 3]]
    assert np.allclose(overlaps(np.zeros(4), np.zeros((2, 4))), 0)


def test_a_typed_box_knows_its_overlap_as_the_arrays_do():
    boxes, _ = some_boxes(3, 30)
    typed = [Box(*map(float, box)) for box in boxes]
    expected = overlaps(boxes[0].astype(np.float64), boxes.astype(np.float64))
    assert np.allclose([typed[0].overlap(box) for box in typed], expected)
    assert Box(-5, -5, 20, 8).clipped(10, 10) == Box(0, 0, 10, 8)
    assert Box(3, 3, 1, 1).area == 0
