"""Pictures as text that a page holds in itself."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    import numpy as np

EDGE = 224
_QUALITY = 85


def data_uri(pixels: np.ndarray) -> str:
    """A photo as a JPEG inside a data URI, made smaller where it is large.

    Args:
        pixels: uint8 (height, width, 3), RGB.

    Returns:
        The URI of a picture of at most EDGE pixels a side.
    """
    picture = Image.fromarray(pixels)
    picture.thumbnail((EDGE, EDGE), Image.Resampling.LANCZOS, reducing_gap=3.0)
    data = io.BytesIO()
    picture.save(data, "JPEG", quality=_QUALITY, subsampling=0, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(data.getvalue()).decode("ascii")
