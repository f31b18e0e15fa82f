"""Where the lines and marks of the report's plots go; the templates draw them as SVG.

Drawn by the templates and not by a plotting library, because a page's own SVG takes its fonts and
its light and dark colours from the page's style sheet.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, ClassVar

from atoll.report.formats import number, pass_name, percent

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_MOST_HOVERS = 200
_TINY = 1e-12


@dataclass(frozen=True)
class Axis:
    """A straight line from values to pixels.

    Attributes:
        low: The value at `start`.
        high: The value at `end`, above `low`.
        start: In pixels.
        end: In pixels; below `start` where the axis points up.
    """

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """The place of a value, to a tenth of a pixel."""
        share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)


@dataclass(frozen=True)
class Curves:
    """One plot of training: a line for each measure in each pass.

    Attributes:
        title: What is plotted.
        rows: (y, text) of the horizontal grid.
        columns: (x, text) of the ticks below.
        passes: (x, width, name) of each training pass.
        lines: (class, points) of polylines; a lone point is a polyline of two equal ones.
        kept: (x, y) of the epochs whose weights were kept.
        hovers: (x, width, text): a strip to point at for each epoch.
    """

    title: str
    rows: list[tuple[float, str]]
    columns: list[tuple[float, str]]
    passes: list[tuple[float, float, str]]
    lines: list[tuple[str, str]]
    kept: list[tuple[float, float]]
    hovers: list[tuple[float, float, str]]

    # The canvas, in the units of the other fields.
    width: ClassVar[int] = 420
    height: ClassVar[int] = 240
    left: ClassVar[int] = 44
    right: ClassVar[int] = 412
    top: ClassVar[int] = 26
    bottom: ClassVar[int] = 212


_SERIES = (("train", "", "training"), ("val", "val_", "validation"))


@dataclass(frozen=True)
class Measure:
    """What can be plotted over epochs.

    Attributes:
        title: The plot's heading.
        key: The field of an epoch; the validation's has "val_" before it.
        factor: What a tick is multiplied by to be written.
        unit: What is written behind it.
        words: How one value is written out.
    """

    title: str
    key: str
    factor: int
    unit: str
    words: Callable[[float | None], str]


MEASURES = (
    Measure("Accuracy", "accuracy", 100, "%", percent),
    Measure("Loss", "loss", 1, "", number),
)


def curves(
    measure: Measure, epochs: Sequence[dict[str, Any]], kept: set[tuple[str, int]]
) -> Curves | None:
    """Places the training curves of one measure.

    Args:
        measure: What is plotted.
        epochs: The epochs of all passes, in order.
        kept: (phase, epoch) whose weights were kept.

    Returns:
        The plot; None where there is nothing to plot.
    """
    keys = [(css, prefix + measure.key) for css, prefix, _ in _SERIES]
    known = [row[key] for row in epochs for _, key in keys if _finite(row.get(key))]
    if not known:
        return None
    steps = ticks(min(known), max(known))
    place_y = Axis(steps[0], steps[-1], Curves.bottom, Curves.top)
    place_x = Axis(0.5, len(epochs) + 0.5, Curves.left, Curves.right)
    passes, lines, marks = [], [], []
    for phase, group in groupby(
        enumerate(epochs, start=1), key=lambda item: str(item[1].get("phase"))
    ):
        rows = list(group)
        start, end = place_x(rows[0][0] - 0.5), place_x(rows[-1][0] + 0.5)
        passes.append((start, round(end - start, 1), pass_name(phase)))
        for css, key in keys:
            lines += [(css, line) for line in _polylines(rows, key, place_x, place_y)]
        held = "val_" + measure.key
        marks += [
            (place_x(x), place_y(row[held]))
            for x, row in rows
            if (phase, row.get("epoch")) in kept and _finite(row.get(held))
        ]
    write = _tick_words(steps, measure)
    wide = round(place_x(2) - place_x(1), 1)
    return Curves(
        title=measure.title,
        rows=[(place_y(v), write(v)) for v in steps],
        columns=[(place_x(x), str(x)) for x in _whole_ticks(len(epochs))],
        passes=passes,
        lines=lines,
        kept=marks,
        hovers=[
            (place_x(x - 0.5), wide, _epoch_words(row, measure))
            for x, row in enumerate(epochs, start=1)
            if len(epochs) <= _MOST_HOVERS
        ],
    )


def _polylines(
    rows: Sequence[tuple[int, dict[str, Any]]], key: str, place_x: Axis, place_y: Axis
) -> list[str]:
    """One line for each run of epochs that have the value."""
    lines = []
    for there, group in groupby(rows, key=lambda item: _finite(item[1].get(key))):
        if there:
            dots = [f"{place_x(x)},{place_y(row[key])}" for x, row in group]
            lines.append(" ".join(dots * 2 if len(dots) == 1 else dots))
    return lines


def _epoch_words(row: dict[str, Any], measure: Measure) -> str:
    phase = str(row.get("phase"))
    values = ", ".join(
        f"{name} {measure.words(row.get(prefix + measure.key))}" for _, prefix, name in _SERIES
    )
    return f"{pass_name(phase)}, epoch {row.get('epoch')}: {values}"


def ticks(low: float, high: float, parts: int = 4) -> list[float]:
    """Round values that enclose a range, in about so many equal steps.

    Args:
        low: The range's lower end.
        high: Its upper end; the same as `low` for a range of one value.
        parts: How many steps at most, but for the rounding at both ends.

    Returns:
        At least two values; the first is at most `low`, the last at least `high`.
    """
    low, high = (value if abs(value) > _TINY else 0.0 for value in (low, high))
    largest = max(abs(low), abs(high))
    # Values that differ by next to nothing are one value: they would all get the same text.
    span = high - low if high - low > 1e-6 * largest else largest / 10 or 1.0
    rough = span / parts
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * next(m for m in (1, 2, 2.5, 5, 10) if m * power >= rough * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    if first == last:
        # Downwards, where there is room: an accuracy of 1 needs no tick above it.
        first, last = (first - 1, last) if low > 0 else (first, last + 1)
    return [n * step for n in range(first, last + 1)]


def _tick_words(steps: Sequence[float], measure: Measure) -> Callable[[float], str]:
    """Writes ticks with as many decimals as their step needs."""
    step = measure.factor * (steps[1] - steps[0])
    decimals = next((d for d in range(9) if abs(round(step, d) - step) < 1e-6 * step), 9)
    return lambda v: f"{measure.factor * v:.{decimals}f}{measure.unit}"


def _whole_ticks(count: int) -> list[int]:
    """Round numbers of epochs, from 1 to `count`."""
    steps = ticks(0, count, 6)
    step = max(1, round(steps[1] - steps[0]))
    return sorted({1, *range(step, count + 1, step)})


def _finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def interval_axis(intervals: Sequence[tuple[float, float]], width: float) -> Axis:
    """One axis for several intervals of shares, so that the eye can compare them.

    Args:
        intervals: (low, high) of each, from 0 to 1.
        width: In pixels.

    Returns:
        The axis; its ends are round shares.
    """
    steps = ticks(min(low for low, _ in intervals), max(high for _, high in intervals), 2)
    return Axis(max(0.0, steps[0]), min(1.0, steps[-1]), 0, width)
