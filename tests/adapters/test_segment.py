"""Segmentation: a class a pixel, at the photo's own size."""

import numpy as np
import pytest
from PIL import Image
from vision_models import colour_segmenter, constant_model

from atoll.adapters import Segmenter, Wanted
from atoll.adapters.results import Mask
from atoll.adapters.segment import BODY_PARTS
from atoll.tflite.writer import write_model

VOC = ["background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair",
       "cow", "diningtable", "dog", "horse", "motorbike", "person"]  # fmt: skip
HALVES = np.zeros((8, 8), np.int64)
HALVES[:, 4:] = 2


def segmenter(outputs, **kwargs):
    return Segmenter(write_model(constant_model(outputs)), device="cpu", **kwargs)


@pytest.mark.parametrize(
    "output",
    [
        HALVES[None],
        HALVES[None, ..., None].astype(np.int32),
        HALVES[None].astype(np.uint8),
        np.eye(3, dtype=np.float32)[HALVES][None],
        (np.eye(3)[HALVES][None].astype(np.uint8) * 200, 0.1, 7),
    ],
    ids=["int64", "int32", "bytes", "scores", "8-bit scores"],
)
def test_classes_or_scores_give_the_same_mask(output):
    """Whether a model ends with its ArgMax or before it."""
    with segmenter({"o": output}, labels=["", "cat", "dog"]) as model:
        mask = model.see(np.zeros((60, 90, 3), np.uint8))
    assert mask.classes.shape == (60, 90)
    assert (mask.classes[:, :45] == 0).all()
    assert (mask.classes[:, 45:] == 2).all()
    (dog,) = mask.shares()
    assert (dog.label, dog.index, dog.score) == ("dog", 2, 0.5)


@pytest.mark.parametrize("known", [True, False])
def test_one_class_is_there_from_the_threshold_on(known):
    scores = np.full((1, 8, 8, 1), 0.3, np.float32)
    scores[:, :2] = 0.8
    if not known:
        scores = np.log(scores / (1 - scores))
    with segmenter({"o": scores}) as model:
        photo = np.zeros((16, 16, 3), np.uint8)
        assert model.see(photo).shares()[0].score == 0.25
        assert model.see(photo, Wanted(threshold=0.2)).shares()[0].score == 1.0
        assert model.see(photo, Wanted(threshold=0.9)).shares() == []


def test_bodypix_tells_parts_where_a_person_is():
    """Its part heatmaps say something everywhere; only on a person it counts."""
    person = np.full((1, 8, 8, 1), -4.0, np.float32)
    person[:, 2:6] = 4.0
    parts = np.zeros((1, 8, 8, 24), np.float32)
    parts[:, :4, :, BODY_PARTS.index("left face")] = 1.0
    parts[:, 4:, :, BODY_PARTS.index("torso front")] = 1.0
    with segmenter({"float_segments": person, "float_part_heatmaps": parts}) as model:
        assert model.kind == "bodypix-parts"
        mask = model.see(np.zeros((80, 80, 3), np.uint8))
    assert {(s.label, s.score) for s in mask.shares()} == {
        ("left face", 0.25),
        ("torso front", 0.25),
    }


def test_a_bodypix_without_parts_still_tells_where_people_are():
    """Its poses are another command's business."""
    person = np.full((1, 8, 8, 1), -4.0, np.float32)
    person[:, 2:6] = 4.0
    outputs = {"heat": np.zeros((1, 8, 8, 17), np.float32), "segments": person}
    with segmenter(outputs, labels=["", "person"]) as model:
        (found,) = model.see(np.zeros((80, 80, 3), np.uint8)).shares()
    assert (found.label, found.score) == ("person", 0.5)


def test_a_letterboxed_photo_has_no_border_in_its_mask():
    photo = np.zeros((50, 100, 3), np.uint8)
    photo[:, 50:] = 0, 255, 0
    with Segmenter(colour_segmenter(), device="cpu", resize="letterbox") as model:
        mask = model.see(photo)
    assert mask.classes.shape == (50, 100)
    assert (mask.classes[:, 52:] == 1).all()


def test_the_bird_is_a_bird_and_where_it_is(shared):
    """A real model on its own test photo: one bird, in the middle, and the sky is not of it."""
    for version in ("v10", "v13"):
        path = shared / f"models/{version}/deeplabv3_mnv2_dm05_pascal_quant.tflite"
        with Segmenter(path, device="cpu", labels=VOC) as model:
            mask = model.see(Image.open(shared / "data/photos/bird_segmentation.bmp"))
        bird = mask.where(VOC.index("bird"))
        assert mask.shares()[0].label == "bird"
        assert 0.1 < bird.mean() < 0.3
        ys, xs = np.nonzero(bird)
        assert 0.3 < ys.mean() / bird.shape[0] < 0.7
        assert 0.3 < xs.mean() / bird.shape[1] < 0.7
        assert not bird[:20].any()


def test_animals_and_people_are_told_by_name(shared):
    path = shared / "models/v13/deeplabv3_mnv2_dm05_pascal_quant.tflite"
    with Segmenter(path, device="cpu", labels=VOC) as model:
        for photo, label in (("cat.bmp", "cat"), ("grace_hopper.bmp", "person")):
            assert model.see(shared / "data/photos" / photo).shares()[0].label == label


def test_shares_add_up():
    classes = np.random.default_rng(0).integers(0, 5, (30, 40))
    shares = Mask(classes, ("a", "b"), background=None).shares()
    assert sum(part.score for part in shares) == pytest.approx(1.0)
    assert [part.score for part in shares] == sorted((p.score for p in shares), reverse=True)
    assert {p.label for p in shares} == {"a", "b", "class 2", "class 3", "class 4"}
