"""What the report says in words about accuracy must follow from the figures."""

import numpy as np
import pytest
from report_examples import document

from atoll.evaluate.metrics import classification
from atoll.report.accuracy import chosen, costs, matrix, pairs, results, weakest


def result(labels, predicted, known):
    scores = np.eye(known, dtype=np.float32)[predicted]
    classes = [f"class {i}" for i in range(known)]
    row = {"model": "m.tflite", "device": "cpu", "kind": "int8", "mean_ms": None}
    row |= classification(scores, np.array(labels), classes)
    return results({"models": [row]})[0]


def test_the_report_is_about_the_8_bit_model_or_the_only_one():
    models = results(document(["a", "b"])[0]["evaluation"])
    assert chosen(models).kind == "int8"
    assert chosen(models[:1]).kind == "float"
    assert chosen([]) is None


def test_a_time_nobody_measured_is_not_told():
    assert result([0, 1], [0, 1], 2).time == ""


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"same_prediction": 1.0}, "give every photo the same class"),
        (
            {"same_prediction": 0.9, "only_first_right": 3, "only_second_right": 3},
            "are right equally often",
        ),
        ({"same_prediction": 0.9, "only_first_right": 6, "mcnemar_p": 0.03}, "more than chance"),
        ({"same_prediction": 0.9, "only_first_right": 2, "mcnemar_p": 0.5}, "to be chance"),
    ],
)
def test_what_quantisation_cost_in_words(row, says):
    (cost,) = costs({"quantization_cost": row, "simulator_cost": None})
    assert says in cost.words
    assert (cost.before, cost.after) == ("Float", "int8")


def test_a_matrix_has_the_counts_and_its_colours_follow_the_share_of_the_row():
    (first, one), (_, two) = matrix(result([0] * 100 + [1] * 4, [0] * 99 + [1] + [0] * 4, 2))
    assert first == "class 0"
    assert [(c.count, c.level, c.hit) for c in one] == [(99, 10, True), (1, 1, False)]
    assert [(c.count, c.level, c.hit) for c in two] == [(4, 10, False), (0, 0, True)]
    assert one[1].title == "1 of 100 class 0 predicted as class 1"


def test_pairs_are_the_largest_off_the_diagonal_and_never_a_class_with_itself():
    labels = [0] * 10 + [1] * 10 + [2] * 5
    predicted = [0] * 7 + [1] * 3 + [1] * 8 + [2] * 2 + [0] * 2 + [2] * 3
    found = pairs(result(labels, predicted, 3))
    assert [(p.true, p.predicted, p.count, p.share) for p in found] == [
        ("class 0", "class 1", 3, 0.3),
        ("class 2", "class 0", 2, 0.4),
        ("class 1", "class 2", 2, 0.2),
    ]


def test_above_thirty_classes_the_matrix_gives_way_and_the_weakest_are_named():
    known = 31
    wrong = [*range(known - 1), 0]
    many = result(range(known), wrong, known)
    assert matrix(many) == []
    assert [(p.true, p.predicted) for p in pairs(many)] == [("class 30", "class 0")]
    assert weakest(many.row["per_class"])[0]["label"] == "class 30"
    few = result(range(30), range(30), 30)
    assert len(matrix(few)) == 30
    assert weakest(few.row["per_class"]) == []
    assert pairs(few) == []
