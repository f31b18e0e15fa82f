"""Borders other than zeros, and zeros said in other words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from atoll.legalize.draft import Change
from atoll.legalize.options import SAME, option
from atoll.legalize.rewrite import Rewrite
from atoll.legalize.rewrites.layout import MOST_PIECES, Chain, is_fixed
from atoll.tflite.graph import Quantization

if TYPE_CHECKING:
    from atoll.legalize.draft import Draft


def pad_with_zero(draft: Draft, number: int) -> Change | None:
    """A PADV2 whose value is the zero point becomes PAD, which does the same."""
    op = draft.operators[number]
    value = draft.integers(op, 2)
    source, output = op.inputs[0], op.outputs[0]
    if not draft.same_quantization(source, output) or value != [draft.zero_point(source)]:
        return None
    return Change([draft.new("PAD", op.inputs[:2], [output])], (number,))


def pad_of_pool(draft: Draft, number: int) -> Change | None:
    """A border of the lowest number before a MAX_POOL_2D becomes the pool's own padding."""
    op = draft.operators[number]
    source, output = op.inputs[0], op.outputs[0]
    before = draft.before(source, "PADV2", inputs=3)
    if before < 0 or draft.only_reader(source) != number:
        return None
    pad = draft.operators[before]
    amounts, value = _amounts(draft, before), draft.integers(pad, 2)
    inner = pad.inputs[0]
    if amounts is None or len(amounts) != 4 or not draft.same_quantization(inner, output):
        return None
    lowest = -128 if draft.tensor(inner).type == "INT8" else 0
    if value != [lowest] or amounts[0] != (0, 0) or amounts[3] != (0, 0) or op.options is None:
        return None
    shape = draft.tensor(inner).shape
    for axis, side in ((1, "H"), (2, "W")):
        window = option(op, "filterHeight" if side == "H" else "filterWidth")
        step = option(op, f"stride{side}")
        if window < 1 or step < 1 or amounts[axis] != same_padding(shape[axis], window, step):
            return None
    changed = draft.new("MAX_POOL_2D", [inner], [output], **{**vars(op.options), "padding": SAME})
    return Change([changed], (number, before))


def pad_by_shift(draft: Draft, number: int) -> Change | None:
    """A PADV2 becomes PAD between two ADD, which make its value the zero and undo that again."""
    op = draft.operators[number]
    source, output = op.inputs[0], op.outputs[0]
    value = draft.integers(op, 2)
    if value is None or len(value) != 1 or not draft.same_quantization(source, output):
        return None
    limits = np.iinfo(np.int8 if draft.tensor(source).type == "INT8" else np.uint8)
    if not limits.min <= value[0] <= limits.max or value[0] == draft.zero_point(source):
        return None
    chain = Chain(draft, draft.tensor(output).name)
    steps = draft.zero_point(source) - value[0]
    shifted = Quantization(np.array([draft.scale(source)], np.float32), np.array(value, np.int64))
    shape, grown = chain.shape(source), chain.shape(output)
    moved = chain.op("ADD", [source, _shift(chain, source, steps)], shape, quantization=shifted)
    padded = chain.op("PAD", [moved, op.inputs[1]], grown, quantization=shifted)
    chain.op("ADD", [padded, _shift(chain, source, -steps)], grown, into=output)
    return Change(chain.operators, (number,))


def _shift(chain: Chain, tensor: int, steps: int) -> int:
    """A constant that stands for so many steps of a tensor."""
    draft = chain.draft
    signed = draft.tensor(tensor).type == "INT8"
    middle = 0 if signed else 128
    stored = np.array([middle + (127 if steps > 0 else -127)], np.int8 if signed else np.uint8)
    scale = np.array([abs(steps) / 127 * draft.scale(tensor)], np.float32)
    return draft.add_constant(
        f"{chain.name}/shift", stored, Quantization(scale, np.array([middle], np.int64))
    )


def mirror_as_slices(draft: Draft, number: int) -> Change | None:
    """A MIRROR_PAD becomes slices of the border, put around the tensor."""
    op = draft.operators[number]
    source, output = op.inputs[0], op.outputs[0]
    amounts = _amounts(draft, number)
    if amounts is None or not draft.same_quantization(source, output):
        return None
    # REFLECT leaves the border itself out, SYMMETRIC repeats it.
    skipped = 1 if option(op, "mode") == 0 else 0
    chain = Chain(draft, draft.tensor(output).name)
    made = source
    for axis, (before, behind) in enumerate(amounts):
        size = chain.shape(made)[axis]
        if max(before, behind) > size - skipped or before + behind > MOST_PIECES:
            return None
        if before + behind:
            front = [chain.slice(made, axis, skipped + i, 1) for i in reversed(range(before))]
            back = [chain.slice(made, axis, size - 1 - skipped - i, 1) for i in range(behind)]
            made = chain.concatenate([*front, made, *back], axis)
    if not chain.operators:
        return Change(removed=(number,), renamed={output: source})
    chain.operators[-1].outputs = [output]
    return Change(chain.operators, (number,))


def same_padding(size: int, window: int, step: int) -> tuple[int, int]:
    """What "SAME" puts before and behind along one axis.

    Args:
        size: The axis' size.
        window: The window's reach along it.
        step: Its step.

    Returns:
        The amounts: what is missing for ceil(size / step) windows, the smaller half before.
    """
    missing = max(0, (-(-size // step) - 1) * step + window - size)
    return missing // 2, missing - missing // 2


def _amounts(draft: Draft, number: int) -> list[tuple[int, int]] | None:
    """What is put before and behind along each axis; None where it is not fixed, or nonsense."""
    op = draft.operators[number]
    flat = draft.integers(op, 1)
    if flat is None or not is_fixed(draft, op.inputs[0], op.outputs[0]):
        return None
    shape = draft.tensor(op.inputs[0]).shape
    if len(flat) != 2 * len(shape) or min(flat, default=0) < 0:
        return None
    amounts = list(zip(flat[::2], flat[1::2], strict=True))
    grown = tuple(n + a + b for n, (a, b) in zip(shape, amounts, strict=True))
    return amounts if grown == draft.tensor(op.outputs[0]).shape else None


ROWS = (
    Rewrite("pad-zero", ("PADV2",), pad_with_zero, "identical", inputs=3),
    Rewrite("pad-pool", ("MAX_POOL_2D",), pad_of_pool, "identical", always=True),
    Rewrite("pad-shift", ("PADV2",), pad_by_shift, "identical", inputs=3),
    Rewrite("mirror-pad", ("MIRROR_PAD",), mirror_as_slices, "identical", inputs=2),
)
