"""A photo with what was seen in it written on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import ImageDraw, ImageFont

if TYPE_CHECKING:
    from PIL import Image

_SMALLEST = 320
# A strip is not enlarged beyond this: what is lost on it is only the text.
_LONGEST = 16_384
# Far more than fits on a photo; Pillow refuses a million.
_LONGEST_NAME = 200


def label(photo: Image.Image, top: list[tuple[str, float]]) -> Image.Image:
    """Writes classes and scores on a photo, in its upper left corner.

    Args:
        photo: An RGB image; one too small to write on is enlarged.
        top: (label, score) pairs, best first.

    Returns:
        Another RGB image.
    """
    factor = max(1, min(-(-_SMALLEST // min(photo.size)), _LONGEST // max(photo.size)))
    drawn = photo.resize((photo.width * factor, photo.height * factor), resample=0)
    size = max(14, min(drawn.size) // 24)
    font = ImageFont.load_default(size)
    text = "\n".join(f"{name[:_LONGEST_NAME]}  {score:.2f}" for name, score in top)
    draw = ImageDraw.Draw(drawn, "RGBA")
    left, upper, right, lower = draw.multiline_textbbox((size, size), text, font=font)
    margin = size // 2
    box = (left - margin, upper - margin, right + margin, lower + margin)
    draw.rounded_rectangle(box, radius=margin, fill=(0, 0, 0, 170))
    draw.multiline_text((size, size), text, font=font, fill="white")
    return drawn
