"""Pose models: the points of a body, where they are on the photo."""

import numpy as np
import pytest
from PIL import Image
from vision_models import constant_model

from atoll.adapters import PoseEstimator, Wanted
from atoll.adapters.facts import Facts
from atoll.adapters.posenet import stride_of
from atoll.adapters.skeleton import BONES, KEYPOINTS
from atoll.tflite.edit import with_main
from atoll.tflite.reader import read_model
from atoll.tflite.writer import write_model

# A photo twice as wide as high, and 17 points on it in pixels.
PHOTO = np.zeros((100, 200, 3), np.uint8)
POINTS = np.stack([np.linspace(20, 180, 17), np.linspace(10, 90, 17)], axis=1)
SCORES = np.linspace(0.5, 0.98, 17).astype(np.float32)


def estimator(outputs, size=(192, 192), **kwargs):
    model = constant_model(outputs, size=size)
    return PoseEstimator(write_model(model), device="cpu", **kwargs)


def in_letterbox(points):
    """Points of the photo over a square input, from 0 to 1: the photo lies in its middle half."""
    return points / 200 + (0, 0.25)


def check(pose, points=POINTS, atol=0.05):
    assert [point.name for point in pose.keypoints] == list(KEYPOINTS)
    found = np.array([(point.x, point.y) for point in pose.keypoints])
    assert np.allclose(found, points, atol=atol)


def test_movenet_over_the_border():
    """Its y comes first, and the border around the photo is none of the body's business."""
    triples = np.column_stack([in_letterbox(POINTS)[:, ::-1], SCORES])
    with estimator({"o": np.float32(triples).reshape(1, 1, 17, 3)}) as movenet:
        assert (movenet.kind, movenet.resize) == ("movenet", "letterbox")
        (pose,) = movenet.see(PHOTO)
    check(pose)
    assert pose.score == pytest.approx(float(SCORES.mean()), abs=1e-5)
    assert np.allclose([p.score for p in pose.keypoints], SCORES, atol=1e-5)


def test_movenet_for_many_people_tells_the_surest_first():
    rows = np.zeros((1, 6, 56), np.float32)
    for person, score in ((1, 0.4), (4, 0.9)):
        triples = np.column_stack([in_letterbox(POINTS + person)[:, ::-1], SCORES])
        rows[0, person, :51], rows[0, person, 55] = triples.reshape(-1), score
    with estimator({"o": rows}) as movenet:
        assert movenet.kind == "movenet-many"
        first, second = movenet.see(PHOTO)
        assert len(movenet.see(PHOTO, Wanted(threshold=0.5))) == 1
    check(first, POINTS + 4)
    check(second, POINTS + 1)
    assert (round(first.score, 4), round(second.score, 4)) == (0.9, 0.4)


@pytest.mark.parametrize("turned", [True, False])
def test_yolo_s_people_are_not_told_twice(turned):
    cells = 84  # of a 64x64 input
    rows = np.zeros((cells, 56), np.float32)
    for cell, score in ((5, 0.8), (6, 0.9)):
        rows[cell, :5] = [32, 32, 30, 20, score]
        triples = np.column_stack([in_letterbox(POINTS + cell) * 64, SCORES])
        rows[cell, 5:] = triples.reshape(-1)
    rows[50, :5] = [60, 60, 4, 4, 0.5]
    with estimator({"o": (rows.T if turned else rows)[None]}, size=(64, 64)) as yolo:
        assert yolo.kind == "yolov8-pose"
        poses = yolo.see(PHOTO)
    assert [round(p.score, 3) for p in poses] == [0.9, 0.5]
    check(poses[0], POINTS + 6)


def posenet_outputs(order=(0, 1, 2, 3)):
    points = np.zeros((1, 5, 17, 2), np.float32)
    points[0, 0] = (POINTS / (200, 100) * (257, 161))[:, ::-1]
    parts = np.zeros((1, 5, 17), np.float32)
    parts[0, 0] = SCORES
    outputs = {"poses": points, "poses:1": parts, "poses:2": np.float32([[0.8, 0, 0, 0, 0]]),
               "poses:3": np.float32([1])}  # fmt: skip
    return {name: outputs[name] for name in [list(outputs)[i] for i in order]}


def test_decoded_poses_are_told_in_pixels_of_the_photo():
    with estimator(posenet_outputs(), size=(257, 161)) as posenet:
        assert (posenet.kind, posenet.resize) == ("posenet", "stretch")
        (pose,) = posenet.see(PHOTO)
    check(pose)
    assert pose.score == pytest.approx(0.8)


@pytest.mark.parametrize("count", [0.0, 99.0, -1.0, np.nan])
def test_a_count_that_makes_no_sense_does_no_harm(count):
    outputs = posenet_outputs() | {"poses:3": np.float32([count])}
    with estimator(outputs, size=(257, 161)) as posenet:
        assert len(posenet.see(PHOTO)) in (0, 1)


def test_one_person_from_heatmaps_and_offsets_alone():
    """The float PoseNet of TensorFlow's examples, 9x9 cells at a stride of 32."""
    heat = np.full((1, 9, 9, 17), -5.0, np.float32)
    offsets = np.zeros((1, 9, 9, 34), np.float32)
    target = POINTS / (200, 100) * 257
    for part, (x, y) in enumerate(target):
        column, row = min(int(x // 32), 8), min(int(y // 32), 8)
        heat[0, row, column, part] = 4.0
        offsets[0, row, column, part] = y - 32 * row
        offsets[0, row, column, part + 17] = x - 32 * column
    with estimator({"h": heat, "o": offsets}, size=(257, 257)) as posenet:
        assert posenet.kind == "posenet-raw"
        (pose,) = posenet.see(PHOTO)
    check(pose, atol=0.5)
    assert pose.score == pytest.approx(1 / (1 + np.exp(-4)), abs=1e-3)


@pytest.mark.parametrize(
    ("width", "columns", "stride"),
    [(353, 23, 16), (257, 9, 32), (512, 33, 16), (640, 40, 16), (337, 43, 8), (192, 6, 32)],
)
def test_strides_are_told_from_the_size_of_the_maps(width, columns, stride):
    """Where a cell lies on the photo depends on it."""
    assert stride_of(Facts("m", width, width, ()), columns) == stride


def without_decoder(path):
    """A published PoseNet whose outputs are the maps that its decoder takes."""
    model = read_model(path)
    graph = model.main
    (decoder,) = [op for op in graph.operators if op.custom_name]
    graph.operators.remove(decoder)
    graph.outputs = list(decoder.inputs)
    return write_model(with_main(model, graph))


def test_raw_maps_give_what_the_operator_gives(shared):
    """A model without the operator, decoded by us, and the same with it: the same people."""
    path = shared / "models/v13/posenet_mobilenet_v1_075_353_481_16_quant_decoder.tflite"
    image = Image.open(shared / "data/photos/test_image.bmp").convert("RGB")
    with PoseEstimator(path, device="cpu") as inside:
        expected = inside.see(image)
    with PoseEstimator(without_decoder(path), device="cpu") as outside:
        assert outside.kind == "posenet-raw"
        found = outside.see(image, Wanted(threshold=0.2, most=20))
    assert len(found) == len(expected) == 2
    for one, two in zip(found, expected, strict=True):
        assert one.score == pytest.approx(two.score, abs=1e-4)
        for a, b in zip(one.keypoints, two.keypoints, strict=True):
            assert (a.x, a.y) == pytest.approx((b.x, b.y), abs=0.01)


def test_a_woman_is_posed_as_she_sits(shared):
    """Grace Hopper's portrait: eyes above the nose, shoulders level below it, left to the right."""
    image = Image.open(shared / "data/photos/grace_hopper.bmp").convert("RGB")
    for name in ("v13/movenet_single_pose_lightning_ptq",
                 "v13/posenet_mobilenet_v1_075_353_481_16_quant_decoder"):  # fmt: skip
        with PoseEstimator(shared / f"models/{name}.tflite", device="cpu") as estimator:
            (pose,) = estimator.see(image)
        at = {point.name: point for point in pose.keypoints}
        assert at["left eye"].y < at["nose"].y < at["left shoulder"].y
        assert abs(at["left shoulder"].y - at["right shoulder"].y) < 0.05 * image.height
        # Her left is the viewer's right.
        assert at["right shoulder"].x < at["nose"].x < at["left shoulder"].x
        assert 0.35 * image.width < at["nose"].x < 0.65 * image.width
        box = pose.box(0.3)
        assert 0 <= box.left < box.right <= image.width


def test_the_skeleton_is_one_body():
    """Every point hangs together with every other."""
    reached = {0, *range(1, 5)}  # the head is drawn apart from the body
    body = {5}
    for _ in range(17):
        body |= {b for a, b in BONES if a in body} | {a for a, b in BONES if b in body}
    assert body == set(range(5, 17))
    assert reached | body == set(range(17))
