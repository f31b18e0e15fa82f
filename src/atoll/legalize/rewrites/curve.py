"""An 8-bit function as a sum of ramps: each a depthwise convolution of 1 x 1 that saturates.

A ramp rises from 0 to a whole number of steps between two of the function's 256 points, and is
level before and behind: RELU holds it at 0, and the end of its own grid at its height. All have
the output's scale, so adding them is adding integers, and the sum is off by one rounding only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from atoll.legalize.rewrites.quant import LOWEST, STEPS, Grid, grid_of, grid_with
from atoll.legalize.rewrites.sketch import LARGEST_WEIGHT

if TYPE_CHECKING:
    from atoll.legalize.rewrites.ramps import Knot, Lines
    from atoll.legalize.rewrites.sketch import Sketch


# Output steps an input step from which a ramp is steep. Kernels of LiteRT round twice, first to
# 2 ** -n and then to a whole step, where a multiplier is below 2 ** -n; in a steep ramp that shows,
# and its weight is chosen so that the multiplier, its slope over its weight, is above a half.
_STEEP = 4.0
# Rounded twice, a number so near to an integer is at most one step from it.
_WITHIN_ONE_STEP = 1.25


@dataclass(frozen=True)
class Ramp:
    """A line of a function, counted from its anchor outwards.

    Attributes:
        inner: Its knot towards the anchor.
        outer: Its other knot.
        last: Whether it reaches the end of the table.
    """

    inner: Knot
    outer: Knot
    last: bool

    @property
    def height(self) -> int:
        """How many steps it adds at its outer knot; below 0 where it falls."""
        return self.outer.y - self.inner.y

    @property
    def slope(self) -> float:
        """Output steps an input step."""
        return self.height / (self.outer.x - self.inner.x)


@dataclass(frozen=True)
class Start:
    """What the sum begins with.

    Attributes:
        slope: Output steps an input step.
        zero: The place in the table at which it is 0.
        rectified: Whether it is 0 where it would be below.
        low: The lowest integer of its grid, in steps from 0.
        constant: What must be added to it, in steps.
    """

    slope: float
    zero: float
    rectified: bool
    low: int
    constant: int


@dataclass(frozen=True)
class Plan:
    """How a function is put together.

    Attributes:
        start: What the sum begins with.
        ramps: What is added to it, or taken away, in this order.
        direct: Whether the start alone, in the output's own grid, is the function already.
    """

    start: Start
    ramps: tuple[Ramp, ...] = ()
    direct: bool = False

    @property
    def operators(self) -> int:
        """How many operators it takes."""
        if self.direct:
            return 1
        sums = len(self.ramps) + (self.start.constant != 0)
        return 1 + len(self.ramps) + max(sums, 1)


def plan_curve(lines: Lines, out: Grid) -> Plan | None:
    """Decides how a function is put together.

    Args:
        lines: The function, in the integers of `out`.
        out: The grid of the result.

    Returns:
        The plan; None where the function is level throughout.
    """
    sides = [side for side in _sides(lines) if side]
    if not sides:
        return None
    # What rises first needs no constant.
    sides.sort(key=lambda side: side[0].height < 0)
    ramps = [ramp for side in sides for ramp in side]
    base = lines.knots[lines.anchor].y - out.zero_point
    start = _start(ramps[0], base, alone=len(sides) == 1 and _at_end(lines))
    return Plan(start, tuple(ramps[1:]))


def plan_line(table: np.ndarray, out: Grid) -> Plan | None:
    """The plan of a function that is one line within the output's ends, or above its zero.

    Args:
        table: The function, in the integers of `out`: int [256].
        out: The grid of the result.

    Returns:
        The plan; None where one line is not within a step of it.
    """
    places = np.flatnonzero((table > table.min()) & (table < table.max()))
    if places.size < 2:
        return None
    values, low = table - out.zero_point, out.lowest - out.zero_point
    slope, height = np.polyfit(places, values[places], 1)
    if not slope:
        return None
    line = slope * np.arange(table.size) + height
    for rectified in (False, True):
        held = np.clip(np.maximum(line, 0) if rectified else line, low, low + STEPS)
        # The bias is rounded too, to a 127th of the slope.
        if np.abs(held - values).max() + abs(slope) / (2 * LARGEST_WEIGHT) <= _WITHIN_ONE_STEP:
            start = Start(float(slope), float(-height / slope), rectified, int(low), 0)
            return Plan(start, direct=True)
    return None


def draw_curve(sketch: Sketch, x: int, y: int, plan: Plan) -> None:
    """Adds the operators of a function.

    Args:
        sketch: Where they are added.
        x: The function's argument, of four dimensions.
        y: Where its value goes.
        plan: What `plan_curve` gave for the grid of `y`.
    """
    into, out = grid_of(sketch.draft, x), grid_of(sketch.draft, y)
    assert into is not None and out is not None, "a function has a grid on both sides"
    start, unit = plan.start, out.scale / into.scale

    def line(slope: float, zero: float, rectified: bool, target: Grid | int) -> int:
        gain = slope * unit
        offset = (zero + into.lowest - into.zero_point) * into.scale
        weight = LARGEST_WEIGHT
        if abs(slope) >= _STEEP and zero == int(zero):
            weight = min(int(2 * abs(slope)), LARGEST_WEIGHT)
        return sketch.weighted(x, gain, -gain * offset, target, rectified=rectified, weight=weight)

    if plan.direct:
        line(start.slope, start.zero, start.rectified, y)
        return
    left = len(plan.ramps) + (start.constant != 0)
    total = line(start.slope, start.zero, start.rectified, _grid(out, start.low))
    if start.constant:
        left -= 1
        value = sketch.constant(*_whole(out, start.constant))
        total = sketch.pairwise("ADD", total, value, out if left else y)
    for added in plan.ramps:
        left -= 1
        height = abs(added.height)
        slope = abs(added.slope) * np.sign(added.outer.x - added.inner.x)
        term = line(slope, added.inner.x, True, _grid(out, height - STEPS))
        kind = "ADD" if added.height > 0 else "SUB"
        total = sketch.pairwise(kind, total, term, out if left else y)
    if not plan.ramps and not start.constant:
        sketch.weighted(total, 1.0, 0.0, y)


def _sides(lines: Lines) -> tuple[list[Ramp], list[Ramp]]:
    """The ramps to the right and to the left of the anchor, from it outwards."""
    knots, anchor, last = lines.knots, lines.anchor, len(lines.knots) - 1
    right = [Ramp(knots[k], knots[k + 1], k + 1 == last) for k in range(anchor, last)]
    left = [Ramp(knots[k], knots[k - 1], k == 1) for k in range(anchor, 0, -1)]
    return [r for r in right if r.height], [r for r in left if r.height]


def _at_end(lines: Lines) -> bool:
    return lines.anchor in (0, len(lines.knots) - 1)


def _start(first: Ramp, base: int, *, alone: bool) -> Start:
    """The first term: the first ramp, and what the function is at the anchor."""
    height, end = first.height, base + first.height
    run = first.outer.x - first.inner.x
    # A bias that is no whole number of weights is rounded, which a steep ramp would show.
    is_fine = base == 0 or abs(first.slope) < _STEEP
    if alone and is_fine and first.inner.x in (0, STEPS):
        # Nothing lies on the anchor's other side: no need to be held there.
        low = _low_of(base, end, held=not first.last)
        if low is not None:
            return Start(height / run, first.inner.x - base * run / height, False, low, 0)
    if height > 0:
        return Start(height / run, first.inner.x, True, height - STEPS, base)
    # One that falls, seen from its other end.
    return Start(height / run, first.outer.x, True, -height - STEPS, end)


def _low_of(base: int, end: int, *, held: bool) -> int | None:
    """The lowest step of a grid that reaches from `base` to `end`, and ends there if `held`."""
    low, high = min(base, end), max(base, end)
    choices = [high - STEPS] if held and end > base else [low] if held else [low, high - STEPS]
    return next((choice for choice in choices if -STEPS <= choice <= 0), None)


def _grid(out: Grid, low: int) -> Grid:
    grid = grid_with(out.type, out.scale, low)
    assert grid is not None, "the lowest step lies within reach of 0"
    return grid


def _whole(out: Grid, steps: int) -> tuple[np.ndarray, Grid]:
    """A number of steps as a constant with the output's scale."""
    lowest = LOWEST[out.type]
    integer = lowest + STEPS if steps > 0 else lowest
    return (
        np.array(integer, np.dtype(out.type.lower())),
        Grid(out.type, out.scale, integer - steps),
    )
