"""How long a mapped part's program is: its instructions are sent to the chip at every call.

Its length was fitted on compiled files. An operator with a window exchanges pixels between tiles
before it works; and where a plane's sides are no multiples of the grid of tiles, tiles of two
heights and two widths exchange different ones. An operator that runs in several passes has
instructions for each.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from atoll.edgetpu.latency.constants import value_of
from atoll.edgetpu.latency.cycles import work
from atoll.edgetpu.tiling import GRID, plane_of, window

if TYPE_CHECKING:
    from atoll.tflite.graph import Operator, Subgraph


class Instructions(NamedTuple):
    """What the length of a program grows with.

    Attributes:
        windowed: Passes of operators with a window of more than a pixel.
        shapes: Shapes of tile that these need beyond one each.
        plain: Passes of other operators that do something.
    """

    windowed: int
    shapes: int
    plain: int

    @property
    def size(self) -> float:
        """A prediction of the program's length, in bytes."""
        return (
            value_of("instructions.windowed") * self.windowed
            + value_of("instructions.shapes") * self.shapes
            + value_of("instructions.plain") * self.plain
        )


def instructions(graph: Subgraph, op: Operator, passes: int) -> Instructions:
    """What an operator adds to the program of its part.

    Args:
        graph: The operator's graph.
        op: The operator, as if it were mapped.
        passes: How many passes over its plane it runs in.

    Returns:
        The counts; zeros for an operator that only renames what is there.
    """
    if work(graph, op).todo == 0:
        return Instructions(0, 0, 0)
    output = graph.output_of(op)
    if output is None or window(graph, op) == (1, 1):
        return Instructions(0, 0, passes)
    plane = plane_of(output.shape)
    sides = (plane.height, plane.width)
    shapes = math.prod(1 if side % GRID == 0 or side == 1 else 2 for side in sides)
    return Instructions(passes, passes * (shapes - 1), 0)


def total(programs: list[Instructions]) -> Instructions:
    """Programs one after the other."""
    return Instructions(*(sum(counts) for counts in zip(*programs, strict=True)))
