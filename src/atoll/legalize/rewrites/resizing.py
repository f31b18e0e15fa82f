"""Enlarging images by whole factors."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from atoll.legalize.draft import Change
from atoll.legalize.options import option
from atoll.legalize.rewrite import Rewrite
from atoll.legalize.rewrites.layout import Chain, is_fixed, source_of, targets_of

if TYPE_CHECKING:
    from atoll.legalize.draft import Draft


def tile_as_resize(draft: Draft, number: int) -> Change | None:
    """A TILE that repeats each row or column of an image becomes RESIZE_NEAREST_NEIGHBOR."""
    op = draft.operators[number]
    repeats = draft.integers(op, 1)
    if repeats is None or not is_fixed(draft, op.inputs[0], op.outputs[0]):
        return None
    shape = draft.tensor(op.inputs[0]).shape
    repeated = [axis for axis, times in enumerate(repeats) if times != 1]
    if len(repeats) != len(shape) or len(repeated) != 1 or shape[repeated[0]] != 1:
        return None
    times = repeats[repeated[0]]
    source, targets = source_of(draft, op.inputs[0]), targets_of(draft, op.outputs[0])
    if times < 1 or source < 0 or not draft.is_quantized(source):
        return None
    image = draft.tensor(source).shape
    inner = math.prod(shape[repeated[0] :])
    if len(image) != 4 or image[0] != 1:
        return None
    # What is repeated is a column where only channels lie within, a row where columns do too.
    factors = {image[3]: (1, times), image[2] * image[3]: (times, 1)}.get(inner)
    if factors is None:
        return None
    size = image[1] * factors[0], image[2] * factors[1]
    chain = Chain(draft, draft.tensor(op.outputs[0]).name)
    made = _nearest(chain, source, size)
    for target in targets[0]:
        chain.reshape(made, draft.tensor(target).shape, into=target)
    return Change(chain.operators, (number, *targets[1]))


def merge_nearest(draft: Draft, number: int) -> Change | None:
    """Rows and columns that are repeated one after the other are repeated at once."""
    op = draft.operators[number]
    before = draft.before(op.inputs[0], op.type, inputs=2)
    if before < 0:
        return None
    source, output = draft.operators[before].inputs[0], op.outputs[0]
    first, second = _factors(draft, before), _factors(draft, number)
    if first is None or second is None or not {1} <= {first[0], second[0]}:
        return None
    if not {1} <= {first[1], second[1]} or draft.only_reader(op.inputs[0]) != number:
        return None
    chain = Chain(draft, draft.tensor(output).name)
    shape = draft.tensor(output).shape
    _nearest(chain, source, (shape[1], shape[2]), into=output)
    return Change(chain.operators, (number, before))


def _factors(draft: Draft, number: int) -> tuple[int, int] | None:
    """By what whole factors an image grows; None where it is not by repeating its points."""
    op = draft.operators[number]
    source, output = op.inputs[0], op.outputs[0]
    if source < 0 or not is_fixed(draft, source, output):
        return None
    old, new = draft.tensor(source).shape, draft.tensor(output).shape
    if len(old) != 4 or len(new) != 4 or draft.integers(op, 1) != list(new[1:3]):
        return None
    if option(op, "alignCorners"):
        return None
    (down, left), (across, rest) = divmod(new[1], old[1]), divmod(new[2], old[2])
    return None if left or rest else (down, across)


def _nearest(chain: Chain, tensor: int, size: tuple[int, int], into: int | None = None) -> int:
    batch, _, _, channels = chain.shape(tensor)
    sizes = chain.draft.add_integers(f"{chain.name}/size", size)
    shape = (batch, *size, channels)
    return chain.op("RESIZE_NEAREST_NEIGHBOR", [tensor, sizes], shape, into=into)


ROWS = (
    Rewrite("tile-resize", ("TILE",), tile_as_resize, "identical", inputs=2, partial=True),
    Rewrite(
        "nearest-merged", ("RESIZE_NEAREST_NEIGHBOR",), merge_nearest, "identical", True, inputs=2
    ),
)
