"""Anchor boxes of the detectors that are in use: what their raw boxes are measured from.

Sources: TensorFlow's object detection API (anchor_generators/multiple_grid_anchor_generator.py and
multiscale_grid_anchor_generator.py, with the values of its published pipeline.config files) and
google/automl (efficientdet/tf2/anchors.py, hparams_config.py).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from atoll.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

# EfficientDet-Lite's anchor scale by the side of its input; 4 for any other.
_LITE_SCALES = {320: 3.0, 384: 3.0, 448: 3.0, 640: 3.0}


@dataclass(frozen=True)
class Layout:
    """One row of the table: a family of detectors.

    Attributes:
        name: What the family is called.
        anchors: Given the input's (width, height): float (n, 4) as y, x of the centre, height,
            width, from 0 to 1.
        factors: What a raw y, x, height and width are divided by.
        background: Whether the first class stands for nothing.
    """

    name: str
    anchors: Callable[[int, int], np.ndarray]
    factors: tuple[float, float, float, float]
    background: bool


def _grid(rows: int, columns: int, sizes: Sequence[tuple[float, float]]) -> np.ndarray:
    """Every size (height, width) at the middle of every cell: (rows * columns * sizes, 4)."""
    ys, xs = (np.arange(count) + 0.5 for count in (rows, columns))
    table = np.empty((rows, columns, len(sizes), 4))
    table[..., 0] = (ys / rows)[:, None, None]
    table[..., 1] = (xs / columns)[None, :, None]
    table[..., 2:] = np.array(sizes)
    return table.reshape(-1, 4)


def _halved(size: int, times: int) -> int:
    return -(-size // (1 << times))


def ssd_anchors(width: int, height: int) -> np.ndarray:
    """Of an SSD over six feature maps, the first at a stride of 16: SSD MobileNet, MobileDet."""
    layers = 6
    scales = [0.2 + 0.75 * i / (layers - 1) for i in range(layers)] + [1.0]
    maps = []
    for layer in range(layers):
        # 0.3333 and not a third: so the published configurations have it.
        shapes = [(scales[layer], ratio) for ratio in (1.0, 2.0, 0.5, 3.0, 0.3333)]
        shapes.append((math.sqrt(scales[layer] * scales[layer + 1]), 1.0))
        if layer == 0:
            shapes = [(0.1, 1.0), (scales[0], 2.0), (scales[0], 0.5)]
        sizes = [(scale / math.sqrt(ratio), scale * math.sqrt(ratio)) for scale, ratio in shapes]
        maps.append(_grid(_halved(height, 4 + layer), _halved(width, 4 + layer), sizes))
    return np.concatenate(maps)


def fpn_anchors(width: int, height: int) -> np.ndarray:
    """Of an SSD over a feature pyramid of strides 8 to 128, as SSD MobileNet v1 FPN."""
    maps = []
    for level in range(3, 8):
        sides = [4.0 * 2**level * 2 ** (step / 2) for step in range(2)]
        sizes = [
            (side / math.sqrt(ratio) / height, side * math.sqrt(ratio) / width)
            for ratio in (1.0, 2.0, 0.5)
            for side in sides
        ]
        maps.append(_grid(_halved(height, level), _halved(width, level), sizes))
    return np.concatenate(maps)


def efficientdet_anchors(width: int, height: int) -> np.ndarray:
    """Of an EfficientDet(-Lite), levels 3 to 7."""
    scale = _LITE_SCALES.get(max(width, height), 4.0)
    maps = []
    for level in range(3, 8):
        rows, columns = _halved(height, level), _halved(width, level)
        sizes = [
            (scale * 2 ** (octave / 3) * tall / rows, scale * 2 ** (octave / 3) * wide / columns)
            for octave in range(3)
            for wide, tall in ((1.0, 1.0), (math.sqrt(2), math.sqrt(0.5)),
                               (math.sqrt(0.5), math.sqrt(2)))
        ]  # fmt: skip
        maps.append(_grid(rows, columns, sizes))
    return np.concatenate(maps)


LAYOUTS = (
    Layout("SSD over six feature maps", ssd_anchors, (10.0, 10.0, 5.0, 5.0), background=True),
    Layout("SSD over a feature pyramid", fpn_anchors, (10.0, 10.0, 5.0, 5.0), background=True),
    Layout("EfficientDet", efficientdet_anchors, (1.0, 1.0, 1.0, 1.0), background=False),
)


def read_anchors(path: Path) -> np.ndarray:
    """Anchors from a file.

    Args:
        path: A .npy file, or text with numbers parted by commas or white space, an anchor a line.

    Returns:
        float64 (n, 4) or (n, 2): see `Facts.anchors`.

    Raises:
        ModelError: It cannot be read, or holds something else.
    """
    try:
        if path.suffix.lower() == ".npy":
            table = np.asarray(np.load(path, allow_pickle=False), np.float64)
        else:
            rows = path.read_text().replace(",", " ").splitlines()
            table = np.array([row.split() for row in rows if row.strip()], np.float64)
    except (OSError, ValueError, TypeError) as error:
        raise _bad_anchors(path, getattr(error, "strerror", None) or error) from error
    if table.ndim != 2 or table.shape[1] not in (2, 4) or not np.isfinite(table).all():
        raise _bad_anchors(path, f"an array of shape {list(table.shape)}")
    return table


def _bad_anchors(path: Path, received: object) -> ModelError:
    return ModelError(
        path,
        "anchors must be numbers, four or two a line",
        received=received,
        fix="Write them as .npy or text",
    )
