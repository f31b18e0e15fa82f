"""What learning is told, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from atoll.learn.base import run_head

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from atoll.data.listing import Skipped
    from atoll.learn.base import Base
    from atoll.learn.head import Headed
    from atoll.learn.place import Place
    from atoll.learn.regression import Regression
    from atoll.learn.saving import Saved
    from atoll.tflite.graph import Model


@dataclass(frozen=True)
class LearnOptions:
    """What both ways may be told.

    Attributes:
        embedding: The name of the tensor that is the embedding; None finds it.
        device: Where embeddings are computed.
        twin: The model that a compiled one was made of; None takes the one beside it.
    """

    embedding: str | None = None
    device: str = "auto"
    twin: Path | None = None


@dataclass(frozen=True)
class Accuracy:
    """How many photos were recognised.

    Attributes:
        right: Those whose class came first.
        images: All that were asked.
    """

    right: int
    images: int

    @property
    def top1(self) -> float:
        """The share that was recognised."""
        return self.right / self.images


@dataclass(frozen=True)
class Learned:
    """What was made, and how well it does.

    Attributes:
        saved: The files.
        model: The new model.
        base: What it was learned on.
        place: Where its embedding is.
        device: Where embeddings were computed.
        labels: The classes' names, in the order of the scores.
        photos: How many photos of each class were learned from, by its name.
        skipped: What was found in the data set and is not used, and why.
        held_out: On photos that were not learned from, by the new last layers as they are in the
            file; None where there are none.
        left_out: On each photo, had it not been learned from, in real numbers; None where no class
            has two.
        regression: How the training went; None for imprinting.
    """

    saved: Saved
    model: Model
    base: Base
    place: Place
    device: str
    labels: list[str]
    photos: dict[str, int]
    skipped: list[Skipped]
    held_out: Accuracy | None
    left_out: Accuracy | None = None
    regression: Regression | None = None


def measured(headed: Headed, stored: np.ndarray, classes: np.ndarray) -> Accuracy | None:
    """How many photos new last layers recognise, as they are in the file.

    Args:
        headed: The model with them.
        stored: The photos' embeddings, as the model stores them, (n, ...).
        classes: The class of each.

    Returns:
        The accuracy; None of no photos.
    """
    if not len(stored):
        return None
    found = run_head(headed.head, stored).argmax(1)
    return Accuracy(int((found == classes).sum()), len(stored))
