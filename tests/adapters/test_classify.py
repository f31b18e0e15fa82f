"""`atoll classify` and the Python API: a model, its labels and what it wants of a photo."""

import numpy as np
import pytest
from litert_files import run, runnable
from PIL import Image, ImageOps
from pixel_models import SCORES, SIDE, pixel_file, pixel_model

from atoll.adapters.classify import Classifier
from atoll.data.decode import UnreadablePhoto
from atoll.edgetpu.simfile import compile_for_sim
from atoll.errors import ModelError, UsageError
from atoll.tflite.metadata import ImageMetadata, attach
from atoll.tflite.reader import read_model
from atoll.tflite.writer import write_model

CARD = ImageMetadata("n", "d", [128.0], [128.0], SIDE, SIDE)


@pytest.fixture
def photo(tmp_path):
    """A photo at the model's own size, whose brightest number is number 30, then 7."""
    pixels = np.full((SIDE, SIDE, 3), 10, np.uint8)
    pixels.reshape(-1)[[30, 7]] = 250, 200
    path = tmp_path / "photo.png"
    Image.fromarray(pixels).save(path)
    return path


def with_labels(path, labels):
    card = CARD if labels is None else ImageMetadata(**{**vars(CARD), "labels": labels})
    path.write_bytes(write_model(attach(pixel_model(), card)))
    return path


def test_a_real_photo_is_what_the_published_labels_say(shared):
    """The whole way from a file to a name, and the score of the bare interpreter."""
    path = shared / "models/v13/tf2_mobilenet_v2_1.0_224_ptq.tflite"
    labels = shared / "data/photos/imagenet_labels.txt"
    parrot = shared / "data/photos/parrot.jpg"
    top = Classifier(path, device="cpu", labels=labels).top(parrot, 3)
    assert len(top) == 3
    assert top[0][0] == "macaw"
    assert top[0][1] >= top[1][1] >= top[2][1]
    litert = runnable(path)
    square = ImageOps.fit(Image.open(parrot).convert("RGB"), (224, 224), Image.Resampling.BILINEAR)
    (raw,) = run(litert, [np.asarray(square)[None]])
    assert labels.read_text().splitlines()[int(raw.argmax())] == top[0][0]
    scale, zero_point = litert.get_output_details()[0]["quantization"]
    assert top[0][1] == pytest.approx(scale * (int(raw.max()) - zero_point), abs=0.1)


def test_a_labels_file_may_be_named_by_a_string(tmp_path, photo):
    """A string is a list of letters, and each would be the name of a class."""
    names = tmp_path / "names.txt"
    names.write_text("".join(f"name {i}\n" for i in range(SCORES)))
    path = pixel_file(tmp_path / "m.tflite")
    for labels in (str(names), names, [f"name {i}" for i in range(SCORES)]):
        assert Classifier(path, device="cpu", labels=labels).top(photo, 1)[0][0] == "name 30"


@pytest.mark.parametrize(
    ("kind", "shape"), [("float32", (9, 9, 3)), ("uint8", (9, 9)), ("uint8", (9, 9, 4))]
)
def test_arrays_that_are_no_photo_are_told_what_one_is(tmp_path, kind, shape):
    """Frames of other libraries are grey, have four channels, or are floats."""
    classifier = Classifier(pixel_file(tmp_path / "m.tflite"), device="cpu")
    with pytest.raises(UsageError, match=r"\[height, width, 3\], in RGB"):
        classifier.see(np.zeros(shape, kind))


def test_labels_come_from_the_model(tmp_path, photo):
    """A file that was sent to a friend needs nothing beside it."""
    names = [f"thing {i}" for i in range(SCORES)]
    model = with_labels(tmp_path / "m.tflite", names)
    top = Classifier(model, device="cpu").top(photo, 2)
    assert top == [("thing 30", 122 / 128), ("thing 7", 72 / 128)]


def test_labels_that_are_given_count_before_those_in_the_model(tmp_path, photo):
    model = with_labels(tmp_path / "m.tflite", ["x"] * SCORES)
    labels = tmp_path / "labels.txt"
    labels.write_text("".join(f"{i} given {i}\n" for i in range(SCORES)))
    assert Classifier(model, device="cpu", labels=labels).top(photo, 1)[0][0] == "given 30"


@pytest.mark.parametrize("labels", [None, ["only one"], [""] * (SCORES - 1) + ["last"]])
def test_a_class_without_a_label_is_named_by_its_number(tmp_path, photo, labels):
    """No labels, too few of them, or one left empty: the answer is still of use."""
    model, given = pixel_file(tmp_path / "m.tflite"), None
    if labels is not None:
        given = tmp_path / "labels.txt"
        given.write_text("\n".join(labels))
    top = Classifier(model, device="cpu", labels=given).top(photo, 2)
    assert [name for name, _ in top] == ["class 30", "class 7"]


def test_missing_labels_are_one_line(tmp_path):
    model = pixel_file(tmp_path / "m.tflite")
    with pytest.raises(ModelError) as caught:
        Classifier(model, device="cpu", labels=tmp_path / "no.txt")
    assert "no.txt" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_run_folder_gives_its_8_bit_model(tmp_path, photo):
    pixel_file(tmp_path / "model_quant.tflite")
    assert Classifier(tmp_path, device="cpu").top(photo, 1)[0][0] == "class 30"


def test_a_run_folder_without_a_model_says_what_to_do(tmp_path):
    """A build that was interrupted leaves such a folder."""
    with pytest.raises(ModelError) as caught:
        Classifier(tmp_path, device="cpu")
    assert str(tmp_path) in str(caught.value)
    assert "atoll build" in str(caught.value)


def test_a_compiled_model_in_a_run_goes_first(tmp_path, photo, shared):
    """It is what was made for the device."""
    plain = shared / "models/v10/mobilenet_v1_0.25_128_quant.tflite"
    (tmp_path / "model_quant.tflite").write_bytes(plain.read_bytes())
    only_plain = Classifier(tmp_path)
    assert only_plain.device == "cpu"
    compiled = compile_for_sim(read_model(plain))
    (tmp_path / "model_quant_sim.tflite").write_bytes(write_model(compiled))
    both = Classifier(tmp_path)
    assert both.device == "sim"
    assert both.top(photo, 5) == only_plain.top(photo, 5)


@pytest.mark.parametrize("name", ["no.tflite", "text.tflite"])
def test_a_path_that_is_no_model_is_one_line(tmp_path, name):
    (tmp_path / "text.tflite").write_text("this is no model at all")
    with pytest.raises(ModelError) as caught:
        Classifier(tmp_path / name, device="cpu")
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_model_that_takes_no_photo_is_refused(shared):
    with pytest.raises(ModelError, match="image"):
        Classifier(shared / "models/v13/keras_lstm_mnist_ptq.tflite", device="cpu")


def test_a_detector_is_refused_when_it_is_opened(tmp_path):
    model = pixel_file(tmp_path / "m.tflite", shapes=((1, SCORES), (1, SCORES)))
    with pytest.raises(ModelError, match=r"one output \[1,C\]"):
        Classifier(model, device="cpu")


def test_what_is_no_photo_is_said_so(tmp_path):
    model = pixel_file(tmp_path / "m.tflite")
    (tmp_path / "x.jpg").write_text("no photo")
    with pytest.raises(UnreadablePhoto):
        Classifier(model, device="cpu").top(tmp_path / "x.jpg", 1)


def test_equal_scores_go_by_number_and_too_many_are_all(tmp_path):
    """8-bit scores tie often; the answer must not depend on the machine."""
    model = pixel_file(tmp_path / "m.tflite")
    path = tmp_path / "grey.png"
    Image.new("RGB", (SIDE, SIDE), (77, 77, 77)).save(path)
    top = Classifier(model, device="cpu").top(path, 1000)
    assert [name for name, _ in top] == [f"class {i}" for i in range(SCORES)]
