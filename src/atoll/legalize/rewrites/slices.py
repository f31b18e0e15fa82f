"""Parts of a tensor: SPLIT_V, UNPACK, GATHER and slices with strides, said with SLICE."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

from atoll.legalize.draft import Change
from atoll.legalize.options import VALID, option
from atoll.legalize.rewrite import Rewrite
from atoll.legalize.rewrites.layout import (
    MOST_PIECES,
    Chain,
    is_fixed,
    source_of,
    targets_of,
)
from atoll.legalize.spans import spans

if TYPE_CHECKING:
    from atoll.legalize.draft import Draft
    from atoll.legalize.rewrites.layout import Shape
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
    tensor, axis = op.inputs[position], _axis(draft, op, where)
    if axis is None or not is_fixed(draft, tensor, *op.outputs):
        return None
    shape, source = draft.tensor(tensor).shape, source_of(draft, tensor)
    if not -len(shape) <= axis < len(shape) or source < 0 or draft.tensor(source).is_constant:
        return None
    axis %= len(shape)
    chain = Chain(draft, draft.tensor(op.outputs[0]).name)
    begin, rest = 0, math.prod(shape) // shape[axis]
    replaced: list[int] = []
    for output in op.outputs:
        size, left = divmod(math.prod(draft.tensor(output).shape), rest)
        if left or begin + size > shape[axis]:
            return None
        if draft.readers(output) or draft.is_output(output):
            made = _taken(chain, source, shape, _along(shape, axis, (begin, size, 1)))
            replaced += _given(chain, made, output)
        begin += size
    return Change(chain.operators, (number, *replaced))


def gather_as_slices(draft: Draft, number: int) -> Change | None:
    """GATHER at constant places becomes slices of the runs among them, put together."""
    op = draft.operators[number]
    tensor, output = op.inputs[0], op.outputs[0]
    places, axis = draft.integers(op, 1), option(op, "axis")
    if not places or not is_fixed(draft, tensor, output) or option(op, "batchDims"):
        return None
    shape, source = draft.tensor(tensor).shape, source_of(draft, tensor)
    if not -len(shape) <= axis < len(shape) or source < 0 or draft.tensor(source).is_constant:
        return None
    axis %= len(shape)
    rest = math.prod(shape) // shape[axis]
    if min(places) < 0 or max(places) >= shape[axis]:
        return None
    starts = [0, *(i for i, (a, b) in enumerate(pairwise(places), 1) if b != a + 1), len(places)]
    fits = math.prod(draft.tensor(output).shape) == len(places) * rest
    if len(starts) - 1 > MOST_PIECES or not fits:
        return None
    chain, rows = Chain(draft, draft.tensor(output).name), []
    outer = math.prod(shape[:axis])
    for i, j in pairwise(starts):
        part = _taken(chain, source, shape, _along(shape, axis, (places[i], j - i, 1)))
        rows.append(chain.reshape(part, (outer, (j - i) * rest // outer)))
    replaced = _given(chain, chain.concatenate(rows, 1), output)
    return Change(chain.operators, (number, *replaced))


def plain_slice(draft: Draft, number: int) -> Change | None:
    """A slice in a form that the chip lacks, or of many dimensions, becomes SLICE and RESHAPE."""
    op = draft.operators[number]
    found = _spans(draft, op)
    if found is None or any(step != 1 for _, _, step in found):
        return None
    return _sliced(draft, number, found)


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
    shape = draft.tensor(op.inputs[0]).shape
    if any(count * step > size for (_, count, step), size in zip(found, shape, strict=True)):
        return None
    return _sliced(draft, number, found)


def _sliced(draft: Draft, number: int, found: list[Span]) -> Change | None:
    op = draft.operators[number]
    source = source_of(draft, op.inputs[0])
    if source < 0 or draft.tensor(source).is_constant:
        return None
    chain = Chain(draft, draft.tensor(op.outputs[0]).name)
    made = _taken(chain, source, draft.tensor(op.inputs[0]).shape, found)
    replaced = _given(chain, made, op.outputs[0])
    return Change(chain.operators, (number, *replaced))


def _taken(chain: Chain, source: int, shape: Shape, found: list[Span]) -> int:
    """Parts of a tensor, whose elements are seen in a shape, in a shape that the chip takes."""
    if chain.shape(source) == shape and all(step == 1 for _, _, step in found):
        return chain.window(source, [span[0] for span in found], [span[1] for span in found])
    made, sizes = source, list(shape)
    for axis, (begin, count, step) in enumerate(found):
        if count == sizes[axis]:
            continue
        rows, inner = math.prod(sizes[:axis]), math.prod(sizes[axis + 1 :])
        # Of every step the one element that is wanted: the steps must lie within the axis.
        start = min(begin, sizes[axis] - count * step)
        window = chain.reshape(made, (rows, sizes[axis] * inner))
        window = chain.slice(window, 1, start * inner, count * step * inner)
        if step > 1:
            window = chain.reshape(window, (rows * count, step * inner))
            window = chain.slice(window, 1, (begin - start) * inner, inner)
        made, sizes[axis] = window, count
    return made


def _given(chain: Chain, made: int, output: int) -> list[int]:
    """Hands a tensor on in the shape that others read; gives the reshapes it takes the place of."""
    targets, between = targets_of(chain.draft, output)
    for target in targets:
        chain.reshape(made, chain.shape(target), into=target)
    return between


def _along(shape: Shape, axis: int, span: Span) -> list[Span]:
    """All of a tensor but along one axis."""
    return [span if i == axis else (0, size, 1) for i, size in enumerate(shape)]


def _spans(draft: Draft, op: Operator) -> list[Span] | None:
    """What a slice takes of each axis; None where that is not fixed, or goes backwards."""
    begins, ends, steps = (draft.integers(op, i) for i in (1, 2, 3))
    source, output = op.inputs[0], op.outputs[0]
    if begins is None or ends is None or not is_fixed(draft, source, output):
        return None
    shape, made = draft.tensor(source).shape, draft.tensor(output).shape
    if op.type == "SLICE":
        if not len(begins) == len(made) == len(shape) or min(begins, default=0) < 0:
            return None
        within = all(b + n <= size for b, n, size in zip(begins, made, shape, strict=True))
        return [(b, n, 1) for b, n in zip(begins, made, strict=True)] if within else None
    if steps is None:
        return None
    found = spans(op, shape, begins, ends, steps)
    return None if found is None or tuple(found[1]) != made else found[0]


def _axis(draft: Draft, op: Operator, where: int | str) -> int | None:
    if isinstance(where, str):
        return option(op, where)
    found = draft.integers(op, where)
    return found[0] if found is not None and len(found) == 1 else None


ROWS = (
    Rewrite("split", ("SPLIT_V", "SPLIT"), split_as_slices, "identical", inputs=2, partial=True),
    Rewrite("unpack", ("UNPACK",), split_as_slices, "identical", partial=True),
    Rewrite("gather", ("GATHER",), gather_as_slices, "identical", inputs=2, partial=True),
    Rewrite("slice", ("SLICE", "STRIDED_SLICE"), plain_slice, "identical", inputs=3, partial=True),
    Rewrite("slice-pool", ("STRIDED_SLICE",), strided_pool, "identical", inputs=4),
    Rewrite(
        "slice-columns", ("STRIDED_SLICE",), strided_columns, "identical", inputs=4, partial=True
    ),
)
