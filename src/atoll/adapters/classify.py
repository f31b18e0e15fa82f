"""Classification: one score a class."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from atoll.adapters.placement import RESIZES
from atoll.adapters.results import Class, label_of
from atoll.adapters.table import Adapter, Wanted
from atoll.adapters.vision import Vision
from atoll.data.arrays import read_pixels
from atoll.data.preprocessing import RESIZES as SMALLER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from atoll.adapters.facts import Facts
    from atoll.adapters.placement import Placement
    from atoll.adapters.table import Decode
    from atoll.adapters.vision import Photo


def _scores(facts: Facts) -> Decode[np.ndarray] | None:
    """One output whose numbers all lie along one axis."""
    if len(facts.outputs) != 1 or facts.outputs[0].size != max(facts.shapes[0], default=0):
        return None
    return lambda raw, _wanted: raw[0].reshape(-1).astype(np.float32, copy=False)


CLASSIFIERS: tuple[Adapter[np.ndarray], ...] = (
    Adapter("scores", "one output [1,C]", _scores, resize="crop"),
)


def best(scores: np.ndarray, labels: Sequence[str], wanted: Wanted) -> list[Class]:
    """The classes with the highest scores.

    Args:
        scores: (classes,), one score a class.
        labels: The name of class i at place i.
        wanted: The threshold, and how many.

    Returns:
        Best first; equal scores in the order of their numbers.
    """
    order = np.argsort(-scores, kind="stable")[: wanted.most]
    return [
        Class(label_of(labels, int(i)), float(scores[i]), int(i))
        for i in order
        if scores[i] >= wanted.threshold
    ]


class Classifier(Vision[np.ndarray, list[Class]]):
    """A classifier, ready to look at photos.

    Example:
        >>> with Classifier(Path("RUN")) as classifier:
        ...     classifier.see(Path("photo.jpg"))[0].label
    """

    task = "classify"
    usual = Wanted(threshold=-np.inf, most=3)

    @classmethod
    def adapters(cls) -> Sequence[Adapter[np.ndarray]]:
        """The forms of output that are known."""
        return CLASSIFIERS

    def top(self, photo: Path, count: int) -> list[tuple[str, float]]:
        """The classes with the highest scores, as pairs.

        Args:
            photo: A photo's file.
            count: How many.

        Returns:
            (label, score) pairs, best first.

        Raises:
            UnreadablePhoto: The file is no photo.
        """
        wanted = Wanted(threshold=-np.inf, most=count)
        return [(found.label, found.score) for found in self.see(photo, wanted)]

    def remarks(self) -> list[str]:
        """As for all, and that the labels are not those of this model, as far as that shows."""
        labels, classes = len(self.labels), self.facts.outputs[0].size
        if labels in (0, classes):
            return super().remarks()
        told = f"There are {labels} labels for {classes} classes: they may be of another model."
        return [*super().remarks(), told]

    def _placed(self, photo: Photo) -> tuple[np.ndarray, Placement]:
        """As a detector's, but a file is decoded no larger than needed, as in training."""
        if isinstance(photo, Image.Image | np.ndarray) or self.resize not in SMALLER:
            return super()._placed(photo)
        source = Path(photo) if isinstance(photo, str) else photo
        size = self.preprocessing.width, self.preprocessing.height
        pixels = read_pixels(source, replace(self.preprocessing, resize=self.resize))
        # Nothing of a class lies anywhere.
        return pixels, RESIZES["stretch"].place(size, size)

    def _told(self, found: np.ndarray, placement: Placement, wanted: Wanted) -> list[Class]:
        return best(found, self.labels, wanted)
