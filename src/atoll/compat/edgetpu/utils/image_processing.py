"""The module `edgetpu.utils.image_processing`: photos of a model's size."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import ImageOps

from atoll.compat.edgetpu.utils.warning import deprecated

if TYPE_CHECKING:
    from PIL import Image


def resampling_with_original_ratio(
    img: Image.Image, required_size: tuple[int, int], sample: Image.Resampling
) -> tuple[Image.Image, tuple[float, float]]:
    """Scales a photo to fit into a size, at the top left, with black to the right or below.

    Args:
        img: The photo.
        required_size: The (width, height) that is wanted, in pixels.
        sample: How Pillow resamples.

    Returns:
        The photo of that size, and which part of its width and height the old one covers.
    """
    width, height = (int(side) for side in required_size)
    factor = min(width / img.size[0], height / img.size[1])
    fitted = (int(img.size[0] * factor), int(img.size[1] * factor))
    border = (0, 0, width - fitted[0], height - fitted[1])
    covered = (fitted[0] / width, fitted[1] / height)
    return ImageOps.expand(img.resize(fitted, sample), border), covered


@deprecated
def ResamplingWithOriginalRatio(  # noqa: N802
    img: Image.Image, required_size: tuple[int, int], sample: Image.Resampling
) -> tuple[Image.Image, tuple[float, float]]:
    """The older name of `resampling_with_original_ratio`; it returned nothing."""
    return resampling_with_original_ratio(img, required_size, sample)
