"""The figures that a report rests on, held against scikit-learn, SciPy and first principles."""

import json

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st

from atoll.errors import ModelError
from atoll.evaluate.metrics import classification, disagreement, mcnemar, wilson


@st.composite
def problems(draw, most_classes=12):
    """Scores with many ties, as 8-bit outputs have, and labels that may leave classes out."""
    classes = draw(st.integers(2, most_classes))
    count = draw(st.integers(1, 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scores = rng.integers(0, 6, (count, classes)).astype(np.float32) / 256
    return scores, rng.integers(0, draw(st.integers(1, classes)), count)


def names(count):
    return [f"class {i}" for i in range(count)]


def none_to_nan(rows, key):
    return np.array([np.nan if row[key] is None else row[key] for row in rows])


@given(problems())
def test_the_tables_are_those_of_scikit_learn(problem):
    scores, labels = problem
    known = scores.shape[1]
    result = classification(scores, labels, names(known))
    predicted = scores.argmax(axis=1)
    kwargs = {"labels": range(known)}
    assert result["top1"] == pytest.approx(sklearn.metrics.accuracy_score(labels, predicted))
    expected = sklearn.metrics.confusion_matrix(labels, predicted, **kwargs)
    assert result["confusion"] == expected.tolist()
    table = sklearn.metrics.precision_recall_fscore_support(
        labels, predicted, zero_division=np.nan, **kwargs
    )
    for key, column in zip(("precision", "recall", "f1", "images"), table, strict=True):
        np.testing.assert_allclose(none_to_nan(result["per_class"], key), column)


@given(problems())
def test_top5_counts_the_photos_whose_class_is_among_the_first_five(problem):
    scores, labels = problem
    known = scores.shape[1]
    result = classification(scores, labels, names(known))
    if known <= 5:
        assert result["top5"] is None
        return
    # A stable sort of the negated scores puts the lower of two tied classes first.
    first = np.argsort(-scores, axis=1, kind="stable")[:, :5]
    assert result["top5"] == pytest.approx((first == labels[:, None]).any(axis=1).mean())
    assert result["top5"] >= result["top1"]


def test_top5_is_that_of_scikit_learn_where_nothing_is_tied():
    rng = np.random.default_rng(0)
    scores, labels = rng.random((200, 20), np.float32), rng.integers(0, 20, 200)
    expected = sklearn.metrics.top_k_accuracy_score(labels, scores, k=5, labels=range(20))
    assert classification(scores, labels, names(20))["top5"] == pytest.approx(expected)


def test_of_tied_classes_the_first_wins_on_every_machine():
    scores = np.full((2, 6), 0.5, np.float32)
    result = classification(scores, np.array([0, 5]), names(6))
    assert result["top1"] == 0.5
    assert result["top5"] == 0.5
    assert [row[0] for row in result["confusion"]] == [1, 0, 0, 0, 0, 1]


def test_what_cannot_be_divided_is_none_not_zero():
    scores = np.eye(3, dtype=np.float32)[[0, 0, 1]]
    rows = classification(scores, np.array([0, 0, 0]), ["present", "only predicted", "neither"])
    present, predicted, neither = rows["per_class"]
    assert present["recall"] == pytest.approx(2 / 3)
    assert (predicted["precision"], predicted["recall"], predicted["f1"]) == (0, None, 0)
    assert (neither["precision"], neither["recall"], neither["f1"]) == (None, None, None)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int64])
def test_labels_of_a_narrow_type_do_not_wrap_round(dtype):
    labels = np.arange(100).astype(dtype)
    result = classification(np.eye(100, dtype=np.float32), labels, names(100))
    assert result["top1"] == 1
    assert np.array_equal(result["confusion"], np.eye(100))


def test_the_result_is_plain_data_that_json_takes():
    rng = np.random.default_rng(1)
    scores, labels = rng.random((30, 7), np.float32), rng.integers(0, 7, 30)
    result = classification(scores, labels, names(7))
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    change = disagreement(scores, scores[::-1], labels)
    assert json.loads(json.dumps(change, allow_nan=False)) == change


def test_no_photos_give_no_accuracy_rather_than_a_warning_or_a_zero():
    result = classification(np.empty((0, 3), np.float32), np.empty(0, int), names(3))
    assert (result["top1"], result["images"]) == (None, 0)
    assert wilson(0, 0) == (0, 1)


@pytest.mark.parametrize(
    ("scores", "labels", "known", "says"),
    [
        (np.zeros((2, 3)), np.zeros(2, int), 4, "3 scores for 4 classes"),
        (np.zeros((2, 3)), np.array([0, 3]), 3, "one score for each class"),
        (np.zeros((2, 3)), np.array([0, -1]), 3, "one score for each class"),
        (np.zeros((2, 3)), np.zeros(5, int), 3, "one row of scores"),
        (np.zeros(3), np.zeros(3, int), 3, "one row of scores"),
        (np.array([[0, np.nan], [0, 1]]), np.zeros(2, int), 2, "NaN for 1 of 2 photos"),
    ],
)
def test_scores_that_fit_nothing_are_an_error_not_a_figure(scores, labels, known, says):
    with pytest.raises(ModelError, match=says):
        classification(scores, labels, names(known))


@given(st.integers(1, 5000), st.floats(0, 1))
def test_the_interval_is_scipys(count, share):
    correct = round(share * count)
    expected = scipy.stats.binomtest(correct, count).proportion_ci(0.95, method="wilson")
    assert wilson(correct, count) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_the_interval_of_a_perfect_score_ends_at_one_and_is_not_empty():
    assert wilson(10, 10) == (pytest.approx(0.7225, abs=1e-4), 1)
    assert wilson(0, 10) == (0, pytest.approx(0.2775, abs=1e-4))


@given(st.integers(0, 300), st.integers(0, 300))
def test_mcnemar_is_scipys_exact_binomial_test(only_first, only_second):
    tosses = only_first + only_second
    expected = scipy.stats.binomtest(only_first, tosses).pvalue if tosses else 1
    assert mcnemar(only_first, only_second) == pytest.approx(expected, rel=1e-9)


def test_mcnemar_takes_the_counts_of_a_large_data_set():
    assert mcnemar(0, 20_000) == 0
    expected = scipy.stats.binomtest(9_800, 20_000).pvalue
    assert mcnemar(9_800, 10_200) == pytest.approx(expected, rel=1e-9)


@given(problems(), st.integers(0, 2**32 - 1))
def test_what_a_change_cost_agrees_with_the_two_accuracies(problem, seed):
    first, labels = problem
    second = np.random.default_rng(seed).permuted(first, axis=1)
    change = disagreement(first, second, labels)
    known = names(first.shape[1])
    before, after = (classification(scores, labels, known) for scores in (first, second))
    assert change["top1_change"] == pytest.approx(after["top1"] - before["top1"])
    same = sklearn.metrics.accuracy_score(first.argmax(axis=1), second.argmax(axis=1))
    assert change["same_prediction"] == pytest.approx(same)
    mirrored = disagreement(second, first, labels)
    assert mirrored["only_first_right"] == change["only_second_right"]
    assert mirrored["mcnemar_p"] == change["mcnemar_p"]


def test_a_model_held_against_itself_cost_nothing():
    scores, labels = np.eye(3, dtype=np.float32), np.array([0, 1, 0])
    assert disagreement(scores, scores, labels) == {
        "top1_change": 0,
        "same_prediction": 1,
        "only_first_right": 0,
        "only_second_right": 0,
        "mcnemar_p": 1,
    }


def test_models_of_other_classes_are_not_compared():
    with pytest.raises(ModelError, match="3 and 2 scores a photo"):
        disagreement(np.zeros((1, 3)), np.zeros((1, 2)), np.zeros(1, int))
