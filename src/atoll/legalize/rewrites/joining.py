"""Tensors put together: CONCATENATION, PACK and TILE."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from atoll.legalize.draft import Change
from atoll.legalize.options import option
from atoll.legalize.rewrite import Rewrite
from atoll.legalize.rewrites.layout import (
    MOST_PIECES,
    Chain,
    is_fixed,
    source_of,
    targets_of,
)

if TYPE_CHECKING:
    from atoll.legalize.draft import Draft


def pack_as_concatenation(draft: Draft, number: int) -> Change | None:
    """A PACK that is refused becomes CONCATENATION, in shapes that the chip takes."""
    op = draft.operators[number]
    output = op.outputs[0]
    axis = option(op, "axis")
    if not is_fixed(draft, output, *op.inputs):
        return None
    shape = draft.tensor(op.inputs[0]).shape
    if not -len(shape) - 1 <= axis <= len(shape) or len(op.inputs) > MOST_PIECES:
        return None
    outer = math.prod(shape[: axis % (len(shape) + 1)])
    return _joined(draft, number, list(op.inputs), outer)


def flat_concatenation(draft: Draft, number: int) -> Change | None:
    """A CONCATENATION of many dimensions is done in two."""
    op = draft.operators[number]
    output = op.outputs[0]
    axis = option(op, "axis")
    if not is_fixed(draft, output, *op.inputs) or option(op, "fusedActivationFunction"):
        return None
    shape = draft.tensor(op.inputs[0]).shape
    if not -len(shape) <= axis < len(shape) or any(draft.tensor(t).is_constant for t in op.inputs):
        return None
    return _joined(draft, number, list(op.inputs), math.prod(shape[: axis % len(shape)]))


def tile_as_concatenation(draft: Draft, number: int) -> Change | None:
    """A TILE becomes a CONCATENATION of a tensor with itself, for each axis that is repeated."""
    op = draft.operators[number]
    source, output = op.inputs[0], op.outputs[0]
    repeats = draft.integers(op, 1)
    if repeats is None or not is_fixed(draft, source, output):
        return None
    shape = draft.tensor(source).shape
    if len(repeats) != len(shape) or min(repeats, default=0) < 1 or max(repeats) > MOST_PIECES:
        return None
    if tuple(n * m for n, m in zip(shape, repeats, strict=True)) != draft.tensor(output).shape:
        return None
    flat, targets = source_of(draft, source), targets_of(draft, output)
    if flat < 0 or draft.tensor(flat).is_constant:
        return None
    chain = Chain(draft, draft.tensor(output).name)
    made, sizes = flat, list(shape)
    for axis, times in enumerate(repeats):
        if times > 1:
            outer, inner = math.prod(sizes[:axis]), math.prod(sizes[axis:])
            rows = chain.reshape(made, (outer, inner))
            made = chain.concatenate([rows] * times, 1)
            sizes[axis] *= times
    for target in targets[0]:
        chain.reshape(made, draft.tensor(target).shape, into=target)
    return Change(chain.operators, (number, *targets[1]))


def _joined(draft: Draft, number: int, inputs: list[int], outer: int) -> Change | None:
    """Tensors joined behind the sizes that `outer` is the product of."""
    op = draft.operators[number]
    output = op.outputs[0]
    sources, targets = [source_of(draft, t) for t in inputs], targets_of(draft, output)
    if min(sources) < 0 or any(draft.tensor(t).is_constant for t in sources):
        return None
    chain = Chain(draft, draft.tensor(output).name)
    rows = [
        chain.reshape(t, (outer, math.prod(draft.tensor(t).shape) // max(outer, 1)))
        for t in sources
    ]
    made = chain.concatenate(rows, 1)
    for target in targets[0]:
        chain.reshape(made, draft.tensor(target).shape, into=target)
    return Change(chain.operators, (number, *targets[1]))


ROWS = (
    Rewrite("pack", ("PACK",), pack_as_concatenation, "identical", partial=True),
    Rewrite(
        "concatenation-flat", ("CONCATENATION",), flat_concatenation, "identical", partial=True
    ),
    Rewrite("tile", ("TILE",), tile_as_concatenation, "identical", inputs=2, partial=True),
)
