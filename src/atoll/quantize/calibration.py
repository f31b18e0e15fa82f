"""Which photos a model is calibrated on, and how they are shown to the converter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from atoll.data.preprocessing import Preprocessing


def choose(labels: np.ndarray, count: int, seed: int) -> np.ndarray:
    """A stratified, seeded sample: each class in turn gives one of its photos.

    Args:
        labels: int (n,), the training photos' classes.
        count: How many photos; fewer are given where there are fewer.
        seed: Which ones follows from it.

    Returns:
        Sorted positions into `labels`.
    """
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(len(labels))
    # The rank of each photo within its class, in shuffled order; all firsts come before seconds.
    order = shuffled[np.argsort(labels[shuffled], kind="stable")]
    sorted_labels = labels[order]
    starts = np.searchsorted(sorted_labels, sorted_labels)
    rank = np.arange(len(labels)) - starts
    return np.sort(order[np.lexsort((sorted_labels, rank))][:count])


def samples(pixels: np.ndarray, preprocessing: Preprocessing) -> Iterator[np.ndarray]:
    """The photos as the converter wants them, the pixel range made explicit.

    Two corner pixels of the first photo are set to black and to white. The calibrated range of
    the input is then that of a pixel, whatever the photos, so that an 8-bit pixel is the
    quantised input value where mean and std allow it.

    Args:
        pixels: uint8 (n, height, width, 3).
        preprocessing: What the network wants of a photo.

    Yields:
        float32 (1, height, width, 3).
    """
    for number, photo in enumerate(pixels):
        shown = photo
        if number == 0:
            shown = photo.copy()
            shown[0, 0], shown[-1, -1] = 0, 255
        yield preprocessing.normalize(shown[None])
