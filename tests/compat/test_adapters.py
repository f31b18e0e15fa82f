"""pycoral's adapters: the originals' numbers, to the last one."""

import numpy as np
import pytest
from coral_models import BOXES, COUNT, FOUND, IDS, SCORES, classifier, image_of, windows
from PIL import Image
from pixel_models import pixel_model

from atoll.compat.pycoral.adapters import classify, common, detect, segment
from atoll.compat.pycoral.adapters.detect import BBox
from atoll.compat.tflite_runtime.interpreter import Interpreter
from atoll.tflite.writer import write_model


def opened(model, image=None):
    """A model, after a call."""
    interpreter = Interpreter(model_content=write_model(model))
    interpreter.allocate_tensors()
    if image is not None:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image)
        interpreter.invoke()
    return interpreter


def test_boxes_are_what_they_were():
    """Programs compare boxes, take them apart, and draw them."""
    box = BBox(100, 110, 200, 210)
    assert (box.width, box.height, box.area, box.valid) == (100, 100, 10_000, True)
    assert box == (100, 110, 200, 210)
    assert repr(box) == "BBox(xmin=100, ymin=110, xmax=200, ymax=210)"
    assert BBox(1, 1, 10, 20).scale(3, 4) == BBox(3, 4, 30, 80)
    assert BBox(1, 1, 10, 20).translate(10, 20) == BBox(11, 21, 20, 40)
    assert BBox(1.9, 2.1, 3.9, 4.9).map(int) == BBox(1, 2, 3, 4)
    one, two = BBox(0, 0, 200, 200), BBox(100, 100, 300, 300)
    assert BBox.intersect(one, two) == BBox(100, 100, 200, 200)
    assert BBox.union(one, two) == BBox(0, 0, 300, 300)
    assert BBox.iou(one, two) == 10_000 / 70_000
    apart = BBox.intersect(BBox(0, 0, 10, 20), BBox(20, 30, 25, 35))
    assert apart == BBox(20, 30, 10, 20)
    assert not apart.valid
    assert BBox.iou(BBox(0, 0, 10, 20), BBox(20, 30, 25, 35)) == 0.0
    assert isinstance(box._replace(xmin=1), BBox)


def boxes_for(seed=0):
    rng = np.random.default_rng(seed)
    boxes = rng.random(BOXES, np.float32)
    scores = np.sort(rng.random(SCORES, np.float32))[:, ::-1]
    return boxes, np.arange(FOUND, dtype=np.float32)[None], scores, np.float32([FOUND])


# Which of boxes, ids, scores and count is which output, and the names in a signature.
TF1 = ((BOXES, IDS, SCORES, COUNT), (0, 1, 2, 3), None)
TF2 = ((SCORES, BOXES, COUNT, IDS), (2, 0, 3, 1), None)
NAMED = ((COUNT, SCORES, IDS, BOXES), (3, 2, 1, 0), [f"output_{i}" for i in range(4)])
NAMED_OTHERWISE = (
    (BOXES, COUNT, IDS, SCORES),
    (0, 3, 1, 2),
    ["output_3", "output_0", "output_2", "output_1"],
)


@pytest.mark.parametrize(("shapes", "order", "names"), [TF1, TF2, NAMED, NAMED_OTHERWISE])
def test_objects_are_found_in_every_order_of_outputs(shapes, order, names):
    """Detectors of TensorFlow 1 and 2 have their outputs in other orders."""
    arrays = boxes_for()
    interpreter = opened(
        windows(shapes, signature=names), image_of(*(arrays[place] for place in order))
    )
    objects = detect.get_objects(interpreter, image_scale=(0.5, 0.25))
    boxes, ids, scores, _ = arrays
    assert [found.id for found in objects] == ids[0].tolist()
    assert [found.score for found in objects] == [float(score) for score in scores[0]]
    for found, (ymin, xmin, ymax, xmax) in zip(objects, boxes[0], strict=True):
        # The input is 8 by 8: float64 of a float32, then cut off.
        assert found.bbox == (
            int(16.0 * xmin),
            int(32.0 * ymin),
            int(16.0 * xmax),
            int(32.0 * ymax),
        )
    assert all(type(number) is int for number in objects[0].bbox)
    least = float(scores[0][2])
    assert len(detect.get_objects(interpreter, least)) == 3
    # Nothing is held of the interpreter's memory.
    interpreter.invoke()


def test_a_model_with_two_signatures_is_refused():
    """Which of them is meant, nobody could tell."""
    model = windows(NAMED[0], signature=NAMED[2])
    model.signatures *= 2
    model.signatures[1] = type(model.signatures[0])()
    vars(model.signatures[1]).update(vars(model.signatures[0]), signatureKey=b"other")
    with pytest.raises(ValueError, match="Only support model with one signature"):
        detect.get_objects(opened(model, image_of(np.zeros(31))))


@pytest.mark.parametrize(("kind", "zero_point"), [("UINT8", 128), ("INT8", -3)])
def test_scores_are_computed_in_64_bits(kind, zero_point):
    """In the output's own 8 bits the difference would run over."""
    interpreter = opened(pixel_model(kind, 1 / 128, zero_point))
    stored = np.arange(48).reshape(1, 4, 4, 3).astype(kind.lower())
    common.set_input(interpreter, stored[0])
    interpreter.invoke()
    scores = classify.get_scores(interpreter)
    assert scores.dtype == np.float64
    assert np.array_equal(scores, (stored.ravel().astype(np.int64) - zero_point) * 0.0078125)
    assert classify.num_classes(interpreter) == 48
    best = classify.get_classes(interpreter, top_k=2)
    assert best == [(47, scores[47]), (46, scores[46])]
    assert best[0]._fields == ("id", "score")
    interpreter.invoke()


def test_scores_in_float_stay_as_they_are():
    """What a model computed in float is no number of steps."""
    numbers = np.linspace(-1, 1, 48, dtype=np.float32).reshape(1, 4, 4, 3)
    scores = classify.get_scores(opened(pixel_model("FLOAT32", None), numbers))
    assert scores.dtype == np.float32
    assert np.array_equal(scores, numbers.ravel())


def test_classes_are_chosen_as_by_the_original():
    """How many, above which score, and in which order."""
    scores = np.array([0.1, 0.5, 0.5, 0.9, 0.0])
    choose = classify.get_classes_from_scores
    assert [found.id for found in choose(scores, top_k=1)] == [3]
    assert {found.id for found in choose(scores, top_k=3)} == {1, 2, 3}
    assert [found.score for found in choose(scores)] == [0.9, 0.5, 0.5, 0.1, 0.0]
    assert len(choose(scores, top_k=99)) == 5
    assert [found.id for found in choose(scores, score_threshold=0.9)] == [3]
    assert choose(scores, score_threshold=1.0) == []


def test_photos_are_letterboxed_at_the_top_left():
    """A photo that is stretched or centred gives boxes elsewhere."""
    interpreter = opened(classifier())
    photo = Image.new("RGB", (40, 20), (200, 100, 50))
    common.input_tensor(interpreter).fill(77)
    resized, scale = common.set_resized_input(interpreter, photo.size, photo.resize)
    assert resized.size == (16, 8)
    assert scale == (0.4, 0.4)
    filled = common.input_tensor(interpreter).copy()
    assert (filled[:8, :16] == (200, 100, 50)).all()
    assert not filled[8:].any()
    assert tuple(common.input_size(interpreter)) == (16, 16)
    interpreter.invoke()
    assert common.output_tensor(interpreter, 0).shape == (1, 10)
    assert common.input_details(interpreter, "dtype") is np.uint8


def test_grey_photos_have_a_channel_too():
    """Pillow's grey photos have no axis of channels."""
    interpreter = opened(classifier(channels=1))
    photo = Image.new("L", (16, 16), 9)
    common.set_resized_input(interpreter, photo.size, photo.resize)
    assert (common.input_tensor(interpreter) == 9).all()


def test_segments_are_classes_in_8_bits():
    """A colour map is indexed by them, also where the model gives 64-bit numbers or floats."""
    interpreter = opened(windows([(1, 4, 6)]), image_of(np.arange(24)))
    pixels = segment.get_output(interpreter)
    assert pixels.dtype == np.uint8
    assert np.array_equal(pixels, np.arange(24).reshape(4, 6))
    interpreter.invoke()
