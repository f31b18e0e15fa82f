"""The tables of changes: passes over a whole graph, and rewrites of single places."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from atoll.legalize.batch import fix_batch
from atoll.legalize.fold import fold_constants
from atoll.legalize.rewrites import (
    activations,
    arithmetic,
    convolutions,
    curves,
    dense,
    dilation,
    fused,
    gates,
    interpolation,
    islands,
    joining,
    padding,
    pooling,
    resizing,
    shapes,
    slices,
    softmaxes,
    transposes,
    turning,
    versions,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from atoll.legalize.draft import Draft
    from atoll.legalize.rewrite import Exactness, Rewrite


@dataclass(frozen=True)
class Pass:
    """One change of a whole graph, made once.

    Attributes:
        name: A short name, as `--skip` takes it.
        apply: Changes the draft; returns the names of the tensors that it did something for. Its
            docstring is what the user reads.
        exactness: How far the outputs may move.
    """

    name: str
    apply: Callable[[Draft], list[str]]
    exactness: Exactness = "identical"

    @property
    def what(self) -> str:
        """What is changed, in a sentence."""
        return " ".join((self.apply.__doc__ or "").split())


PASSES = (
    Pass("fixed-batch", fix_batch),
    Pass("constant-folding", fold_constants),
)
"""Made first, in this order."""

_CONCERNS = (
    versions,
    shapes,
    transposes,
    turning,
    islands,
    fused,
    dense,
    convolutions,
    dilation,
    padding,
    pooling,
    interpolation,
    resizing,
    joining,
    slices,
    activations,
    arithmetic,
    softmaxes,
    gates,
    curves,
)
REWRITES: tuple[Rewrite, ...] = tuple(row for concern in _CONCERNS for row in concern.ROWS)
"""Of several rows for an operator, the first that holds is taken."""
