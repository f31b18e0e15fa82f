"""What the rewrites of functions of one 8-bit number start from: a region, and its table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from atoll.edgetpu.rules import breach
from atoll.legalize.rewrites.elementwise import ELEMENTWISE
from atoll.legalize.rewrites.quant import Grid, grid_of
from atoll.legalize.rewrites.regions import regions_of
from atoll.legalize.rewrites.tabulate import table_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from atoll.legalize.draft import Draft
    from atoll.legalize.rewrites.regions import Region

# Operators at which a function may start or end that the chip does not take.
FOREIGN = (
    "ABS",
    "COS",
    "DEQUANTIZE",
    "DIV",
    "ELU",
    "EQUAL",
    "EXP",
    "FLOOR",
    "FLOOR_DIV",
    "FLOOR_MOD",
    "GELU",
    "GREATER",
    "GREATER_EQUAL",
    "HARD_SWISH",
    "LEAKY_RELU",
    "LESS",
    "LESS_EQUAL",
    "LOG",
    "NEG",
    "NOT_EQUAL",
    "POW",
    "PRELU",
    "QUANTIZE",
    "RELU_0_TO_1",
    "ROUND",
    "RSQRT",
    "SELECT",
    "SELECT_V2",
    "SIGN",
    "SIN",
    "SQRT",
    "SQUARE",
    "SQUARED_DIFFERENCE",
)

# How many steps two ways to compute the same are apart on average, at most.
_SELDOM = 0.25


@dataclass(frozen=True)
class Function:
    """A function of one 8-bit number, as a graph computes it.

    Attributes:
        region: The operators that do.
        into: The grid of its argument.
        out: The grid of its value.
        table: Its values, in the integers of `out`: int64 [256].
    """

    region: Region
    into: Grid
    out: Grid
    table: np.ndarray

    def is_near(self, values: np.ndarray) -> bool:
        """Whether real numbers, rounded to the output's grid, are its values but for rounding.

        That is: off by one step at most, and seldom by that, as a term that is less than a step
        must not get lost.
        """
        apart = np.abs(self.out.steps(values) - self.table)
        return bool(apart.max() <= 1 and apart.mean() <= _SELDOM)


def functions_of(
    draft: Draft, number: int, having: Collection[str] = ELEMENTWISE
) -> Iterator[Function]:
    """The functions of one 8-bit number that an operator, which the chip does not take, is part of.

    Args:
        draft: The graph.
        number: The operator.
        having: Types of operators, of which there must be one.

    Yields:
        The functions, first the one that takes most off the CPU.
    """
    if breach(draft.graph, draft.operators[number], draft.min_runtime) is None:
        return
    for region in regions_of(draft, number):
        if not any(op.type in having for op in region.operators):
            continue
        into, out = grid_of(draft, region.source), grid_of(draft, region.result)
        table = table_of(draft, region)
        if into is not None and out is not None and table is not None:
            yield Function(region, into, out, table)
