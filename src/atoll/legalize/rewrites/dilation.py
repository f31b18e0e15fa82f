"""Convolutions with gaps: as the chip takes them."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from atoll.legalize.draft import Change
from atoll.legalize.options import SAME, VALID
from atoll.legalize.rewrite import Rewrite
from atoll.legalize.rewrites.layout import Chain, is_fixed
from atoll.legalize.rewrites.padding import same_padding

if TYPE_CHECKING:
    from atoll.legalize.draft import Draft
    from atoll.tflite.graph import Operator

_CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")
# A kernel that is written out with its gaps may have so many places.
_LARGEST_KERNEL = 64


def atrous_as_dilation(draft: Draft, number: int) -> Change | None:
    """SPACE_TO_BATCH_ND, a convolution and BATCH_TO_SPACE_ND become one dilated convolution."""
    last = draft.operators[number]
    middle = draft.producer(last.inputs[0])
    convolution = draft.operators.get(middle)
    if convolution is None or convolution.type not in _CONVOLUTIONS or not convolution.inputs:
        return None
    first = draft.producer(convolution.inputs[0])
    opening = draft.operators.get(first)
    if opening is None or opening.type != "SPACE_TO_BATCH_ND" or len(opening.inputs) < 3:
        return None
    block, paddings = draft.integers(opening, 1), draft.integers(opening, 2)
    crops = draft.integers(last, 2)
    source, output = opening.inputs[0], last.outputs[0]
    shapes = [draft.tensor(t).shape for t in (source, output, convolution.inputs[1])]
    known = block is not None and paddings is not None and crops is not None
    if not known or not is_fixed(draft, source, output) or any(len(s) != 4 for s in shapes):
        return None
    assert block is not None and paddings is not None and crops is not None
    plain = _options(convolution) == (VALID, 1, 1, 1, 1)
    if block != draft.integers(last, 1) or len(block) != 2 or len(paddings) != 4 or not plain:
        return None
    if len(crops) != 4 or crops[0] or crops[2] or not draft.same_quantization(
        source, convolution.inputs[0]
    ):
        return None
    amounts = []
    for axis in (0, 1):
        reach = (shapes[2][axis + 1] - 1) * block[axis] + 1
        before = paddings[2 * axis]
        behind = shapes[1][axis + 1] - shapes[0][axis + 1] - before + reach - 1
        if behind < 0:
            return None
        amounts.append((before, behind, same_padding(shapes[0][axis + 1], reach, 1)))
    chain = Chain(draft, draft.tensor(output).name)
    options = copy.copy(convolution.options)
    options.dilationHFactor, options.dilationWFactor = block
    if all((before, behind) == same for before, behind, same in amounts):
        options.padding, made = SAME, source
    else:
        borders = np.array([(0, 0), *((a, b) for a, b, _ in amounts), (0, 0)], np.int32)
        grown = tuple(n + int(a + b) for n, (a, b) in zip(shapes[0], borders, strict=True))
        made = chain.op("PAD", [source, draft.add_constant(f"{chain.name}/borders", borders)], grown)
    changed = replace(
        convolution, inputs=[made, *convolution.inputs[1:]], outputs=[output], options=options
    )
    return Change([*chain.operators, changed], (number,))


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


def _options(op: Operator) -> tuple[Any, ...]:
    """Padding, strides and dilations of a convolution, down before across."""
    names = ("padding", "strideH", "strideW", "dilationHFactor", "dilationWFactor")
    return tuple(getattr(op.options, name, 1) for name in names)


ROWS = (
    Rewrite("atrous", ("BATCH_TO_SPACE_ND",), atrous_as_dilation, "identical", True, inputs=3),
    Rewrite("dilation-same", _CONVOLUTIONS, same_dilation, "identical", inputs=2),
    Rewrite("dilation-written", _CONVOLUTIONS, written_out, "identical", inputs=2),
)
