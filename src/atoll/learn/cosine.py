"""Imprinted layers: a class's score is the cosine between its weights and the embedding.

Source: Qi, Brown, Lowe: Low-Shot Learning with Imprinted Weights, CVPR 2018.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from atoll.learn.coral_head import unit, write_lengths
from atoll.learn.head import Headed, with_head
from atoll.learn.layers import Dense

if TYPE_CHECKING:
    from collections.abc import Sequence

    from atoll.learn.imprinting import Imprinted
    from atoll.learn.layers import Layers
    from atoll.learn.place import Place
    from atoll.learn.record import Kind
    from atoll.tflite.graph import Model, Tensor

FACTOR = 30.0
"""By what cosines are multiplied before the softmax.

Measured on ants and bees, on seven published models: photos not seen are the likeliest at 15 to 30
with 5 photos a class, at 30 or 40 with 122 (docs/learn.md). Which class comes first does not depend
on it.
"""


class Cosine:
    """Last layers as Google's imprinting engine has them.

    Args:
        kept: The weights of the classes that a model has, (classes, size).
        factor: By what cosines are multiplied.
    """

    kind: Kind = "cosine"

    def __init__(self, kept: np.ndarray, factor: float = FACTOR) -> None:
        self._kept = unit(kept)
        self._factor = factor

    def summand(self, embedding: np.ndarray) -> np.ndarray:
        """What is added to a class's sum: the embedding's direction."""
        return unit(embedding)

    def scores(self, summands: np.ndarray, classes: Sequence[Imprinted | None]) -> np.ndarray:
        """The cosines, (n, classes), of what `summand` gave."""
        return np.asarray(summands @ self._weights(classes).T)

    def headed(self, classes: Sequence[Imprinted | None], base: Model, place: Place) -> Headed:
        """A model with the layers for these classes."""
        weights = self._weights(classes)
        low = 0.0 if _never_negative(base.main.tensors[place.tensor], weights) else -1.0

        def add(layers: Layers) -> None:
            layers.reshape(1, 1, 1, place.size)
            layers.l2_normalize()
            layers.point_convolution(Dense(weights, np.zeros(len(weights)), low, 1.0))
            layers.multiply(self._factor)
            layers.reshape(1, len(weights))
            layers.softmax()

        made = with_head(base, place, add)
        lengths = {
            number: float(np.linalg.norm(each.total))
            for number, each in enumerate(classes)
            if each is not None
        }
        return replace(made, model=replace(made.model, description=write_lengths(lengths)))

    def _weights(self, classes: Sequence[Imprinted | None]) -> np.ndarray:
        rows = [
            self._kept[i] if each is None else unit(each.total) for i, each in enumerate(classes)
        ]
        return np.array(rows)


def _never_negative(tensor: Tensor, weights: np.ndarray) -> bool:
    """Whether no cosine can be below 0, as behind a ReLU: then 8 bits need not hold any."""
    if tensor.quantization is None or (weights < 0).any():
        return False
    return int(tensor.quantization.zero_point[0]) == (0 if tensor.type == "UINT8" else -128)
