"""`edgetpu.learn.imprinting.engine`: the older engine, which embeds photos itself."""

import re
from pathlib import Path

import numpy as np
import pytest
from learning_models import OLD, SIDE, extractor, imprintable, photos
from PIL import Image

from atoll.compat.edgetpu.classification.engine import ClassificationEngine
from atoll.compat.edgetpu.learn.imprinting.engine import ImprintingEngine
from atoll.tflite.reader import read_model
from atoll.tflite.writer import write_model


def rows(colour, count=2):
    """Photos as programs hand them over: flat, in a list."""
    return [photo.flatten() for photo in photos(colour, count)]


def share_right(classify, colours, first=0):
    found = [
        classify(Image.fromarray(photo), 0.0, 1)[0][0] == first + colour
        for colour in colours
        for photo in photos(colour, 10, seed=1)
    ]
    return np.mean(found)


def test_the_whole_way(model_path, tmp_path):
    """Train, ask, save, open: as the example of the old package does."""
    engine = ImprintingEngine(model_path)
    for colour in range(3):
        engine.train(rows(colour), colour)
    assert share_right(engine.classify_with_resized_image, range(3)) > 0.95
    saved = str(tmp_path / "saved.tflite")
    engine.save_model(saved)
    opened = ClassificationEngine(saved)
    assert opened.get_output_tensor_size(0) == 3
    assert share_right(opened.classify_with_image, range(3)) > 0.95


def test_all_at_once_beside_old_classes(model_path):
    """train_all numbers behind the classes that are kept."""
    engine = ImprintingEngine(model_path, keep_classes=True)
    engine.train_all([rows(colour) for colour in range(3)])
    assert share_right(engine.classify_with_resized_image, range(3), OLD) > 0.95


def test_more_photos_later(model_path, tmp_path):
    """In the same engine, and from a saved file: sums go on."""
    engine = ImprintingEngine(model_path)
    engine.train(rows(0), 0)
    assert engine.classify_with_resized_image(Image.fromarray(photos(0, 1)[0]))[0][0] == 0
    saved = str(tmp_path / "saved.tflite")
    engine.save_model(saved)
    before = read_model(saved).description
    again = ImprintingEngine(saved, keep_classes=True)
    again.train(rows(0, 1), 0)
    again.train(rows(1), 1)
    again.train(rows(2), 2)
    assert share_right(again.classify_with_resized_image, range(3)) > 0.95
    again.save_model(saved)
    lengths = [float(line.split()[1]) for line in read_model(saved).description.splitlines()]
    # Three unit vectors of one class, nearly of one direction.
    assert float(before.split()[1]) < 2.01
    assert 2.8 < lengths[0] < 3.1


def test_both_spellings(model_path, tmp_path, caplog):
    """Programs of 2019 write Train, and are told so."""
    engine = ImprintingEngine(model_path)
    engine.TrainAll([rows(0), rows(1)])
    engine.Train(rows(2), 2)
    engine.SaveModel(str(tmp_path / "saved.tflite"))
    photo = photos(2, 1)[0]
    assert engine.ClassifyWithResizedImage(Image.fromarray(photo))[0][0] == 2
    assert engine.ClassifyWithInputTensor(photo.flatten())[0][0] == 2
    assert "Please use train_all instead" in caplog.text
    assert (tmp_path / "saved.tflite").exists()


def test_what_the_original_refuses(model_path, tmp_path):
    """Its exceptions, and their words."""
    engine = ImprintingEngine(model_path, keep_classes=True)
    for given, number, message in (
        (rows(0), OLD + 1, "The class index of a new category is too large!"),
        (rows(0), 1, "Cannot change the base model classes not trained with imprinting method!"),
        (rows(0) * 101, OLD, "Too many training images, max # images per category is 200!"),
        (np.zeros((0, 9), np.uint8), OLD, "No images sent for training!"),
        (np.zeros((2, 0), np.uint8), OLD, "Image size is zero!"),
    ):
        with pytest.raises(RuntimeError, match=f"^{re.escape(message)}$"):
            engine.train(given, number)
    with pytest.raises(RuntimeError, match="smaller than model input tensor size"):
        engine.train([row[:-1] for row in rows(0)], OLD)
    for given in (rows(0)[0], []):
        with pytest.raises(TypeError, match="2 dimensions"):
            engine.train(given, OLD)
    with pytest.raises(TypeError):
        engine.train(np.zeros((1, SIDE * SIDE * 3)), OLD)
    with pytest.raises(ValueError, match=r"^top_k must be positive!$"):
        engine.classify_with_input_tensor(rows(0)[0], top_k=0)
    fresh = ImprintingEngine(model_path)
    with pytest.raises(RuntimeError, match=r"^Model without training won't be saved!$"):
        fresh.save_model(str(tmp_path / "x.tflite"))
    with pytest.raises(RuntimeError, match="without training"):
        fresh.classify_with_input_tensor(rows(0)[0])
    nowhere = str(tmp_path / "no" / "x.tflite")
    with pytest.raises(RuntimeError, match=f"^Failed to open file: {re.escape(nowhere)}$"):
        engine.save_model(nowhere)
    with pytest.raises(RuntimeError, match=r"^Failed to open file: no\.tflite$"):
        ImprintingEngine("no.tflite")


def test_models_that_cannot_learn_are_refused_in_the_originals_words(tmp_path):
    path = tmp_path / "m.tflite"

    def refused(model):
        path.write_bytes(write_model(model) if model is not None else b"nonsense")
        with pytest.raises(RuntimeError) as caught:
            ImprintingEngine(str(path))
        return str(caught.value)

    without = extractor()
    tensor = without.main.tensors[without.main.outputs[0]]
    assert refused(without) == "Logit output tensor should be [1, x]"
    tensor.shape = (1, 32)
    lacking = "Unsupported model architecture. Input model must have an L2Norm layer."
    assert refused(without) == lacking
    other = imprintable(extractor())
    other.main.operators[-1].type = "LOGISTIC"
    last = "The last 5 operators should be L2Norm, Conv2d, Mul, Reshape and Softmax"
    assert refused(other) == last
    wide = imprintable(extractor())
    wide.main.tensors[wide.main.operators[-5].outputs[0]].shape = (1, 1, 2, 16)
    assert refused(wide) == "Embedding extractor's output tensor should be [1, 1, 1, x]"
    assert refused(None) == "Failed to parse input model."


def test_nothing_is_left_behind(model_path, tmp_path, monkeypatch):
    """Engines read their models from files, which are made for that alone."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    engine = ImprintingEngine(model_path)
    engine.train(rows(0), 0)
    engine.classify_with_input_tensor(rows(0)[0])
    assert not list(Path(tmp_path).iterdir())
