"""Augmentation: a photo seen a little differently, the same way for the same seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from atoll.errors import UsageError


@dataclass(frozen=True)
class Augmentation:
    """How far a view may stray from its photo.

    Attributes:
        smallest: The least share of each side that a crop keeps.
        stretch: The largest factor by which a crop's proportions change.
        flip: Whether left and right may be exchanged.
        light: The largest relative change of brightness, and of contrast.
    """

    smallest: float
    stretch: float
    flip: bool
    light: float


AUGMENTATIONS: dict[str, Augmentation | None] = {
    "none": None,
    "light": Augmentation(smallest=0.85, stretch=1.1, flip=False, light=0.1),
    "photo": Augmentation(smallest=0.7, stretch=1.2, flip=True, light=0.2),
}


def find_augmentation(name: str, pixels: np.ndarray) -> str:
    """The name of the augmentation to use; "auto" looks at the photos.

    Grey images are mostly writing, scans or X-rays, where a mirrored image is another thing.

    Args:
        name: A key of AUGMENTATIONS, or "auto".
        pixels: uint8 (n, height, width, 3), some of the training photos.

    Returns:
        A key of AUGMENTATIONS.

    Raises:
        UsageError: There is no such name.
    """
    if name == "auto":
        return "light" if (pixels == pixels[..., :1]).all() else "photo"
    if name not in AUGMENTATIONS:
        raise UsageError(
            "--augment",
            "there is no such augmentation",
            received=name,
            fix=f"Choose one of: auto, {', '.join(AUGMENTATIONS)}",
        )
    return name


def view(pixels: np.ndarray, augmentation: Augmentation, rng: np.random.Generator) -> np.ndarray:
    """One augmented view of a photo: a crop resized back, perhaps mirrored, lighter or darker.

    Args:
        pixels: uint8 (height, width, 3).
        augmentation: How far it may stray.
        rng: Where chance comes from.

    Returns:
        uint8 of the same shape.
    """
    height, width = pixels.shape[:2]
    keep = rng.uniform(augmentation.smallest, 1.0)
    ratio = augmentation.stretch ** rng.uniform(-0.5, 0.5)
    wide, high = min(1.0, keep * ratio) * width, min(1.0, keep / ratio) * height
    left, top = rng.uniform(0, width - wide), rng.uniform(0, height - high)
    image = Image.fromarray(pixels).resize(
        (width, height), Image.Resampling.BILINEAR, box=(left, top, left + wide, top + high)
    )
    if augmentation.flip and rng.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    brightness, contrast = 1.0 + rng.uniform(-augmentation.light, augmentation.light, 2)
    levels = (np.arange(256) - 128.0) * contrast + 128.0 * brightness
    table = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    return np.take(table, np.asarray(image))


def view_of(
    pixels: np.ndarray, augmentation: Augmentation | None, seed: int, number: int, index: int
) -> np.ndarray:
    """The view of photo `index` in round `number`; round 0 is the photo as it is.

    A view depends on these arguments alone, so training that was cut short goes on as if it had
    not been.

    Args:
        pixels: uint8 (height, width, 3).
        augmentation: None gives the photo as it is.
        seed: The run's seed.
        number: The epoch, or the number of the cached view.
        index: Which photo.

    Returns:
        uint8 of the same shape.
    """
    if augmentation is None or number == 0:
        return pixels
    return view(pixels, augmentation, np.random.default_rng((seed, number, index)))
