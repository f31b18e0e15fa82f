"""A photo with what was seen in it drawn on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from atoll.adapters.results import Class, Mask, Object, Pose
from atoll.adapters.skeleton import BONES

if TYPE_CHECKING:
    from collections.abc import Sequence

_SMALLEST = 320
# A strip is not enlarged beyond this: what is lost on it is only the text.
_LONGEST = 16_384
# Far more than fits on a photo; Pillow refuses a million.
_LONGEST_NAME = 200

# Twelve colours that are told apart on photos, also with the common forms of colour blindness;
# neighbours differ. Classes take them in turn.
_COLORS = (
    (0, 158, 255),
    (255, 140, 0),
    (0, 200, 120),
    (240, 60, 160),
    (255, 220, 0),
    (150, 90, 255),
    (255, 70, 50),
    (0, 220, 220),
    (160, 210, 40),
    (200, 120, 90),
    (120, 160, 255),
    (255, 170, 200),
)
_OPACITY = 0.55
_LONGEST_LEGEND = 12
_SMALLEST_SHARE = 0.005


def draw(
    photo: Image.Image, seen: Sequence[Class | Object | Pose] | Mask, threshold: float = 0.0
) -> Image.Image:
    """Draws a result on a photo, whatever it is.

    Args:
        photo: An RGB image; one too small to write on is enlarged.
        seen: What a model saw on it.
        threshold: Of a pose, points less sure than this are not drawn.

    Returns:
        Another RGB image.
    """
    if isinstance(seen, Mask):
        return _draw_mask(photo, seen)
    if all(isinstance(thing, Class) for thing in seen):
        return label(photo, [(c.label, c.score) for c in seen if isinstance(c, Class)])
    canvas = _Canvas(photo)
    # The surest last, so that its label lies on top.
    for number, thing in reversed(list(enumerate(seen))):
        if isinstance(thing, Object):
            canvas.object(thing)
        elif isinstance(thing, Pose):
            canvas.pose(thing, threshold, color_of(number))
    return canvas.image


def label(photo: Image.Image, top: Sequence[tuple[str, float]]) -> Image.Image:
    """Writes classes and scores on a photo, in its upper left corner.

    Args:
        photo: An RGB image; one too small to write on is enlarged.
        top: (label, score) pairs, best first.

    Returns:
        Another RGB image.
    """
    canvas = _Canvas(photo)
    canvas.legend([(f"{_short(name)}  {score:.2f}", None) for name, score in top])
    return canvas.image


def color_of(index: int) -> tuple[int, int, int]:
    """The colour that a class is drawn in."""
    return _COLORS[index % len(_COLORS)]


def _draw_mask(photo: Image.Image, mask: Mask) -> Image.Image:
    shares = mask.shares()
    paint = np.asarray(photo).copy()
    for part in shares:
        there = mask.where(part.index)
        paint[there] = paint[there] * (1 - _OPACITY) + np.array(color_of(part.index)) * _OPACITY
    canvas = _Canvas(Image.fromarray(paint))
    canvas.legend(
        [
            (f"{_short(part.label)}  {part.score:.0%}", color_of(part.index))
            for part in shares[:_LONGEST_LEGEND]
            if part.score >= _SMALLEST_SHARE
        ]
    )
    return canvas.image


class _Canvas:
    """An image that is drawn on, with its sizes of letters and lines.

    Attributes:
        image: What was drawn so far.
    """

    def __init__(self, photo: Image.Image) -> None:
        self._factor = max(1, min(-(-_SMALLEST // min(photo.size)), _LONGEST // max(photo.size)))
        size = photo.width * self._factor, photo.height * self._factor
        self.image = photo.resize(size, resample=Image.Resampling.NEAREST)
        self._text_size = max(14, min(size) // 24)
        self._line = max(2, min(size) // 200)
        self._font = ImageFont.load_default(self._text_size)
        self._draw = ImageDraw.Draw(self.image, "RGBA")

    def legend(self, entries: Sequence[tuple[str, tuple[int, int, int] | None]]) -> None:
        """Lines of text in the upper left corner, each with a spot of its colour if given."""
        if not entries:
            return
        size, margin = self._text_size, self._text_size // 2
        spot = size if any(color for _, color in entries) else 0
        text = "\n".join(line for line, _ in entries)
        at = (size + spot, size)
        left, upper, right, lower = self._draw.multiline_textbbox(at, text, font=self._font)
        box = (left - margin - spot, upper - margin, right + margin, lower + margin)
        self._draw.rounded_rectangle(box, radius=margin, fill=(0, 0, 0, 170))
        self._draw.multiline_text(at, text, font=self._font, fill="white")
        step = (lower - upper) / len(entries)
        for row, (_, color) in enumerate(entries):
            if color is not None:
                middle = upper + (row + 0.5) * step
                radius = size * 0.3
                spot_box = (size - radius, middle - radius, size + radius, middle + radius)
                self._draw.ellipse(spot_box, fill=color)

    def object(self, thing: Object) -> None:
        """A box in its class's colour, its name above it, or inside where there is no room."""
        color = color_of(thing.index)
        box = thing.box
        left, right = (edge * self._factor for edge in sorted((box.left, box.right)))
        top, bottom = (edge * self._factor for edge in sorted((box.top, box.bottom)))
        self._draw.rectangle((left, top, right, bottom), outline=color, width=self._line)
        text = f"{_short(thing.label)} {thing.score:.2f}"
        x0, _, x1, _ = self._draw.textbbox((0, 0), text, font=self._font)
        # Of letters that reach up and down, so that all labels are of one height.
        _, y0, _, y1 = self._draw.textbbox((0, 0), "Ágj", font=self._font)
        pad = self._text_size // 4
        wide, high = x1 - x0 + 2 * pad, y1 - y0 + 2 * pad
        at_x = max(0.0, min(left, self.image.width - wide))
        at_y = top - high if top >= high else top
        self._draw.rectangle((at_x, at_y, at_x + wide, at_y + high), fill=color)
        self._draw.text((at_x + pad - x0, at_y + pad - y0), text, font=self._font, fill=_ink(color))

    def pose(self, thing: Pose, threshold: float, color: tuple[int, int, int]) -> None:
        """Points and the lines between them, as far as they are sure enough."""
        points = {
            i: (point.x * self._factor, point.y * self._factor)
            for i, point in enumerate(thing.keypoints)
            if point.score >= threshold
        }
        for one, two in BONES:
            if one in points and two in points:
                self._draw.line((points[one], points[two]), fill=color, width=self._line)
        radius = self._line * 1.5
        for x, y in points.values():
            spot = (x - radius, y - radius, x + radius, y + radius)
            self._draw.ellipse(spot, fill=(255, 220, 0), outline=(0, 0, 0))


def _short(name: str) -> str:
    return " ".join(name[:_LONGEST_NAME].split())


def _ink(color: tuple[int, int, int]) -> str:
    """Black or white, whichever can be read on a colour."""
    red, green, blue = color
    return "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else "white"
