"""Stretches of a graph that compute one 8-bit tensor from another, element by element."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from atoll.edgetpu.rules import breach
from atoll.legalize.rewrites.elementwise import ELEMENTWISE
from atoll.legalize.rewrites.quant import computed_grids, grid_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from atoll.legalize.draft import Draft
    from atoll.tflite.graph import Operator

# How many operators are looked at behind one, and before each of those.
_AHEAD, _BACK = 12, 24
# How many regions are worth a try.
_MOST = 4


@dataclass(frozen=True)
class Region:
    """Operators that compute one 8-bit tensor from another, element by element.

    Attributes:
        source: The tensor that they start from.
        result: The tensor that they compute.
        operators: All of them, in execution order.
        removable: The numbers of those that nobody outside needs.
    """

    source: int
    result: int
    operators: tuple[Operator, ...]
    removable: tuple[int, ...]


def regions_of(draft: Draft, number: int) -> list[Region]:
    """The regions that an operator is part of.

    Args:
        draft: The graph.
        number: The operator.

    Returns:
        A few regions, first those with most operators that the chip does not take, and among
        these the smallest; the smallest of all is the last.
    """
    found = []
    for sink in _ahead(draft, number):
        for source, numbers in _behind(draft, sink):
            removable = _removable(draft, sink, numbers)
            if number in removable:
                operators = tuple(draft.operators[n] for n in numbers)
                result = draft.operators[sink].outputs[0]
                found.append(Region(source, result, operators, removable))
    found.sort(key=lambda region: len(region.operators))
    broken = {
        n: breach(draft.graph, draft.operators[n], draft.min_runtime) is not None
        for n in {n for region in found for n in region.removable}
    }
    best = sorted(found, key=lambda region: -sum(broken[n] for n in region.removable))[:_MOST]
    return [*(region for region in best if region is not found[0]), *found[:1]]


def regions_into(draft: Draft, tensor: int) -> Iterator[Region]:
    """The regions that compute a tensor, the smallest first; what they are made of may stay."""
    number = draft.producer(tensor)
    if number >= 0 and draft.operators[number].type in ELEMENTWISE:
        for source, numbers in _behind(draft, number):
            yield Region(source, tensor, tuple(draft.operators[n] for n in numbers), ())


def _ahead(draft: Draft, number: int) -> list[int]:
    """An operator, and the elementwise ones that follow from it, nearest first."""
    found = {number: None}
    for current in _growing(found):
        for output in draft.operators[current].outputs:
            for reader in draft.readers(output):
                if len(found) < _AHEAD and draft.operators[reader].type in ELEMENTWISE:
                    found[reader] = None
    return list(found)


def _growing(found: dict[int, None]) -> Iterator[int]:
    """The keys of a dict that grows meanwhile."""
    done = 0
    while done < len(found):
        yield from (keys := list(found)[done:])
        done += len(keys)


def _behind(draft: Draft, sink: int) -> Iterator[tuple[int, list[int]]]:
    """Tensors that alone decide what an operator gives, and the operators in between."""
    result = next(iter(draft.operators[sink].outputs), -1)
    if result < 0 or not _is_end(draft, result, result):
        return
    order = _cone(draft, sink, draft.tensor(result).shape)
    waiting: dict[int, None] = {result: None}
    taken: list[int] = []
    for number in reversed(order):
        op = draft.operators[number]
        waiting.pop(op.outputs[0], None)
        taken.insert(0, number)
        inputs = (t for t in op.inputs if t >= 0 and not draft.tensor(t).is_constant)
        waiting |= dict.fromkeys(inputs)
        if len(waiting) == 1 and _is_end(draft, source := next(iter(waiting)), result):
            yield source, list(taken)


def _cone(draft: Draft, sink: int, shape: tuple[int, ...]) -> list[int]:
    """The elementwise operators that an operator follows from, in execution order, itself last."""
    order: list[int] = []
    seen: set[int] = set()
    stack = [(sink, False)]
    while stack:
        number, done = stack.pop()
        if done:
            order.append(number)
        elif number not in seen and len(seen) < _BACK and _is_elementwise(draft, number, shape):
            seen.add(number)
            stack.append((number, True))
            before = (draft.producer(t) for t in draft.operators[number].inputs if t >= 0)
            stack += [(n, False) for n in before if n >= 0]
    return order


def _is_elementwise(draft: Draft, number: int, shape: tuple[int, ...]) -> bool:
    """Whether an operator is of the table, its tensors of this shape or single constants."""
    op = draft.operators[number]
    row = ELEMENTWISE.get(op.type)
    if row is None or len(op.outputs) != 1 or not op.inputs or min(op.inputs) < 0:
        return False
    output, inputs = draft.tensor(op.outputs[0]), [draft.tensor(t) for t in op.inputs]
    if output.shape != shape or not row.takes(tuple(t.type for t in inputs), output.type):
        return False
    if not all(_is_number(draft, t) for t in (*op.inputs, *op.outputs)):
        return False
    return all(
        math.prod(tensor.shape) == 1 and tensor.data is not None and tensor.data.size == 1
        if tensor.is_constant
        else tensor.shape == shape
        for tensor in inputs
    )


def _is_number(draft: Draft, index: int) -> bool:
    """Whether a tensor needs no grid, or has one that makes sense."""
    return draft.tensor(index).type in ("FLOAT32", "BOOL") or grid_of(draft, index) is not None


def _is_end(draft: Draft, index: int, result: int) -> bool:
    """Whether a tensor can be a region's source: 8-bit, of the result's shape and type."""
    one, other = draft.tensor(index), draft.tensor(result)
    alike = one.shape == other.shape and one.type == other.type
    return alike and not one.is_variable and computed_grids(draft, index) is not None


def _removable(draft: Draft, sink: int, numbers: list[int]) -> tuple[int, ...]:
    removable = {sink}
    for number in reversed(numbers[:-1]):
        output = draft.operators[number].outputs[0]
        if not draft.is_output(output) and {*draft.readers(output)} <= removable:
            removable.add(number)
    return tuple(number for number in numbers if number in removable)
