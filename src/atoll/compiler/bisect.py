"""Finding the operator that breaks a compile, in few runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Found:
    """Where a compile begins to fail.

    Attributes:
        good: How many operators from the first may be mapped; 0 where none may.
        bad: The least number of them with which it was seen to fail.
        runs: How many compiles it took.
    """

    good: int
    bad: int
    runs: int

    @property
    def exact(self) -> bool:
        """Whether one operator is found, and not only a range."""
        return self.bad - self.good == 1


def longest_prefix(
    count: int, compiles: Callable[[int], bool], *, step: int = 1, most_runs: int = 16
) -> Found:
    """Finds how many operators from the first can be mapped, by halving.

    It takes for granted that with more operators a compile does not begin to work again.

    Args:
        count: How many operators there are; with all of them it is known to fail.
        compiles: Whether it works with so many operators.
        step: How many operators to tell apart: `count` less a multiple of it are tried.
        most_runs: How often to try at most.

    Returns:
        What was found, as far as the runs went.
    """
    # In steps left out at the end: with `fails` of them it fails, with `works` it works.
    fails, works, runs = 0, -(-count // step), 0
    while works - fails > 1 and runs < most_runs:
        middle = (fails + works) // 2
        runs += 1
        if compiles(count - middle * step):
            works = middle
        else:
            fails = middle
    return Found(max(0, count - works * step), count - fails * step, runs)
