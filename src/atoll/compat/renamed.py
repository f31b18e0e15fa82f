"""Names that Pillow and numpy have dropped since, and that programs of that time use."""

from __future__ import annotations

from typing import Any

# Of PIL.Image: the old name, and what it is called now. Pillow 10 dropped them.
PILLOW = {"ANTIALIAS": "LANCZOS", "CUBIC": "BICUBIC", "LINEAR": "BILINEAR"}
# Of numpy: dropped by 1.24 (Python's own types) and 2.0.
NUMPY_TYPES = {"int": int, "float": float, "complex": complex, "object": object, "str": str}
NUMPY = {
    "Inf": "inf",
    "NaN": "nan",
    "complex_": "complex128",
    "float_": "float64",
    "product": "prod",
    "unicode_": "str_",
}


def restore() -> None:
    """Gives the names back, in this process. What is still there stays as it is."""
    import numpy as np
    from PIL import Image, ImageDraw, ImageFont

    for old, new in PILLOW.items():
        _add(Image, old, getattr(Image, new))
    _add(ImageDraw.ImageDraw, "textsize", _textsize)
    _add(ImageFont.FreeTypeFont, "getsize", _getsize)
    for old, kind in NUMPY_TYPES.items():
        _add(np, old, kind)
    for old, new in NUMPY.items():
        _add(np, old, getattr(np, new))


def _add(owner: Any, name: str, value: Any) -> None:
    # Not hasattr: numpy warns of some names that are asked for.
    if name not in vars(owner):
        setattr(owner, name, value)


def _textsize(self: Any, text: str, font: Any = None, **how: Any) -> tuple[int, int]:
    """Width and height of a text that is drawn, as ImageDraw told them before Pillow 10."""
    left, top, right, bottom = self.multiline_textbbox((0, 0), text, font, **how)
    del left, top
    return round(right), round(bottom)


def _getsize(self: Any, text: str, **how: Any) -> tuple[int, int]:
    """Width and height of a text in a font, as ImageFont told them before Pillow 10."""
    left, top, right, bottom = self.getbbox(text, **how)
    del left, top
    return round(right), round(bottom)
