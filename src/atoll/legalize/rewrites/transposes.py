"""TRANSPOSE and its kin: merged, cancelled, or done with shapes that the chip takes."""

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
    from collections.abc import Callable, Sequence

    from atoll.legalize.draft import Draft
    from atoll.legalize.rewrites.layout import Shape

    # Swaps the two middle ones of four sizes: chain, tensor, sizes; gives the new tensor.
    Swap = Callable[[Chain, int, tuple[int, int, int, int]], int]


def cancel_transposes(draft: Draft, number: int) -> Change | None:
    """A TRANSPOSE of a TRANSPOSE becomes one, or none where the second undoes the first."""
    op = draft.operators[number]
    before = draft.before(op.inputs[0], "TRANSPOSE", inputs=2)
    if before < 0:
        return None
    first, second = _permutation(draft, before), _permutation(draft, number)
    if first is None or second is None or len(first) != len(second):
        return None
    source, output = draft.operators[before].inputs[0], op.outputs[0]
    both = [first[axis] for axis in second]
    if both == sorted(both):
        return Change(removed=(number,), renamed={output: source})
    chain = Chain(draft, draft.tensor(output).name)
    axes = draft.add_integers(f"{chain.name}/axes", both)
    chain.op("TRANSPOSE", [source, axes], draft.tensor(output).shape, into=output)
    return Change(chain.operators, (number,))


def transpose_of_ones(draft: Draft, number: int) -> Change | None:
    """A TRANSPOSE that moves nothing but sizes of 1 becomes a RESHAPE, which costs nothing."""
    op = draft.operators[number]
    axes = _permutation(draft, number)
    if axes is None or not is_fixed(draft, op.inputs[0]):
        return None
    shape = draft.tensor(op.inputs[0]).shape
    moving = [axis for axis in axes if shape[axis] != 1]
    if moving != sorted(moving):
        return None
    chain = Chain(draft, draft.tensor(op.outputs[0]).name)
    chain.reshape(op.inputs[0], draft.tensor(op.outputs[0]).shape, into=op.outputs[0])
    return Change(chain.operators, (number,))


def merge_axes(draft: Draft, number: int) -> Change | None:
    """A TRANSPOSE of many dimensions is done in three, where some of them stay together."""
    return _rearranged(draft, number, _by_transposes, largest_rank=3)


def transpose_by_slices(draft: Draft, number: int) -> Change | None:
    """A TRANSPOSE of many dimensions is done by a few slices that are put together again."""
    return _rearranged(draft, number, _by_slices)


def transpose_by_steps(draft: Draft, number: int) -> Change | None:
    """A TRANSPOSE of many dimensions is done by several of three dimensions."""
    return _rearranged(draft, number, _by_transposes)


def depth_to_space(draft: Draft, number: int) -> Change | None:
    """DEPTH_TO_SPACE is done by a slice of the channels for each row of a block, put together."""
    op = draft.operators[number]
    source, output = op.inputs[0], op.outputs[0]
    block = option(op, "blockSize")
    if not is_fixed(draft, source, output) or len(draft.tensor(source).shape) != 4:
        return None
    batch, height, width, channels = draft.tensor(source).shape
    if batch != 1 or not 1 < block <= MOST_PIECES or channels % (block * block):
        return None
    chain = Chain(draft, draft.tensor(output).name)
    made = _by_slices(chain, source, (height, width, block, channels // block))
    chain.reshape(made, draft.tensor(output).shape, into=output)
    return Change(chain.operators, (number,))


def _permutation(draft: Draft, number: int) -> list[int] | None:
    """Which old axis each new one is; None where that is not fixed, or nonsense."""
    op = draft.operators[number]
    axes = draft.integers(op, 1)
    if axes is None or op.inputs[0] < 0:
        return None
    rank = len(draft.tensor(op.inputs[0]).shape)
    axes = [axis + rank if axis < 0 else axis for axis in axes]
    fits = sorted(axes) == list(range(rank)) and len(draft.tensor(op.outputs[0]).shape) == rank
    return axes if fits else None


def _rearranged(
    draft: Draft, number: int, swap: Swap, largest_rank: int | None = None
) -> Change | None:
    """A TRANSPOSE as swaps of neighbouring sizes, the reshapes around it taken in."""
    op = draft.operators[number]
    axes = _permutation(draft, number)
    if axes is None or not is_fixed(draft, op.inputs[0], op.outputs[0]):
        return None
    source, targets = source_of(draft, op.inputs[0]), targets_of(draft, op.outputs[0])
    if source < 0:
        return None
    sizes, order = merged(draft.tensor(op.inputs[0]).shape, axes)
    if len(sizes) < 2 or (largest_rank is not None and len(sizes) > largest_rank):
        return None
    steps = swaps(sizes, order)
    if swap is _by_slices and sum(min(b, c) for _, b, c, _ in steps) > 2 * MOST_PIECES:
        return None
    chain = Chain(draft, draft.tensor(op.outputs[0]).name)
    if len(sizes) <= 3 and swap is _by_transposes:
        made = _transposed(chain, source, sizes, order)
    else:
        made = source
        for step in steps:
            made = swap(chain, made, step)
    for target in targets[0]:
        chain.reshape(made, draft.tensor(target).shape, into=target)
    return Change(chain.operators, (number, *targets[1]))


def merged(shape: Shape, axes: Sequence[int]) -> tuple[list[int], list[int]]:
    """A permutation in its smallest form: without sizes of 1, neighbours that stay so as one.

    Args:
        shape: The sizes.
        axes: Which old axis each new one is.

    Returns:
        The sizes, and which of them each new one is.
    """
    groups: list[list[int]] = []
    for axis in (a for a in axes if shape[a] != 1):
        last = groups[-1][-1] if groups else -1
        if groups and all(shape[a] == 1 for a in range(last + 1, axis)) and axis > last:
            groups[-1].append(axis)
        else:
            groups.append([axis])
    old = sorted(groups)
    return [math.prod(shape[a] for a in g) for g in old], [old.index(g) for g in groups]


def swaps(sizes: Sequence[int], order: Sequence[int]) -> list[tuple[int, int, int, int]]:
    """A permutation as swaps of neighbours.

    Args:
        sizes: The sizes.
        order: Which of them each new one is.

    Returns:
        Steps (a, b, c, d): what has the shape [a, b, c, d] becomes [a, c, b, d].
    """
    now, steps = list(range(len(sizes))), []
    for place, wanted in enumerate(order):
        found = now.index(wanted)
        if found != place:
            parts = (now[:place], now[place:found], [wanted], now[found + 1 :])
            a, b, c, d = (math.prod(sizes[i] for i in part) for part in parts)
            steps.append((a, b, c, d))
            now = [*parts[0], wanted, *parts[1], *parts[3]]
    return steps


def _by_slices(chain: Chain, tensor: int, sizes: tuple[int, int, int, int]) -> int:
    """Swaps the two middle sizes by cutting along the smaller of them: no shape has more than 2."""
    a, b, c, d = sizes
    if c <= b:
        columns = chain.reshape(tensor, (a * b, c * d))
        parts = [chain.slice(columns, 1, i * d, d) for i in range(c)]
        rows = [chain.reshape(part, (a, b * d)) for part in parts]
    else:
        columns = chain.reshape(tensor, (a, b * c * d))
        parts = [chain.slice(columns, 1, i * c * d, c * d) for i in range(b)]
        rows = [chain.reshape(part, (a * c, d)) for part in parts]
    return chain.concatenate(rows, 1)


def _by_transposes(chain: Chain, tensor: int, sizes: tuple[int, int, int, int]) -> int:
    """Swaps the two middle sizes by at most two TRANSPOSE of three dimensions."""
    a, b, c, d = sizes
    if a == 1:
        return _transposed(chain, tensor, [b, c, d], [1, 0, 2])
    if d == 1:
        return _transposed(chain, tensor, [a, b, c], [0, 2, 1])
    outermost = _transposed(chain, tensor, [a * b, c, d], [1, 0, 2])
    return _transposed(chain, outermost, [c, a, b * d], [1, 0, 2])


def _transposed(chain: Chain, tensor: int, sizes: Sequence[int], order: Sequence[int]) -> int:
    shaped = chain.reshape(tensor, tuple(sizes))
    axes = chain.draft.add_integers(f"{chain.name}/axes", order)
    return chain.op("TRANSPOSE", [shaped, axes], tuple(sizes[i] for i in order))


ROWS = (
    Rewrite("transpose-pair", ("TRANSPOSE",), cancel_transposes, "identical", True, inputs=2),
    Rewrite("transpose-ones", ("TRANSPOSE",), transpose_of_ones, "identical", True, inputs=2),
    Rewrite("transpose-merged", ("TRANSPOSE",), merge_axes, "identical", inputs=2, partial=True),
    Rewrite(
        "transpose-slices", ("TRANSPOSE",), transpose_by_slices, "identical", inputs=2, partial=True
    ),
    Rewrite(
        "transpose-steps", ("TRANSPOSE",), transpose_by_steps, "identical", inputs=2, partial=True
    ),
    Rewrite("depth-to-space", ("DEPTH_TO_SPACE",), depth_to_space, "identical"),
)
