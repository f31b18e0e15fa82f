"""Bilinear enlargement by whole factors, with small convolutions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from atoll.legalize.draft import Change
from atoll.legalize.options import VALID, option
from atoll.legalize.rewrite import Rewrite
from atoll.legalize.rewrites.layout import MOST_CHANNELS, Chain, is_fixed
from atoll.tflite.graph import Quantization

if TYPE_CHECKING:
    from atoll.legalize.draft import Draft

_LARGEST_FACTOR = 16
_MOST_DOUBLINGS = 10


def spread_one_point(draft: Draft, number: int) -> Change | None:
    """An image of one point is enlarged by doubling it, and cut to size: all points are alike."""
    op = draft.operators[number]
    source, output = op.inputs[0], op.outputs[0]
    if not draft.same_quantization(source, output) or not is_fixed(draft, source, output):
        return None
    old, new = draft.tensor(source).shape, draft.tensor(output).shape
    if len(old) != 4 or len(new) != 4 or old[1:3] != (1, 1) or (old[0], old[3]) != (new[0], new[3]):
        return None
    doublings = math.ceil(math.log2(max(new[1:3])))
    if not 0 < doublings <= _MOST_DOUBLINGS:
        return None
    chain = Chain(draft, draft.tensor(output).name)
    made = source
    for step in range(1, doublings + 1):
        # Never more than twice what is wanted along a side that is done.
        size = [min(2**step, 2 ** math.ceil(math.log2(wanted))) for wanted in new[1:3]]
        target = draft.add_integers(f"{chain.name}/size", size)
        made = chain.op("RESIZE_NEAREST_NEIGHBOR", [made, target], (old[0], *size, old[3]))
    chain.window(made, [0] * 4, new, into=output)
    return Change(chain.operators, (number,))


def bilinear_by_phases(draft: Draft, number: int) -> Change | None:
    """RESIZE_BILINEAR by a whole factor that is refused becomes a DEPTHWISE_CONV_2D a phase."""
    op = draft.operators[number]
    source, output = op.inputs[0], op.outputs[0]
    if not draft.same_quantization(source, output) or not is_fixed(draft, source, output):
        return None
    old, new = draft.tensor(source).shape, draft.tensor(output).shape
    if len(old) != 4 or len(new) != 4 or option(op, "alignCorners"):
        return None
    factors = [b // a if b % a == 0 else 0 for a, b in zip(old[1:3], new[1:3], strict=True)]
    if not 0 < min(factors) <= max(factors) <= _LARGEST_FACTOR or max(factors) == 1:
        return None
    if (old[0], old[3]) != (1, new[3]) or old[3] > MOST_CHANNELS:
        return None
    chain = Chain(draft, draft.tensor(output).name)
    centers = option(op, "halfPixelCenters") != 0
    made = source
    for axis, factor in ((2, factors[1]), (1, factors[0])):
        if factor > 1:
            made = _enlarged(chain, made, axis, phases(factor, centers))
    chain.operators[-1].outputs = [output]
    return Change(chain.operators, (number,))


def phases(factor: int, centers: bool) -> np.ndarray:
    """How much of a point and its two neighbours each new point is.

    Args:
        factor: New points for each old one.
        centers: Whether points stand for the middle of their areas (half_pixel_centers).

    Returns:
        int (factor, 3): weights of the point before, the point itself and the one behind, in
        parts of 2 * factor.
    """
    places = 2 * np.arange(factor) + (1 - factor if centers else 0)
    before, behind = np.maximum(-places, 0), np.maximum(places, 0)
    return np.stack([before, 2 * factor - before - behind, behind], axis=1)


def _enlarged(chain: Chain, tensor: int, axis: int, weights: np.ndarray) -> int:
    """An image enlarged along one axis; its ends stand for what lies beyond them."""
    draft, shape = chain.draft, chain.shape(tensor)
    size, factor = shape[axis], len(weights)
    ends = [chain.slice(tensor, axis, place, 1) for place in (0, size - 1)]
    wide = chain.concatenate([ends[0], tensor, ends[1]], axis)
    scale = np.array([1 / (2 * factor)], np.float32)
    zero = np.zeros(1, np.int64)
    bias = draft.add_constant(
        f"{chain.name}/bias",
        np.zeros(shape[3], np.int32),
        Quantization(scale * np.float32(draft.scale(tensor)), zero),
    )
    dtype = np.int8 if draft.tensor(tensor).type == "INT8" else np.uint8
    parts = []
    for phase in weights:
        window = (1, 3, 1) if axis == 1 else (1, 1, 3)
        kernel = np.repeat(phase.astype(dtype).reshape(*window, 1), shape[3], axis=3)
        held = draft.add_constant(f"{chain.name}/phase", kernel, Quantization(scale, zero, 3))
        parts.append(
            chain.op(
                "DEPTHWISE_CONV_2D",
                [wide, held, bias],
                shape,
                padding=VALID,
                depthMultiplier=1,
            )
        )
    # New rows follow one another once each holds its phases behind one another.
    if axis == 1:
        parts = [chain.reshape(part, (1, shape[1], shape[2] * shape[3])) for part in parts]
    joined = chain.concatenate(parts, len(chain.shape(parts[0])) - 1)
    grown = list(shape)
    grown[axis] *= factor
    return chain.reshape(joined, tuple(grown))


ROWS = (
    Rewrite(
        "resize-point",
        ("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"),
        spread_one_point,
        "identical",
        inputs=2,
    ),
    Rewrite("bilinear-phases", ("RESIZE_BILINEAR",), bilinear_by_phases, "measured", inputs=2),
)
