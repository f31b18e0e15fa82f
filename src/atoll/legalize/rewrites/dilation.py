"""Convolutions with gaps: as the chip takes them."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from atoll.legalize.draft import Change
from atoll.legalize.options import SAME, VALID, option
from atoll.legalize.rewrite import Rewrite
from atoll.legalize.rewrites.layout import Chain, is_fixed
from atoll.legalize.rewrites.padding import same_padding

if TYPE_CHECKING:
    from atoll.legalize.draft import Draft
    from atoll.tflite.graph import Operator

_CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")
# Padding, strides and dilations of a convolution between the other two.
_PLAIN = (VALID, 1, 1, 1, 1)
# A kernel that is written out with its gaps may have so many places.
_LARGEST_KERNEL = 64


def atrous_as_dilation(draft: Draft, number: int) -> Change | None:
    """SPACE_TO_BATCH_ND, a convolution and BATCH_TO_SPACE_ND become one dilated convolution."""
    last = draft.operators[number]
    middle = draft.before(last.inputs[0], *_CONVOLUTIONS, inputs=2)
    if middle < 0:
        return None
    convolution = draft.operators[middle]
    first = draft.before(convolution.inputs[0], "SPACE_TO_BATCH_ND", inputs=3)
    if first < 0 or convolution.options is None or _options(convolution) != _PLAIN:
        return None
    source, output = draft.operators[first].inputs[0], last.outputs[0]
    block = draft.integers(last, 1)
    if block is None or block != draft.integers(draft.operators[first], 1):
        return None
    borders = _borders(draft, first, middle, number)
    if borders is None or not draft.same_quantization(source, convolution.inputs[0]):
        return None
    shape, kernel = draft.tensor(source).shape, draft.tensor(convolution.inputs[1]).shape
    chain = Chain(draft, draft.tensor(output).name)
    options = copy.copy(convolution.options)
    options.dilationHFactor, options.dilationWFactor = block
    same = [same_padding(shape[i], (kernel[i] - 1) * block[i - 1] + 1, 1) for i in (1, 2)]
    if borders == same:
        options.padding, made = SAME, source
    else:
        amounts = np.array([(0, 0), *borders, (0, 0)], np.int32)
        grown = tuple(n + int(pair.sum()) for n, pair in zip(shape, amounts, strict=True))
        held = draft.add_constant(f"{chain.name}/borders", amounts)
        made = chain.op("PAD", [source, held], grown)
    changed = replace(
        convolution, inputs=[made, *convolution.inputs[1:]], outputs=[output], options=options
    )
    return Change([*chain.operators, changed], (number,))


def _borders(draft: Draft, first: int, middle: int, last: int) -> list[tuple[int, int]] | None:
    """The zeros around the image that the three operators of an atrous convolution see.

    Args:
        draft: The draft.
        first: The number of the SPACE_TO_BATCH_ND.
        middle: The number of the convolution.
        last: The number of the BATCH_TO_SPACE_ND.

    Returns:
        Before and behind, for rows and columns; None where they are none, or do not fit.
    """
    opening, convolution, closing = (draft.operators[n] for n in (first, middle, last))
    source, output, kernel = opening.inputs[0], closing.outputs[0], convolution.inputs[1]
    block, paddings, crops = (
        draft.integers(opening, 1),
        draft.integers(opening, 2),
        draft.integers(closing, 2),
    )
    if block is None or paddings is None or crops is None or not is_fixed(draft, source, output):
        return None
    shapes = [draft.tensor(t).shape for t in (source, output, kernel)]
    if any(len(s) != 4 for s in shapes) or (len(block), len(paddings), len(crops)) != (2, 4, 4):
        return None
    # What is cut off at the front would be computed from zeros that are not there.
    if crops[0] or crops[2] or not 0 < min(block) <= max(block) <= _LARGEST_KERNEL:
        return None
    borders = []
    for axis in (0, 1):
        old, new, places = (shape[axis + 1] for shape in shapes)
        before = paddings[2 * axis]
        behind = new - old - before + (places - 1) * block[axis]
        if not 0 <= min(before, behind) <= max(before, behind) <= places * block[axis]:
            return None
        borders.append((before, behind))
    return borders


def same_dilation(draft: Draft, number: int) -> Change | None:
    """Dilation along a side on which the kernel has one place is set to that of the other side."""
    op = draft.operators[number]
    shape = draft.tensor(op.inputs[1]).shape
    _, _, _, down, across = _options(op)
    if len(shape) != 4 or down == across or 1 not in shape[1:3]:
        return None
    options = copy.copy(op.options)
    factor = down if shape[2] == 1 else across
    options.dilationHFactor = options.dilationWFactor = factor
    return Change([replace(op, options=options)], (number,))


def written_out(draft: Draft, number: int) -> Change | None:
    """A dilation that is refused is written out: zeros stand in the kernel's gaps."""
    op = draft.operators[number]
    held = draft.tensor(op.inputs[1])
    _, _, _, down, across = _options(op)
    if held.data is None or held.data.ndim != 4 or held.quantization is None:
        return None
    if (down, across) == (1, 1) or min(down, across) < 1 or 0 in held.data.shape:
        return None
    outer, rows, columns, inner = held.data.shape
    rows, columns = (rows - 1) * down + 1, (columns - 1) * across + 1
    if rows * columns > _LARGEST_KERNEL:
        return None
    zeros = held.quantization.zero_point
    kernel = np.full((outer, rows, columns, inner), zeros.flat[0], held.data.dtype)
    if (zeros != zeros.flat[0]).any():
        return None
    kernel[:, ::down, ::across] = held.data
    options = copy.copy(op.options)
    options.dilationHFactor = options.dilationWFactor = 1
    weights = draft.add_constant(f"{held.name}/written_out", kernel, held.quantization)
    changed = replace(op, inputs=[op.inputs[0], weights, *op.inputs[2:]], options=options)
    return Change([changed], (number,))


def _options(op: Operator) -> tuple[int, ...]:
    """Padding, strides and dilations of a convolution, down before across."""
    names = ("padding", "strideH", "strideW", "dilationHFactor", "dilationWFactor")
    return tuple(option(op, name, 1) for name in names)


ROWS = (
    Rewrite("atrous", ("BATCH_TO_SPACE_ND",), atrous_as_dilation, "identical", True, inputs=3),
    Rewrite("dilation-same", _CONVOLUTIONS, same_dilation, "identical", inputs=2),
    Rewrite("dilation-written", _CONVOLUTIONS, written_out, "identical", inputs=2),
)
