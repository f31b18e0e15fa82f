"""Softmax regression: held against scikit-learn's, which finds the same problem's solution."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from atoll.errors import UsageError
from atoll.learn.regression import RegressionSettings, fit


@pytest.fixture(scope="module")
def digits():
    """1,797 real digits of ten classes as 64 numbers each: those to learn from, and others."""
    points, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(points))
    learn, others = order[:1000], order[1000:]
    return points[learn], labels[learn], points[others], labels[others]


def chances(scores):
    powers = np.exp(scores - scores.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


@pytest.mark.parametrize("penalty", [1e-2, 1e-3])
def test_it_finds_what_scikit_learn_finds(digits, penalty):
    """The problem has one solution: another library's must be ours."""
    points, labels, others, others_labels = digits
    layer = fit(points, labels, 10, RegressionSettings(penalty=penalty))
    mean, spread = points.mean(0), np.sqrt(points.var(0).sum())
    theirs = LogisticRegression(C=1 / (penalty * len(points)), max_iter=5000, tol=1e-8)
    theirs.fit((points - mean) / spread, labels)
    ours = chances(layer.scores(others))
    assert np.abs(ours - theirs.predict_proba((others - mean) / spread)).max() < 0.02
    accuracy = (ours.argmax(1) == others_labels).mean()
    assert accuracy == pytest.approx(
        theirs.score((others - mean) / spread, others_labels), abs=0.003
    )
    assert accuracy > 0.9


def test_it_tells_its_loss_and_accuracy(digits):
    """The figures that the command prints."""
    points, labels, *_ = digits
    seen = []
    layer = fit(points, labels, 10, RegressionSettings(epochs=20), lambda *done: seen.append(done))
    found = chances(layer.scores(points))
    assert layer.loss == pytest.approx(-np.log(found[np.arange(1000), labels]).mean())
    assert layer.top1 == (found.argmax(1) == labels).mean()
    assert seen == [(epoch, 20) for epoch in range(1, 21)]


def test_the_seed_decides(digits):
    """Same photos and seed, same model; another seed, another order."""
    points, labels, *_ = digits

    def made(seed):
        return fit(points, labels, 10, RegressionSettings(epochs=3, seed=seed)).weights

    assert np.array_equal(made(1), made(1))
    assert not np.array_equal(made(1), made(2))


def test_one_photo_a_class_and_equal_photos_are_no_fault():
    """The least there can be: no division by zero, no number that is none."""
    layer = fit(np.eye(3) * 5, np.arange(3), 3)
    assert (layer.scores(np.eye(3) * 5).argmax(1) == np.arange(3)).all()
    layer = fit(np.ones((4, 6)), np.array([0, 1, 0, 1]), 2)
    assert np.isfinite(layer.weights).all()
    assert np.allclose(chances(layer.scores(np.ones((1, 6)))), 0.5)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("batch_size", 0),
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("penalty", -1.0),
        ("seed", -1),
    ],
)
def test_settings_without_meaning_are_refused(name, value):
    with pytest.raises(UsageError, match=name.replace("_", "-")):
        fit(np.eye(3), np.arange(3), 3, RegressionSettings(**{name: value}))
