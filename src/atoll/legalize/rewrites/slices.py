"""Parts of a tensor: SPLIT_V, UNPACK, GATHER and strided slices, said with SLICE."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

from atoll.legalize.draft import Change
from atoll.legalize.options import VALID, option
from atoll.legalize.rewrite import Rewrite
from atoll.legalize.rewrites.layout import MOST_PIECES, Chain, is_fixed
from atoll.legalize.spans import spans

if TYPE_CHECKING:
    from atoll.legalize.draft import Draft
    from atoll.legalize.spans import Span
    from atoll.tflite.graph import Operator

# Where an operator's input and axis are: the position of the input, of the constant axis, or the
# option with the axis.
_SPLITS: dict[str, tuple[int, int | str]] = {
    "SPLIT": (1, 0),
    "SPLIT_V": (0, 2),
    "UNPACK": (0, "axis"),
}


def split_as_slices(draft: Draft, number: int) -> Change | None:
    """SPLIT_V and UNPACK, and a SPLIT that is refused, become one SLICE an output."""
    op = draft.operators[number]
    position, where = _SPLITS[op.type]
    source = op.inputs[position]
    axis = _axis(draft, op, where)
    if axis is None or not is_fixed(draft, source, *op.outputs):
        return None
    shape = draft.tensor(source).shape
    if not -len(shape) <= axis < len(shape) or not draft.readers(source):
        return None
    axis %= len(shape)
    chain = Chain(draft, draft.tensor(op.outputs[0]).name)
    begin, rest = 0, math.prod(shape) // shape[axis]
    for output in op.outputs:
        size, left = divmod(math.prod(draft.tensor(output).shape), rest)
        if left or begin + size > shape[axis]:
            return None
        _sliced(chain, source, axis, (begin, size), output)
        begin += size
    return Change(chain.operators, (number,))


def gather_as_slices(draft: Draft, number: int) -> Change | None:
    """GATHER at constant places becomes slices of the runs among them, put together."""
    op = draft.operators[number]
    source, output = op.inputs[0], op.outputs[0]
    places = draft.integers(op, 1)
    axis = _axis(draft, op, "axis")
    if places is None or axis is None or not is_fixed(draft, source, output):
        return None
    shape = draft.tensor(source).shape
    if option(op, "batchDims") or not -len(shape) <= axis < len(shape) or not places:
        return None
    axis %= len(shape)
    if min(places) < 0 or max(places) >= shape[axis]:
        return None
    starts = [0, *(i for i, (a, b) in enumerate(pairwise(places), 1) if b != a + 1), len(places)]
    if len(starts) - 1 > MOST_PIECES:
        return None
    chain = Chain(draft, draft.tensor(output).name)
    parts = [chain.slice(source, axis, places[i], j - i) for i, j in pairwise(starts)]
    chain.reshape(chain.concatenate(parts, axis), draft.tensor(output).shape, into=output)
    return Change(chain.operators, (number,))


def plain_slice(draft: Draft, number: int) -> Change | None:
    """A STRIDED_SLICE without strides that has masks the chip lacks becomes SLICE and RESHAPE."""
    op = draft.operators[number]
    found = _spans(draft, op)
    if found is None or any(step != 1 for _, _, step in found):
        return None
    source, output = op.inputs[0], op.outputs[0]
    chain = Chain(draft, draft.tensor(output).name)
    made = chain.window(source, [s[0] for s in found], [s[1] for s in found])
    chain.reshape(made, draft.tensor(output).shape, into=output)
    return Change(chain.operators, (number,))


def strided_pool(draft: Draft, number: int) -> Change | None:
    """A strided slice of an image's rows and columns becomes MAX_POOL_2D with a window of one."""
    op = draft.operators[number]
    found = _spans(draft, op)
    if found is None or len(found) != 4 or found[0][2] != 1 or found[3][2] != 1:
        return None
    source, output = op.inputs[0], op.outputs[0]
    chain = Chain(draft, draft.tensor(output).name)
    made = chain.window(
        source, [s[0] for s in found], [(count - 1) * step + 1 for _, count, step in found]
    )
    pooled = chain.op(
        "MAX_POOL_2D",
        [made],
        tuple(count for _, count, _ in found),
        padding=VALID,
        filterHeight=1,
        filterWidth=1,
        strideH=found[1][2],
        strideW=found[2][2],
    )
    chain.reshape(pooled, draft.tensor(output).shape, into=output)
    return Change(chain.operators, (number,))


def strided_columns(draft: Draft, number: int) -> Change | None:
    """A strided slice becomes a RESHAPE that puts each step into a row, and a SLICE of columns."""
    op = draft.operators[number]
    found = _spans(draft, op)
    if found is None:
        return None
    source, output = op.inputs[0], op.outputs[0]
    chain = Chain(draft, draft.tensor(output).name)
    shape = list(draft.tensor(source).shape)
    made = source
    for axis, (begin, count, step) in enumerate(found):
        if step == 1:
            made = chain.slice(made, axis, begin, count)
        else:
            start = min(begin, shape[axis] - count * step)
            if start < 0:
                return None
            rows, inner = math.prod(shape[:axis]), math.prod(shape[axis + 1 :])
            window = chain.slice(made, axis, start, count * step)
            columns = chain.reshape(window, (rows * count, step * inner))
            made = chain.slice(columns, 1, (begin - start) * inner, inner)
        shape[axis] = count
        made = chain.reshape(made, tuple(shape))
    chain.reshape(made, draft.tensor(output).shape, into=output)
    return Change(chain.operators, (number,))


def _spans(draft: Draft, op: Operator) -> list[Span] | None:
    """What a STRIDED_SLICE takes of each axis; None where that is not fixed, or goes backwards."""
    begins, ends, steps = (draft.integers(op, i) for i in (1, 2, 3))
    if begins is None or ends is None or steps is None:
        return None
    source, output = op.inputs[0], op.outputs[0]
    if not is_fixed(draft, source, output) or draft.tensor(source).is_constant:
        return None
    found = spans(op, draft.tensor(source).shape, begins, ends, steps)
    if found is None or tuple(found[1]) != draft.tensor(output).shape:
        return None
    return found[0]


def _axis(draft: Draft, op: Operator, where: int | str) -> int | None:
    if isinstance(where, str):
        return option(op, where)
    found = draft.integers(op, where)
    return found[0] if found is not None and len(found) == 1 else None


def _sliced(chain: Chain, source: int, axis: int, span: tuple[int, int], output: int) -> None:
    """A part along an axis, with the shape that the output has."""
    shape = chain.shape(source)
    part = (*shape[:axis], span[1], *shape[axis + 1 :])
    if part == chain.shape(output):
        chain.slice(source, axis, *span, into=output)
    else:
        chain.reshape(chain.slice(source, axis, *span), chain.shape(output), into=output)


ROWS = (
    Rewrite("split", ("SPLIT_V", "SPLIT"), split_as_slices, "identical", inputs=2),
    Rewrite("unpack", ("UNPACK",), split_as_slices, "identical"),
    Rewrite("gather", ("GATHER",), gather_as_slices, "identical", inputs=2),
    Rewrite("slice-masks", ("STRIDED_SLICE",), plain_slice, "identical", inputs=4),
    Rewrite("slice-pool", ("STRIDED_SLICE",), strided_pool, "identical", inputs=4),
    Rewrite("slice-columns", ("STRIDED_SLICE",), strided_columns, "identical", inputs=4),
)
