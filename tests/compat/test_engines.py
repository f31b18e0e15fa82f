"""edgetpu's engines, in both spellings: the originals' numbers, words and waits."""

import ctypes
import gc
import logging

import numpy as np
import pytest
from coral_models import CLASSES, SIDE, classifier, image_of, two_segments, windows
from PIL import Image

from atoll.compat import hardware
from atoll.compat.edgetpu.basic import edgetpu_utils
from atoll.compat.edgetpu.basic.basic_engine import BasicEngine
from atoll.compat.edgetpu.classification.engine import ClassificationEngine
from atoll.compat.edgetpu.detection.engine import DetectionEngine
from atoll.compat.edgetpu.utils.image_processing import (
    ResamplingWithOriginalRatio,
    resampling_with_original_ratio,
)
from atoll.compat.edgetpu.utils.warning import camelcase_to_lowercase
from atoll.compat.tflite_runtime.interpreter import Interpreter
from atoll.tflite.writer import write_model

SIZE = SIDE * SIDE * 3
ROW = np.random.default_rng(4).integers(0, 256, SIZE + 8).astype(np.uint8)


@pytest.fixture(autouse=True)
def engines_gone():
    """Edge TPUs are given back when an engine is collected."""
    gc.collect()


@pytest.fixture
def file(tmp_path):
    """Writes a model, and gives its path."""

    def write(model):
        path = tmp_path / "model.tflite"
        path.write_bytes(write_model(model))
        return str(path)

    return write


def expected(plain, row):
    """The outputs as real numbers, in float32, by LiteRT itself."""
    interpreter = Interpreter(plain)
    interpreter.allocate_tensors()
    (takes,), (gives,) = interpreter.get_input_details(), interpreter.get_output_details()
    interpreter.set_tensor(takes["index"], row.reshape(takes["shape"]))
    interpreter.invoke()
    scale, zero_point = gives["quantization"]
    stored = interpreter.get_tensor(gives["index"]).ravel().astype(np.int32)
    return (stored - zero_point).astype(np.float32) * np.float32(scale)


KINDS = {
    "list": lambda row: row.tolist(),
    "array": lambda row: row,
    "bytes": lambda row: row.tobytes(),
    "pointer and size": lambda row: (row.ctypes.data_as(ctypes.c_void_p), row.size),
}


@pytest.mark.parametrize("size", [None, SIZE])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_input_gives_the_same(compiled, plain, kind, size):
    """And in float32, as the original computed it."""
    engine = BasicEngine(compiled)
    wanted = expected(plain, ROW[:SIZE])
    for row in (ROW[:SIZE], ROW):
        milliseconds, result = engine.run_inference(KINDS[kind](row), size)
        assert result.dtype == np.float32
        assert np.array_equal(result, wanted)
        assert milliseconds == engine.get_inference_time() > 0
    assert np.array_equal(engine.get_raw_output(), wanted)


def test_a_result_is_the_callers_own(compiled):
    """The original's changed with the next call."""
    engine = BasicEngine(compiled)
    _, result = engine.run_inference(ROW)
    kept = result.copy()
    engine.run_inference(ROW[::-1].copy())
    assert np.array_equal(result, kept)


def test_what_an_engine_tells(compiled):
    """Programs take the one row of outputs apart by it."""
    engine = BasicEngine(compiled)
    assert engine.get_input_tensor_shape().tolist() == [1, SIDE, SIDE, 3]
    assert engine.required_input_array_size() == SIZE
    assert engine.get_all_output_tensors_sizes().tolist() == [CLASSES]
    assert engine.get_num_of_output_tensors() == 1
    assert engine.get_output_tensor_size(0) == CLASSES
    assert engine.total_output_array_size() == CLASSES
    assert engine.model_path() == compiled
    with pytest.raises(RuntimeError, match=r"^tensor_index must >= 0!$"):
        engine.get_output_tensor_size(-1)
    with pytest.raises(RuntimeError, match=r"^tensor_index doesn't exist!$"):
        engine.get_output_tensor_size(1)


@pytest.mark.parametrize("kind", KINDS)
def test_too_small_an_input_is_refused(compiled, kind):
    """By an assertion, as it was."""
    engine = BasicEngine(compiled)
    with pytest.raises(AssertionError, match=f"Wrong input size={SIZE - 1}, expected={SIZE}"):
        engine.run_inference(KINDS[kind](ROW[: SIZE - 1]))
    with pytest.raises(AssertionError, match=rf"^Wrong input size=9, expected={SIZE}\.$"):
        engine.run_inference(KINDS[kind](ROW), 9)


def test_arrays_of_other_types_are_not_bent(compiled):
    """Numbers that would not fit into 8 bits made no photo, then as now."""
    engine = BasicEngine(compiled)
    with pytest.raises(TypeError, match="Cannot cast array"):
        engine.run_inference(ROW.astype(np.int64))
    with pytest.raises(TypeError, match=r"Array must have 1 dimensions\.  Given array has 2"):
        engine.run_inference(np.zeros((SIZE, 1), np.uint8))


def test_files_that_cannot_be_opened(tmp_path):
    """A RuntimeError here, where pycoral has a ValueError."""
    with pytest.raises(RuntimeError, match=r"^Could not open 'invalid_model_path\.tflite'\.$"):
        BasicEngine("invalid_model_path.tflite")
    junk = tmp_path / "junk.tflite"
    junk.write_bytes(b"nonsense" * 9)
    with pytest.raises(RuntimeError, match="should be 'TFL3'"):
        BasicEngine(str(junk))
    assert not edgetpu_utils.ListEdgeTpuPaths(edgetpu_utils.EDGE_TPU_STATE_ASSIGNED)


def test_a_model_with_two_inputs_is_refused(file):
    """As it was: the engines take one."""
    with pytest.raises(RuntimeError, match="We don't support multiple input tensors yet!"):
        BasicEngine(file(two_segments()[1]))


def test_each_engine_has_an_edge_tpu_of_its_own(compiled):
    """Programs hand out the devices that are left."""
    everything = edgetpu_utils.ListEdgeTpuPaths(edgetpu_utils.EDGE_TPU_STATE_NONE)
    assert len(everything) == hardware.USUAL_COUNT
    engines = [BasicEngine(compiled) for _ in everything]
    assert tuple(engine.device_path() for engine in engines) == everything
    assert edgetpu_utils.ListEdgeTpuPaths(edgetpu_utils.EDGE_TPU_STATE_ASSIGNED) == everything
    assert edgetpu_utils.ListEdgeTpuPaths(edgetpu_utils.EDGE_TPU_STATE_UNASSIGNED) == ()
    with pytest.raises(RuntimeError, match=r"all have been mapped to at least one model\. If you"):
        BasicEngine(compiled)
    shared = BasicEngine(compiled, everything[1])
    assert shared.device_path() == everything[1]
    del engines[2]
    gc.collect()
    left = edgetpu_utils.ListEdgeTpuPaths(edgetpu_utils.EDGE_TPU_STATE_UNASSIGNED)
    assert left == (everything[2],)
    assert BasicEngine(compiled).device_path() == everything[2]


def test_a_single_edge_tpu_is_shared(compiled, monkeypatch):
    """Who has one stick runs several models on it."""
    monkeypatch.setenv(hardware.COUNT_VARIABLE, "1")
    engines = [BasicEngine(compiled) for _ in range(3)]
    assert len({engine.device_path() for engine in engines}) == 1


def test_devices_that_are_not_there(compiled, monkeypatch):
    """In the original's words."""
    words = r"^Path elsewhere does not map to an Edge TPU device\.$"
    with pytest.raises(RuntimeError, match=words):
        BasicEngine(compiled, "elsewhere")
    monkeypatch.setenv(hardware.DEVICE_VARIABLE, "edgetpu")
    monkeypatch.setattr("atoll.host.found.found_devices", list)
    with pytest.raises(RuntimeError, match=r"^No Edge TPU device detected!$"):
        BasicEngine(compiled)


def test_the_driver_is_the_one_that_is_supported():
    """Programs warn where it is not."""
    assert edgetpu_utils.SUPPORTED_RUNTIME_VERSION in edgetpu_utils.GetRuntimeVersion()


def test_classes_are_ranked_as_they_were(compiled, plain):
    """Scores must be above the threshold, the highest first."""
    engine = ClassificationEngine(compiled)
    wanted = expected(plain, ROW[:SIZE])
    order = sorted(range(CLASSES), key=lambda i: -wanted[i])
    ranked = engine.classify_with_input_tensor(ROW, top_k=3)
    assert [score for _, score in ranked] == [wanted[i] for i in order[:3]]
    assert len(engine.classify_with_input_tensor(ROW, -1.0, 99)) == CLASSES
    highest = float(wanted.max())
    assert engine.classify_with_input_tensor(ROW, highest) == []
    with pytest.raises(ValueError, match=r"^top_k must be positive!$"):
        engine.classify_with_input_tensor(ROW, top_k=0)


def test_photos_are_stretched_and_made_of_the_models_colours(compiled, plain, file):
    """Photos come in all sizes and modes."""
    photo = Image.fromarray(np.random.default_rng(1).integers(0, 256, (30, 50, 3), np.uint8))
    resized = photo.resize((SIDE, SIDE), Image.Resampling.NEAREST)
    wanted = expected(plain, np.asarray(resized).ravel())
    engine = ClassificationEngine(compiled)
    ranked = engine.classify_with_image(photo, threshold=-1, top_k=CLASSES)
    assert dict(ranked) == dict(enumerate(wanted))
    assert engine.classify_with_image(photo.convert("RGBA"), -1, CLASSES) == ranked
    grey = ClassificationEngine(file(classifier(channels=1)))
    assert grey.classify_with_image(photo, top_k=1)
    five = ClassificationEngine(file(classifier(channels=5)))
    with pytest.raises(ValueError, match=r"channel! Expected: 1 or 3\. Actual: 5"):
        five.classify_with_image(photo)


def test_models_that_do_not_fit_an_engine_are_refused(compiled, file):
    """With the original's own spelling, which people search for."""
    two = file(windows([(1, 4), (1, 4)]))
    words = "Classification model should have 1 output tensor only!This model has 2."
    with pytest.raises(ValueError, match=words):
        ClassificationEngine(two)
    with pytest.raises(ValueError, match=r"Dectection model should have 4 .*This model has 1\."):
        DetectionEngine(compiled)


# In quarters: 4 is 1.0, the highest that there is.
BOXES = [[0, 1, 2, 3], [1, 1, 8, 8], [0, 0, 2, 2], [0, 0, 1, 1], [0, 0, 0, 0]]
IDS, SCORES, COUNT = [4, 8, 12, 0, 0], [2, 3, 1, 4, 0], [12]


@pytest.fixture
def detector(file):
    shapes = [(1, 5, 4), (1, 5), (1, 5), (1,)]
    return DetectionEngine(file(windows(shapes, "UINT8", 0.25)))


def test_objects_are_found_as_they_were(detector):
    """Of as many as the model counts, those above the threshold, the best first."""
    row = image_of(BOXES, IDS, SCORES, COUNT, dtype=np.uint8).ravel()
    found = detector.detect_with_input_tensor(row, threshold=0.3, top_k=9)
    assert [(each.label_id, each.score) for each in found] == [(2, 0.75), (1, 0.5)]
    assert found[0].bounding_box.tolist() == [[0.25, 0.25], [1.0, 1.0]]
    assert found[1].bounding_box.tolist() == [[0.25, 0.0], [0.75, 0.5]]
    assert all(type(each.label_id) is int for each in found)
    assert len(detector.detect_with_input_tensor(row, 0.3, 1)) == 1
    assert len(detector.detect_with_input_tensor(row, threshold=-1, top_k=9)) == 3
    with pytest.raises(ValueError, match="top_k must be positive!"):
        detector.detect_with_input_tensor(row, top_k=-1)


def test_boxes_are_scaled_back_to_the_photo(detector):
    """In parts of the photo, or its pixels, with and without the black border."""
    pixels = image_of(BOXES, IDS, SCORES, COUNT, dtype=np.uint8)[0]
    photo = Image.fromarray(pixels)

    def best(photo, **how):
        return detector.detect_with_image(photo, 0.6, **how)[0].bounding_box.tolist()

    assert best(photo) == [[0.25, 0.25], [1.0, 1.0]]
    assert best(photo, relative_coord=False) == [[2.0, 2.0], [8.0, 8.0]]
    # Half as high: what is below it is black, and boxes reach no further than the photo.
    flat = Image.fromarray(pixels[:4])
    assert best(flat, keep_aspect_ratio=True) == [[0.25, 0.5], [1.0, 1.0]]
    assert best(flat, keep_aspect_ratio=True, relative_coord=False) == [[2.0, 2.0], [8.0, 4.0]]


def test_photos_with_a_border_say_how_much_of_them_is_photo():
    """Boxes are scaled back by it."""
    photo = Image.new("RGB", (40, 10), (9, 8, 7))
    for make in (resampling_with_original_ratio, ResamplingWithOriginalRatio):
        made, covered = make(photo, (20, 20), Image.Resampling.NEAREST)
        assert covered == (1.0, 0.25)
        pixels = np.asarray(made)
        assert pixels.shape == (20, 20, 3)
        assert (pixels[:5] == (9, 8, 7)).all()
        assert not pixels[5:].any()


def test_the_oldest_names_do_the_same_and_tell_the_newer_ones(compiled, detector, caplog):
    """Programs of 2019 have them; the original warned too."""
    engine = ClassificationEngine(compiled)
    photo = Image.new("RGB", (8, 8))
    pairs = [
        (engine.RunInference(ROW)[1].tolist(), engine.run_inference(ROW)[1].tolist()),
        (engine.ClassifyWithImage(photo, -1, 2), engine.classify_with_image(photo, -1, 2)),
        (engine.ClassifyWithInputTensor(ROW), engine.classify_with_input_tensor(ROW)),
        (detector.DetectWithImage(photo), detector.detect_with_image(photo)),
        (detector.DetectWithInputTensor(ROW[:192]), detector.detect_with_input_tensor(ROW[:192])),
    ]
    assert all(old == new for old, new in pairs[:3])
    assert all(len(old) == len(new) for old, new in pairs[3:])
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(told) == len(pairs)
    assert f"From {__file__}:" in told[0]
    assert "The name RunInference will be deprecated. Please use run_inference" in told[0]
    assert camelcase_to_lowercase("ReadLabelFile") == "read_label_file"
