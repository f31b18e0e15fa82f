"""Operators that change the shape of a tensor and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from atoll.legalize.draft import Change
from atoll.legalize.rewrite import Rewrite
from atoll.legalize.rewrites.layout import RESHAPES, Chain, is_fixed, is_flat

if TYPE_CHECKING:
    from atoll.legalize.draft import Draft


def drop_reshape(draft: Draft, number: int) -> Change | None:
    """A reshape to the shape that is there already is dropped."""
    op = draft.operators[number]
    source, output = op.inputs[0], op.outputs[0]
    if not is_fixed(draft, source, output) or draft.tensor(source).is_constant:
        return None
    if draft.tensor(source).shape != draft.tensor(output).shape:
        return None
    return Change(removed=(number,), renamed={output: source})


def merge_reshapes(draft: Draft, number: int) -> Change | None:
    """Reshapes behind one another become one, so that no shape is left that the chip lacks."""
    op = draft.operators[number]
    before = draft.before(op.inputs[0], *RESHAPES)
    if before < 0:
        return None
    source, output = draft.operators[before].inputs[0], op.outputs[0]
    if not is_fixed(draft, source, output) or draft.tensor(source).is_constant:
        return None
    # A shape that the chip takes is kept where none comes behind it: other rewrites start there.
    if is_flat(draft.tensor(op.inputs[0]).shape) and not is_flat(draft.tensor(output).shape):
        return None
    chain = Chain(draft, draft.tensor(output).name)
    chain.reshape(source, draft.tensor(output).shape, into=output)
    return Change(chain.operators, (number,))


def as_reshape(draft: Draft, number: int) -> Change | None:
    """What changes a shape alone and is refused becomes a RESHAPE to a constant shape."""
    op = draft.operators[number]
    source, output = op.inputs[0], op.outputs[0]
    if not is_fixed(draft, source, output):
        return None
    chain = Chain(draft, draft.tensor(output).name)
    chain.reshape(source, draft.tensor(output).shape, into=output)
    return Change(chain.operators, (number,))


ROWS = (
    Rewrite("same-shape", RESHAPES, drop_reshape, "identical", always=True),
    Rewrite("reshape-chain", RESHAPES, merge_reshapes, "identical", always=True),
    Rewrite("as-reshape", ("SQUEEZE", "EXPAND_DIMS", "RESHAPE"), as_reshape, "identical"),
)
