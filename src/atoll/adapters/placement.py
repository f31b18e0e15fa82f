"""How a photo is laid into a model's input, and the way back from there to the photo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from atoll.data.preprocessing import crop, stretch

if TYPE_CHECKING:
    from collections.abc import Callable

# What surrounds a photo that does not fill the input: the grey that YOLO is trained with.
GREY = 114


@dataclass(frozen=True)
class Placement:
    """Where a photo lies in a model's input: input = photo * scale + offset, in pixels.

    Attributes:
        photo: Its (width, height).
        input: The input's (width, height).
        scale: An input pixel a photo pixel, (x, y).
        offset: Where the photo's upper left corner lies in the input, (x, y); below 0 where the
            photo is cropped.
    """

    photo: tuple[int, int]
    input: tuple[int, int]
    scale: tuple[float, float]
    offset: tuple[float, float]

    def to_photo(self, points: np.ndarray) -> np.ndarray:
        """Points in the input to pixels of the photo.

        Args:
            points: (..., 2 or 4) as x, y (, x, y), each from 0 to 1 over the input.

        Returns:
            float64 of the same shape, in pixels of the photo.
        """
        repeats = points.shape[-1] // 2
        size, scale, offset = (
            np.tile(np.array(pair, np.float64), repeats)
            for pair in (self.input, self.scale, self.offset)
        )
        found: np.ndarray = (points.astype(np.float64) * size - offset) / scale
        return found

    def map_to_photo(self, values: np.ndarray, outside: int = 0) -> np.ndarray:
        """A map over the input, such as classes a pixel, to one over the photo.

        Args:
            values: uint8 or int32 (h, w) over the whole input; the nearest is taken.
            outside: What the photo has where the input did not see it.

        Returns:
            The same type, (height, width) of the photo.
        """
        width, height = self.photo
        xs, inside_x = self._sources(width, values.shape[1], 0)
        ys, inside_y = self._sources(height, values.shape[0], 1)
        mapped = values[ys[:, None], xs[None, :]]
        if not (inside_x.all() and inside_y.all()):
            mapped = np.where(inside_y[:, None] & inside_x[None, :], mapped, outside)
        return np.ascontiguousarray(mapped.astype(values.dtype, copy=False))

    def _sources(self, count: int, cells: int, axis: int) -> tuple[np.ndarray, np.ndarray]:
        """For each photo pixel along an axis: the map's cell, and whether it lies in the input."""
        middle = (np.arange(count) + 0.5) * self.scale[axis] + self.offset[axis]
        cell = np.floor(middle * (cells / self.input[axis])).astype(np.int64)
        return np.clip(cell, 0, cells - 1), (cell >= 0) & (cell < cells)


def _stretched(photo: tuple[int, int], size: tuple[int, int]) -> Placement:
    return Placement(photo, size, (size[0] / photo[0], size[1] / photo[1]), (0.0, 0.0))


def _cropped(photo: tuple[int, int], size: tuple[int, int]) -> Placement:
    # The same box as `atoll.data.preprocessing.crop` takes.
    part = min(photo[0] / size[0], photo[1] / size[1])
    wide, high = min(part * size[0], photo[0]), min(part * size[1], photo[1])
    scale = size[0] / wide, size[1] / high
    return Placement(
        photo, size, scale,
        (-(photo[0] - wide) / 2 * scale[0], -(photo[1] - high) / 2 * scale[1]),
    )  # fmt: skip


def _letterboxed(photo: tuple[int, int], size: tuple[int, int]) -> Placement:
    part = min(size[0] / photo[0], size[1] / photo[1])
    # Whole pixels, of which the scale is then told exactly.
    wide = min(max(1, round(photo[0] * part)), size[0])
    high = min(max(1, round(photo[1] * part)), size[1])
    offset = float((size[0] - wide) // 2), float((size[1] - high) // 2)
    return Placement(photo, size, (wide / photo[0], high / photo[1]), offset)


def _paste(image: Image.Image, placement: Placement) -> Image.Image:
    wide = round(placement.photo[0] * placement.scale[0])
    high = round(placement.photo[1] * placement.scale[1])
    canvas = Image.new("RGB", placement.input, (GREY,) * 3)
    canvas.paste(stretch(image, wide, high), (int(placement.offset[0]), int(placement.offset[1])))
    return canvas


@dataclass(frozen=True)
class Resize:
    """One row of the table.

    Attributes:
        name: As users write it.
        what: What it does, for a list.
        place: Where the photo lies, given its size and the input's.
        draw: The photo at the input's size.
    """

    name: str
    what: str
    place: Callable[[tuple[int, int], tuple[int, int]], Placement]
    draw: Callable[[Image.Image, Placement], Image.Image]


RESIZES = {
    row.name: row
    for row in (
        Resize(
            "stretch",
            "the whole photo, its proportions given up",
            _stretched,
            lambda image, placement: stretch(image, *placement.input),
        ),
        Resize(
            "letterbox",
            "the whole photo in its proportions, grey around it",
            _letterboxed,
            _paste,
        ),
        Resize(
            "crop",
            "the largest middle part that has the input's proportions",
            _cropped,
            lambda image, placement: crop(image, *placement.input),
        ),
    )
}


def place(image: Image.Image, size: tuple[int, int], resize: str) -> tuple[np.ndarray, Placement]:
    """A photo as pixels of a model's input.

    Args:
        image: A photo in mode RGB.
        size: The input's (width, height).
        resize: A key of RESIZES.

    Returns:
        uint8 (height, width, 3), RGB; and where the photo lies in it.
    """
    row = RESIZES[resize]
    placement = row.place(image.size, size)
    if image.size != size:
        image = row.draw(image, placement)
    return np.asarray(image), placement
