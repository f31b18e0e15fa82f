"""A plot must show what the numbers say: no point off the canvas, no tick that lies."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll.report.plots import MEASURES, Axis, Curves, curves, interval_axis, ticks

ACCURACY, LOSS = MEASURES
finite = st.floats(-1e9, 1e9, allow_nan=False)


def epoch(phase, number, train, validation):
    return {
        "phase": phase,
        "epoch": number,
        "accuracy": train,
        "val_accuracy": validation,
        "loss": train,
        "val_loss": validation,
    }


def points(line):
    return [tuple(map(float, point.split(","))) for point in line.split()]


@given(finite, finite)
def test_ticks_enclose_the_range_in_a_few_even_steps(one, other):
    low, high = sorted((one, other))
    steps = ticks(low, high)
    assert 2 <= len(steps) <= 7
    slack = 1e-6 * max(abs(low), abs(high)) + 1e-12
    assert steps[0] <= low + slack
    assert steps[-1] >= high - slack
    gaps = [b - a for a, b in pairwise(steps)]
    assert gaps == pytest.approx([gaps[0]] * len(gaps), rel=1e-3)


@given(st.floats(0, 1), st.floats(0, 1))
def test_no_accuracy_axis_leaves_zero_to_one(one, other):
    steps = ticks(min(one, other), max(one, other))
    assert steps[0] >= 0
    assert steps[-1] <= 1 + 1e-9


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=40))
def test_every_point_is_on_the_canvas_and_higher_where_it_is_better(values):
    rows = [epoch("head", i + 1, *pair) for i, pair in enumerate(values)]
    plot = curves(ACCURACY, rows, set())
    (train,) = [points(line) for css, line in plot.lines if css == "train"]
    assert all(Curves.left <= x <= Curves.right for x, _ in train)
    assert all(Curves.top <= y <= Curves.bottom for _, y in train)
    best = max(range(len(values)), key=lambda i: values[i][0])
    assert train[best][1] == min(y for _, y in train)


def test_passes_are_apart_and_their_kept_epochs_marked():
    rows = [epoch("head", i, 0.5 + i / 100, 0.4 + i / 100) for i in (1, 2, 3)]
    rows += [epoch("tail", i, 0.6, 0.55) for i in (1, 2)]
    plot = curves(ACCURACY, rows, {("head", 3), ("tail", -1)})
    assert [name for _, _, name in plot.passes] == ["head", "last blocks"]
    assert [css for css, _ in plot.lines] == ["train", "val", "train", "val"]
    head = points(plot.lines[1][1])
    assert plot.kept == [head[-1]]
    assert plot.passes[0][0] + plot.passes[0][1] == pytest.approx(plot.passes[1][0], abs=0.11)
    assert plot.hovers[3][2] == "last blocks, epoch 1: training 60.0%, validation 55.0%"


def test_an_epoch_without_a_number_breaks_the_line_instead_of_bending_it():
    """A loss that ran away is written as null: json has no NaN."""
    losses = [1.0, 0.9, None, float("nan"), 0.7]
    plot = curves(LOSS, [epoch("whole", i, v, 1.0) for i, v in enumerate(losses)], set())
    train = [points(line) for css, line in plot.lines if css == "train"]
    assert [len(line) for line in train] == [2, 2]
    assert train[1][0] == train[1][1]  # a lone point, drawn as a dot
    assert curves(LOSS, [epoch("whole", 0, None, None)], set()) is None


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ((0.7, 0.98), ["70%", "80%", "90%", "100%"]),
        ((0.991, 0.998), ["99.0%", "99.2%", "99.4%", "99.6%", "99.8%"]),
        ((1.0, 1.0), ["97.5%", "100.0%"]),
    ],
)
def test_ticks_are_written_with_the_decimals_they_need(values, texts):
    rows = [epoch("head", i, v, v) for i, v in enumerate(values)]
    assert [text for _, text in curves(ACCURACY, rows, set()).rows] == texts


def test_a_long_training_has_no_strip_to_point_at_for_every_epoch():
    rows = [epoch("head", i, 0.5, 0.5) for i in range(5000)]
    plot = curves(ACCURACY, rows, set())
    assert plot.hovers == []
    assert len(plot.columns) <= 8


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted), min_size=1, max_size=5))
def test_intervals_share_an_axis_that_holds_them_all(intervals):
    axis = interval_axis(intervals, 240)
    assert 0 <= axis.low < axis.high <= 1
    for low, high in intervals:
        assert -0.1 <= axis(low) <= axis(high) <= 240.1


def test_an_axis_puts_its_ends_at_its_ends():
    axis = Axis(0.5, 1.0, 200, 20)
    assert (axis(0.5), axis(0.75), axis(1.0)) == (200, 110, 20)
