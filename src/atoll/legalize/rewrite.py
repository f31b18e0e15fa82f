"""What a rewrite is: one row of the table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

    from atoll.legalize.draft import Change, Draft

# How far the outputs may move. "identical": not at all, whatever goes in. "one step": each output
# of the replaced operators by one quantisation step. "measured": it is measured, and said.
Exactness = Literal["identical", "one step", "measured"]


@dataclass(frozen=True)
class Rewrite:
    """One row.

    Attributes:
        name: A short name, as `--skip` takes it: "split-v".
        ops: The operators that it starts from; empty for any.
        apply: Looks at the operator with this number; returns the change, or None where it does
            not apply. Its docstring is what the user reads: what is changed, and why.
        exactness: How far the outputs may move.
        always: Whether it is done wherever it applies. Otherwise it is done only where an operator
            that goes breaks a rule of the chip and none that comes does.
        inputs: How many inputs must be there, from the first: `apply` is not called for an
            operator with fewer, or with none of its outputs.
        partial: Whether it is enough that fewer operators break a rule after it than before, those
            that nobody reads any more taken along: other rows will take the rest.
    """

    name: str
    ops: tuple[str, ...]
    apply: Callable[[Draft, int], Change | None]
    exactness: Exactness
    always: bool = False
    inputs: int = 1
    partial: bool = False

    @property
    def what(self) -> str:
        """What is changed, in a sentence."""
        return " ".join((self.apply.__doc__ or "").split())
