"""Drawing an 8-bit function with few straight lines: which knots keep it within one step.

A function of an 8-bit number is a table of 256 integers. The lines run between knots that lie on
integers in both directions, and no point lies further than a tolerance from its line; among those
with the fewest sloping lines, the one with the smallest squared error is taken.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Rounded to an integer, a line so near to a table's entry is at most one step from it.
WITHIN_ONE_STEP = 1.45
# The values that a knot may have, beside the table's entry there.
_AROUND = np.array([-1, 0, 1])
# More than any squared error can sum up to: 256 points, each less than 255 away.
_A_LINE = 2.0**24


@dataclass(frozen=True)
class Knot:
    """Where two lines meet.

    Attributes:
        x: The place in the table, 0 to 255.
        y: The value there, in the table's integers.
    """

    x: int
    y: int


@dataclass(frozen=True)
class Lines:
    """A table drawn with straight lines.

    Attributes:
        knots: From x = 0 to x = 255.
        anchor: Which of the knots the lines are counted from, to the left and to the right.
    """

    knots: tuple[Knot, ...]
    anchor: int

    def values(self) -> np.ndarray:
        """The lines at 0 to 255: float64 [256]."""
        return np.interp(
            np.arange(256), [knot.x for knot in self.knots], [knot.y for knot in self.knots]
        )


def fit_lines(
    table: np.ndarray, low: int, high: int, level: int, tolerance: float = WITHIN_ONE_STEP
) -> list[Lines]:
    """Draws a table with as few sloping lines as possible.

    Args:
        table: int [256].
        low: The smallest value that a knot may have.
        high: The largest.
        level: The value that an anchor best has, as it costs nothing to start there.
        tolerance: How far a point may lie from its line.

    Returns:
        The best lines whose anchor is at `level`, if there are any; the best whose anchor is the
        first or the last knot; the best of all, the anchor nearest to `level`.
    """
    costs = _line_costs(table.astype(np.float64), low, high, tolerance)
    before, came = _shortest(costs)
    after, goes = _shortest(costs.transpose(2, 3, 0, 1)[::-1, :, ::-1, :])
    through = before + after[::-1]
    values = table[:, None] + _AROUND
    ends = np.zeros(values.shape, bool)
    ends[[0, -1]] = True
    near = np.where(through - through.min() < _A_LINE, abs(values - level), np.inf)
    found = []
    for allowed in (values == level, ends, near == near.min()):
        left = np.where(allowed, through, np.inf)
        if np.isfinite(left).any():
            start = divmod(int(left.argmin()), len(_AROUND))
            found.append(_through(start, values, came, goes))
    return found


def _through(
    start: tuple[int, int], values: np.ndarray, came: np.ndarray, goes: np.ndarray
) -> Lines:
    """The cheapest lines through a knot (i, a), which is their anchor."""
    width, last = values.shape[1], values.shape[0] - 1
    path = [start]
    while path[0][0] > 0:
        path.insert(0, divmod(int(came[path[0]]), width))
    anchor = len(path) - 1
    while path[-1][0] < last:
        i, a = divmod(int(goes[last - path[-1][0], path[-1][1]]), width)
        path.append((last - i, a))
    return Lines(tuple(Knot(i, int(values[i, a])) for i, a in path), anchor)


def _line_costs(table: np.ndarray, low: int, high: int, tolerance: float) -> np.ndarray:
    """What a line between two knots costs: float64 [i, a, j, b], infinite where there is none.

    A knot (i, a) has the value table[i] + _AROUND[a].
    """
    x = np.arange(len(table))
    ahead = x[None, :] - x[:, None]
    run = np.where(ahead > 0, ahead, 1)[:, None, :]
    beyond = (ahead > 0)[:, None, :]
    starts = table[:, None] + _AROUND
    # Slopes that keep every point up to j within the tolerance: (i, a, j).
    rise = table - starts[:, :, None]
    least = np.where(beyond, (rise - tolerance) / run, -np.inf)
    most = np.where(beyond, (rise + tolerance) / run, np.inf)
    np.maximum.accumulate(least, axis=2, out=least)
    np.minimum.accumulate(most, axis=2, out=most)
    inside = (starts >= low) & (starts <= high)
    open_knots = beyond & (least <= most) & inside[:, :, None]
    costs = np.full((*open_knots.shape, len(_AROUND)), np.inf)
    for b in range(len(_AROUND)):
        climb = starts[:, b] - starts[:, :, None]
        slope = climb / run
        i, a, j = np.nonzero(open_knots & (slope >= least) & (slope <= most) & inside[:, b])
        error = _squared_error(table, i, j, starts[i, a], slope[i, a, j])
        costs[i, a, j, b] = error + _A_LINE * (climb[i, a, j] != 0)
    return costs


def _squared_error(
    table: np.ndarray, i: np.ndarray, j: np.ndarray, start: np.ndarray, slope: np.ndarray
) -> np.ndarray:
    """Sum over i < m <= j of (start + slope * (m - i) - table[m])^2, by running sums."""
    x = np.arange(len(table))
    ones, firsts, squares = (np.cumsum(table * weight) for weight in (1, x, table))
    t, tt = ones[j] - ones[i], squares[j] - squares[i]
    tx = firsts[j] - firsts[i] - i * t
    run = (j - i).astype(np.float64)
    steps = run * (run + 1) / 2
    error = (
        tt
        + start * start * run
        + slope * slope * steps * (2 * run + 1) / 3
        + 2 * (start * slope * steps - start * t - slope * tx)
    )
    return np.asarray(np.maximum(error, 0.0))


def _shortest(costs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the cheapest way from x = 0 to every knot costs, and the knot before it.

    A knot (i, a) is counted as i * len(_AROUND) + a.
    """
    n, width = costs.shape[:2]
    total = np.full((n, width), np.inf)
    came = np.zeros((n, width), np.int64)
    total[0] = 0.0
    for j in range(1, n):
        ways = (total[:j, :, None] + costs[:j, :, j]).reshape(width * j, width)
        came[j] = ways.argmin(axis=0)
        total[j] = ways.min(axis=0)
    return total, came
