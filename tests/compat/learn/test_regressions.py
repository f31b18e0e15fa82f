"""`SoftmaxRegression` of both packages, and `edgetpu.learn.utils`."""

import numpy as np
import pytest
from learning_models import SIZE, photos
from sklearn.linear_model import LogisticRegression

from atoll.compat.edgetpu.basic.basic_engine import BasicEngine
from atoll.compat.edgetpu.learn.backprop import ops
from atoll.compat.edgetpu.learn.backprop.softmax_regression import SoftmaxRegression as OfEdgetpu
from atoll.compat.edgetpu.learn.utils import AppendFullyConnectedAndSoftmaxLayerToModel
from atoll.compat.pycoral.adapters import classify, common
from atoll.compat.pycoral.learn.backprop.softmax_regression import SoftmaxRegression as OfPycoral
from atoll.compat.pycoral.utils.edgetpu import make_interpreter

BOTH = pytest.mark.parametrize("kind", [OfPycoral, OfEdgetpu])


def clouds(spread, seed=12345):
    """Points of three classes around three corners of a square."""
    rng = np.random.default_rng(seed)
    middles = np.array([[1, 1], [-1, -1], [1, -1]]) * spread
    labels = rng.integers(0, 3, 230)
    points = (middles[labels] + rng.normal(size=(230, 2))).astype(np.float32)
    return {
        "data_train": points[:200],
        "labels_train": labels[:200],
        "data_val": points[200:],
        "labels_val": labels[200:],
    }


@BOTH
@pytest.mark.parametrize(("spread", "steps", "rate"), [(3, 20, 0.01), (1, 50, 0.1)])
def test_it_learns(kind, spread, steps, rate):
    """As well as scikit-learn does, with the settings of the originals' own tests."""
    data = clouds(spread)
    points, labels = data["data_train"], data["labels_train"]
    np.random.seed(1)
    model = kind(2, 3)
    model.train_with_sgd(data, steps, rate, batch_size=100, print_every=0)
    best = LogisticRegression().fit(points, labels).score(points, labels)
    assert model.get_accuracy(points, labels) > best - 0.04


@BOTH
def test_numpys_seed_decides(kind, tmp_path, extractor_path):
    """A program that seeds NumPy gets the same model each time."""

    def made():
        np.random.seed(3)
        model = kind(SIZE, 3)
        rng = np.random.default_rng(0)
        points, labels = rng.normal(size=(60, SIZE)).astype(np.float32), rng.integers(0, 3, 60)
        data = {"data_train": points, "labels_train": labels}
        data |= {"data_val": points, "labels_val": labels}
        model.train_with_sgd(data, 5, 0.1, print_every=0)
        if kind is OfPycoral:
            return model.serialize_model(str(extractor_path))
        path = tmp_path / "made.tflite"
        model.save_as_tflite_model(str(extractor_path), str(path))
        return path.read_bytes()

    assert made() == made()


def test_what_is_told_while_training(capsys):
    """The older package prints; the newer tells on standard error, as its native part did."""
    data = clouds(3)
    OfEdgetpu(2, 3).train_with_sgd(data, 3, 0.01, print_every=2)
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 2
    assert out.startswith("Loss 1.")
    assert ", train acc " in out
    assert not err
    OfPycoral(2, 3).train_with_sgd(data, 3, 0.01, print_every=2)
    out, err = capsys.readouterr()
    assert not out
    assert [line.partition(":")[0] for line in err.splitlines()] == [
        "Loss", "Train Acc", "Valid Acc",
    ] * 2  # fmt: skip


def test_the_penalty_counts_where_it_did():
    """In the older package it trains; in the newer it is only told."""
    data = clouds(3)
    norms = {}
    for kind in (OfPycoral, OfEdgetpu):
        for reg in (0.0, 5.0):
            np.random.seed(1)
            model = kind(2, 3, reg=reg)
            model.train_with_sgd(data, 60, 0.1, print_every=0)
            weights = model._weights if kind is OfPycoral else model.params["mat_w"]
            norms[kind, reg] = np.linalg.norm(weights)
    assert norms[OfPycoral, 0.0] == norms[OfPycoral, 5.0]
    assert norms[OfEdgetpu, 5.0] < 0.3 * norms[OfEdgetpu, 0.0]


def test_the_way_of_the_pycoral_example(extractor_path):
    """Embeddings from a compiled extractor, a layer, a model in memory that knows the photos."""
    interpreter = make_interpreter(str(extractor_path), device=":0")
    interpreter.allocate_tensors()

    def embed(photo):
        common.set_input(interpreter, photo)
        interpreter.invoke()
        return classify.get_scores(interpreter)

    seen = [(colour, photo) for colour in range(3) for photo in photos(colour, 10)]
    points = np.array([embed(photo) for _, photo in seen], np.float32)
    labels = np.array([colour for colour, _ in seen])
    data = {"data_train": points, "labels_train": labels, "data_val": points}
    model = OfPycoral(points.shape[1], 3, weight_scale=5e-2)
    model.train_with_sgd(data | {"labels_val": labels}, 400, 0.05, print_every=0)
    assert model.get_accuracy(points, labels) > 0.95
    retrained = make_interpreter(model.serialize_model(str(extractor_path)), device=":0")
    retrained.allocate_tensors()
    right = []
    for colour in range(3):
        for photo in photos(colour, 10, seed=1):
            common.set_input(retrained, photo)
            retrained.invoke()
            right.append(classify.get_classes(retrained, top_k=1)[0].id == colour)
    assert np.mean(right) > 0.9


def test_a_layer_is_appended_as_it_was_given(extractor_path, tmp_path):
    """What the layer computes in float, the file computes in 8 bits."""
    engine = BasicEngine(str(extractor_path))
    rng = np.random.default_rng(12345)
    photo = photos(0, 1)[0].flatten()
    _, embedding = engine.run_inference(photo)
    weights = (rng.normal(size=(10, SIZE)) / 4).astype(np.float32)
    biases = rng.normal(size=10).astype(np.float32)
    scores = weights @ embedding + biases
    made = str(tmp_path / "made.tflite")
    reach = float(scores.min()), float(scores.max())
    AppendFullyConnectedAndSoftmaxLayerToModel(
        str(extractor_path), made, weights.flatten(), biases, *reach
    )
    _, found = BasicEngine(made).run_inference(photo)
    wanted = np.exp(scores - scores.max())
    assert np.abs(found - wanted / wanted.sum()).max() < 0.02


def test_an_untrained_layer_is_a_model_that_runs(extractor_path, tmp_path):
    """No score was met yet, so its range is unknown: that must not make a scale of 0."""
    made = str(tmp_path / "made.tflite")
    OfEdgetpu(SIZE, 5).save_as_tflite_model(str(extractor_path), made)
    _, found = BasicEngine(made).run_inference(photos(0, 1)[0].flatten())
    assert found.sum() == pytest.approx(1, abs=0.02)
    interpreter = make_interpreter(OfPycoral(SIZE, 5).serialize_model(str(extractor_path)))
    interpreter.allocate_tensors()
    assert classify.num_classes(interpreter) == 5


def test_what_the_originals_refuse(extractor_path, tmp_path):
    """Their exceptions, and their words."""
    model = OfPycoral(2, 3)
    with pytest.raises(RuntimeError, match=r"^Incompatible format: expected a float array!$"):
        model.get_accuracy(np.zeros((2, 2)), [0, 1])
    with pytest.raises(RuntimeError, match=r"^Incompatible buffer dimension!$"):
        model.get_accuracy(np.zeros(2, np.float32), [0])
    with pytest.raises(ValueError, match=r"^Failed to open file: no\.tflite$"):
        model.serialize_model("no.tflite")
    with pytest.raises(RuntimeError, match="32 numbers"):
        model.serialize_model(str(extractor_path))
    with pytest.raises(TypeError):
        OfPycoral()
    layer = np.zeros(3 * SIZE, np.float32), np.zeros(3, np.float32), -1.0, 1.0
    with pytest.raises(RuntimeError, match=r"^Failed to open file: no\.tflite$"):
        AppendFullyConnectedAndSoftmaxLayerToModel("no.tflite", str(tmp_path / "x"), *layer)
    nowhere = str(tmp_path / "no" / "x.tflite")
    with pytest.raises(RuntimeError, match=f"^Failed to open file: {nowhere}$"):
        AppendFullyConnectedAndSoftmaxLayerToModel(str(extractor_path), nowhere, *layer)
    with pytest.raises(RuntimeError, match="shared out"):
        AppendFullyConnectedAndSoftmaxLayerToModel(
            str(extractor_path), nowhere, layer[0][:-1], *layer[1:]
        )


def slope(function, at, step=1e-4):
    """A function's gradient by differences."""
    found = np.zeros(at.shape)
    for place in np.ndindex(at.shape):
        ahead, behind = at.copy(), at.copy()
        ahead[place] += step
        behind[place] -= step
        found[place] = (function(ahead) - function(behind)) / (2 * step)
    return found


def test_gradients_are_slopes():
    """A wrong sign would still learn something, for a while."""
    rng = np.random.default_rng(0)
    x, w, b = rng.normal(size=(5, 3)), rng.normal(size=(3, 10)), rng.normal(size=10)
    labels = rng.integers(0, 10, 5)

    def loss(x, w, b):
        return ops.softmax_cross_entropy_loss(ops.fc_forward(x, w, b)[0], labels)[0]

    scores, cached = ops.fc_forward(x, w, b)
    kept = scores.copy()
    _, dscores = ops.softmax_cross_entropy_loss(scores, labels)
    assert np.array_equal(scores, kept)
    gradients = ops.fc_backward(dscores, cached)
    slopes = (
        slope(lambda v: loss(v, w, b), x),
        slope(lambda v: loss(x, v, b), w),
        slope(lambda v: loss(x, w, v), b),
    )
    for ours, measured in zip(gradients, slopes, strict=True):
        assert np.allclose(ours, measured, atol=1e-6)
    assert loss(x * 0, w * 0, b * 0) == pytest.approx(np.log(10))
