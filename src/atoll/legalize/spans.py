"""What a STRIDED_SLICE takes of each axis: its masks, read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from atoll.legalize.options import option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from atoll.tflite.graph import Operator

# Along one axis: first place, how many, and the step between them.
Span = tuple[int, int, int]


def spans(
    op: Operator, shape: Sequence[int], begins: Sequence[int], ends: Sequence[int],
    steps: Sequence[int],
) -> tuple[list[Span], list[int]] | None:  # fmt: skip
    """What a STRIDED_SLICE takes of each axis of its input.

    Args:
        op: The operator, for its masks.
        shape: Its input's sizes.
        begins: Its second input.
        ends: Its third.
        steps: Its fourth.

    Returns:
        First place, how many, and step for each axis of the input; and the sizes of what it gives.
        None where it goes backwards, or makes no sense.
    """
    if not len(begins) == len(ends) == len(steps):
        return None
    named = sum(not _bit(op, "newAxis", i) for i in range(len(begins)))
    found: list[Span] = []
    sizes: list[int] = []
    for i, (begin, end, step) in enumerate(zip(begins, ends, steps, strict=True)):
        if _bit(op, "ellipsis", i):
            hidden = max(0, len(shape) - (named - 1))
            whole = list(shape[len(found) : len(found) + hidden])
            found += [(0, size, 1) for size in whole]
            sizes += whole
        elif _bit(op, "newAxis", i):
            sizes.append(1)
        elif len(found) >= len(shape) or step < 1:
            return None
        else:
            span = _span(op, i, shape[len(found)], (begin, end, step))
            found.append(span)
            if not _bit(op, "shrinkAxis", i):
                sizes.append(span[1])
    rest = list(shape[len(found) :])
    found += [(0, size, 1) for size in rest]
    sound = len(found) == len(shape) and all(
        first >= 0 and count > 0 and first + (count - 1) * step < size
        for (first, count, step), size in zip(found, shape, strict=True)
    )
    return (found, sizes + rest) if sound else None


def _span(op: Operator, place: int, size: int, taken: Span) -> Span:
    """One axis: `taken` are its begin, end and step as the file has them."""
    begin, end, step = taken
    if option(op, "offset"):
        end += begin
    if _bit(op, "shrinkAxis", place):
        return (begin + size if begin < 0 else begin), 1, 1
    first = 0 if _bit(op, "begin", place) else _clipped(begin, size)
    stop = size if _bit(op, "end", place) else _clipped(end, size)
    return first, max(0, -((first - stop) // step)), step


def _bit(op: Operator, mask: str, place: int) -> bool:
    return bool(option(op, f"{mask}Mask") >> place & 1)


def _clipped(place: int, size: int) -> int:
    return min(max(place + size if place < 0 else place, 0), size)
