"""Which adapter a model gets; and what is said where none fits."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pixel_models import pixel_model
from vision_models import colour_detector, constant_model

from atoll import Interpreter
from atoll.adapters import Classifier, Detector, PoseEstimator, Segmenter, Wanted
from atoll.adapters.drawing import draw
from atoll.adapters.placement import RESIZES
from atoll.adapters.results import to_json
from atoll.adapters.tasks import tables
from atoll.errors import AtollError, ModelError, UsageError
from atoll.tflite.writer import write_model

TASKS = (Classifier, Detector, Segmenter, PoseEstimator)


def opened(task, outputs, **kwargs):
    return task(write_model(constant_model(outputs)), device="cpu", **kwargs)


def refusal(task, outputs, **kwargs) -> str:
    with pytest.raises(ModelError) as caught:
        opened(task, outputs, **kwargs)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_classifier_is_no_detector_and_is_told_so():
    """pycoral says: IndexError: list index out of range."""
    text = refusal(Detector, {"scores": np.zeros((1, 10), np.float32)})
    assert "boxes [1,N,4], classes [1,N], scores [1,N], count [1]" in text
    assert "Received: 1 output [1, 10] for 32x32" in text
    assert "Try atoll classify" in text


def test_a_named_adapter_says_what_it_expects():
    outputs = {"a": np.zeros((1, 10, 4), np.float32), "b": np.zeros((1, 9), np.float32)}
    text = refusal(Detector, outputs, kind="ssd")
    assert "ssd expects boxes [1,N,4]" in text
    assert "2 outputs [1, 10, 4], [1, 9]" in text
    assert "atoll.Interpreter" in text


def test_a_wrong_name_is_told_the_right_ones():
    for adapter in ("ssd", "yolov8"):
        assert adapter in refusal_of_kind("yolov9000")


def refusal_of_kind(kind):
    with pytest.raises(UsageError) as caught:
        Detector(colour_detector(), device="cpu", kind=kind)
    return str(caught.value)


def test_a_fitting_adapter_is_named_where_another_was_asked_for():
    values = np.zeros((1, 21, 9), np.float32)
    assert "Try --kind yolov8" in refusal(Detector, {"o": values}, kind="ssd")


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(
    "shapes",
    [
        [()],
        [(0,)],
        [(1,)],
        [(1, 1)],
        [(1, 1, 1, 1)],
        [(3,), (2,)],
        [(1, 4)],
        [(1, 0, 4), (1, 0)],
        [(1, 2, 4), (1, 2), (1, 2), (2,)],
        [(1, 7, 7, 17)],
        [(1, 7, 7, 17), (1, 6, 7, 34)],
        [(1, 7, 7, 1), (1, 6, 6, 24)],
        [(1, 1917, 4), (1, 1917, 0)],
        [(1, 2, 3, 4, 5)],
        [(1, 8, 8, 66)],
        [(1, 3, 3, 17, 3)],
        [(1,)] * 12,
    ],
)
def test_no_shape_leads_to_anything_but_an_answer_or_a_refusal(task, shapes):
    """Whatever a model gives, it is understood or refused in one line."""
    rng = np.random.default_rng(0)
    arrays = [rng.uniform(0, 1, shape).astype(np.float32) for shape in shapes]
    outputs = {f"o{i}": array for i, array in enumerate(arrays)}
    try:
        with opened(task, outputs) as model:
            model.see(np.zeros((40, 30, 3), np.uint8))
    except AtollError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("task", TASKS)
def test_every_row_of_every_table_refuses_what_it_does_not_know(task):
    """An adapter that is named for a model of another form must refuse it too."""
    for row in task.adapters():
        with pytest.raises(AtollError):
            opened(
                task,
                {"a": np.zeros((3,), np.float32), "b": np.zeros((5,), np.float32)},
                kind=row.name,
            )


def test_the_names_of_adapters_are_their_own():
    for rows in tables().values():
        names = [row.name for row in rows]
        assert len(set(names)) == len(names)
        assert all(row.what for row in rows)


def test_the_page_names_every_adapter_as_it_is():
    """A name that is not on the page cannot be given to --kind."""
    text = (Path(__file__).parents[2] / "docs" / "adapters.md").read_text()
    for rows in tables().values():
        for row in rows:
            assert f"| `{row.name}` | {row.what} | {row.resize} |" in text
    for resize in RESIZES.values():
        assert f"| `{resize.name}` | {resize.what} |" in text


def test_an_interpreter_that_is_given_stays_open():
    """A pipeline opens its models itself, and shares them."""
    with Interpreter(colour_detector(), "cpu") as interpreter:
        for _ in range(2):
            with Detector(interpreter) as detector:
                assert detector.device == "cpu"
                detector.see(np.zeros((9, 9, 3), np.uint8))
        interpreter.invoke(np.zeros((1, 64, 64, 3), np.uint8))


def test_float_inputs_get_what_their_family_is_trained_with():
    """A float YOLO takes 0 to 1, a float MoveNet 0 to 255, and the file does not say so."""
    white = np.full((8, 8, 3), 255, np.uint8)
    cases = [
        (Detector, {"o": np.zeros((1, 7, 6), np.float32)}, 1.0),
        (PoseEstimator, {"o": np.zeros((1, 1, 17, 3), np.float32)}, 255.0),
        (Classifier, {"o": np.zeros((1, 7), np.float32)}, 1.0),
        (Segmenter, {"o": np.zeros((1, 8, 8, 4), np.float32)}, 1.0),
    ]
    for task, outputs, top in cases:
        model = constant_model(outputs, kind="FLOAT32")
        with task(write_model(model), device="cpu") as opened_model:
            assert opened_model.preprocessing.normalize(white).max() == top


def test_what_an_adapter_is_told_to_do_it_does():
    with pytest.raises(UsageError, match="stretch, letterbox, crop"):
        Classifier(write_model(pixel_model()), resize="squeeze")
    for resize in ("stretch", "letterbox", "crop"):
        with Classifier(write_model(pixel_model()), resize=resize) as classifier:
            assert classifier.resize == resize
            assert classifier.see(np.zeros((20, 10, 3), np.uint8))


def test_labels_that_name_no_object_are_left_out():
    """TensorFlow's COCO list begins with ???, and the operator does not count it."""
    outputs = {
        "boxes": np.float32([[[0, 0, 1, 1]]]),
        "classes": np.float32([[0]]),
        "scores": np.float32([[0.9]]),
        "count": np.float32([1]),
    }
    photo = np.zeros((8, 8, 3), np.uint8)
    for first in ("???", "background"):
        with opened(Detector, outputs, labels=[first, "person", "bicycle"]) as detector:
            assert detector.see(photo)[0].label == "person"
    with opened(Detector, outputs, labels=["person", "bicycle"]) as detector:
        assert detector.see(photo)[0].label == "person"


KNOWN = [
    (Classifier, [(1, 10)]),
    (Detector, [(1, 8, 4), (1, 8), (1, 8), (1,)]),
    (Detector, [(1, 19, 4), (1, 19, 6)]),
    (Detector, [(1, 21, 9)]),
    (Detector, [(1, 63, 9)]),
    (Detector, [(1, 21, 64), (1, 21, 3)]),
    (Detector, [(1, 4, 4, 24), (1, 2, 2, 24), (1, 1, 1, 24)]),
    (Detector, [(1, 9, 6)]),
    (Segmenter, [(1, 8, 8, 3)]),
    (Segmenter, [(1, 8, 8, 1)]),
    (Segmenter, [(1, 8, 8, 1), (1, 8, 8, 24)]),
    (PoseEstimator, [(1, 1, 17, 3)]),
    (PoseEstimator, [(1, 6, 56)]),
    (PoseEstimator, [(1, 56, 21)]),
    (PoseEstimator, [(1, 5, 17, 2), (1, 5, 17), (1, 5), (1,)]),
    (PoseEstimator, [(1, 3, 3, 17), (1, 3, 3, 34), (1, 3, 3, 64)]),
    (PoseEstimator, [(1, 3, 3, 17), (1, 3, 3, 34)]),
]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(("task", "shapes"), KNOWN)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30, -1e30, 0.0])
def test_numbers_that_are_none_become_no_results(task, shapes, value):
    """A damaged network gives anything: never an exception, and a document that can be read."""
    rng = np.random.default_rng(0)
    outputs = {}
    for number, shape in enumerate(shapes):
        array = rng.uniform(0, 1, shape).astype(np.float32)
        array.reshape(-1)[rng.integers(0, array.size, 1 + array.size // 3)] = value
        outputs[f"o{number}"] = array
    anchors = np.full((19, 4), 0.5) if shapes[0] == (1, 19, 4) else None
    photo = Image.new("RGB", (40, 30))
    with opened(task, outputs, anchors=anchors) as model:
        seen = model.see(photo, Wanted(threshold=0.1))
        json.dumps(to_json(seen), allow_nan=False)
        draw(photo, seen, 0.1)
