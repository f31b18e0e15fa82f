"""New classes beside those of an ordinary classifier, whose scores stay as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from atoll.errors import UsageError
from atoll.learn.head import Headed, with_head
from atoll.learn.layers import Dense, holds_numbers, real_numbers, weight_quantization
from atoll.tflite.graph import Quantization

if TYPE_CHECKING:
    from collections.abc import Sequence

    from atoll.learn.imprinting import Imprinted
    from atoll.learn.layers import Layers
    from atoll.learn.place import Place
    from atoll.learn.record import Kind
    from atoll.tflite.graph import Model, Operator

MARGIN = 2.0
"""By how much a new class's score exceeds the best old one, on the mean of its photos.

Measured on five published classifiers of ImageNet (docs/learn.md): below, photos of a new class
are taken for the nearest old one; twice as much finds no more of them.
"""

_BEHIND = ("RESHAPE", "SQUEEZE", "SOFTMAX", "QUANTIZE", "DEQUANTIZE")


class Beside:
    """The dense layer that a classifier has, with a row more for each new class.

    The old classes' scores before the softmax are the same numbers as before. A new class's
    weights are the mean of the old classes' weights, each by the probability that the model gives
    it on the new photos: what the photos look like to the model. Less the mean of all weights, and
    scaled so that the new class wins by the margin where the mean of its photos lies.

    Args:
        base: The model.
        place: Where its embedding is; its dense layer is known.
        kept: How many of its classes are its own.
        source: What to call it in a message.
        margin: By how much a new class wins.

    Raises:
        UsageError: Its last layers have another form.
    """

    kind: Kind = "dense"

    def __init__(
        self,
        base: Model,
        place: Place,
        kept: int | None,
        source: object,
        margin: float = MARGIN,
    ) -> None:
        graph = base.main
        assert place.dense is not None
        op = graph.operators[place.dense]
        behind = [each.type for each in graph.operators[place.dense + 1 :]]
        self._base = base
        self._margin = margin
        self._op = op
        self._softmax = "SOFTMAX" in behind
        _check(place, op, behind, source)
        kernel, bias = graph.tensors[op.inputs[1]], graph.input_of(op, 2)
        if not (holds_numbers(kernel) and (bias is None or holds_numbers(bias))):
            raise _unknown(source, "weights or biases that are no numbers")
        weights = real_numbers(kernel).reshape(kernel.shape[0], -1)
        biases = np.zeros(len(weights)) if bias is None else real_numbers(bias)
        if weights.shape[1] != place.size or biases.shape != (len(weights),):
            raise _unknown(source, f"weights of shape {list(kernel.shape)}")
        self._weights, self._biases = weights[:kept], biases[:kept]
        self.kept = len(self._weights)

    def summand(self, embedding: np.ndarray) -> np.ndarray:
        """What is added to a class's sum: the embedding itself."""
        return embedding

    def scores(self, summands: np.ndarray, classes: Sequence[Imprinted | None]) -> np.ndarray:
        """The scores before the softmax, (n, classes), of what `summand` gave."""
        weights, biases = self._rows(classes)
        return np.asarray(summands @ weights.T + biases)

    def headed(self, classes: Sequence[Imprinted | None], base: Model, place: Place) -> Headed:
        """A model with the layers for these classes."""
        graph = self._base.main
        weights, biases = self._rows(classes)
        made = graph.tensors[self._op.outputs[0]].quantization
        kernel = self._kernel(weights)
        dense = Dense(weights, biases, kernel=kernel, made=made, version=self._op.version)

        def add(layers: Layers) -> None:
            if self._op.type == "CONV_2D":
                layers.point_convolution(dense)
                layers.reshape(1, len(weights))
            else:
                layers.fully_connected(dense)
            if self._softmax:
                layers.softmax()

        return with_head(base, place, add)

    def _rows(self, classes: Sequence[Imprinted | None]) -> tuple[np.ndarray, np.ndarray]:
        new = [self._row(each.total / each.count) for each in classes if each is not None]
        biases = np.full(len(new), self._biases.mean())
        return np.array([*self._weights, *new]), np.concatenate([self._biases, biases])

    def _row(self, mean: np.ndarray) -> np.ndarray:
        """A new class's weights; `mean` is the mean of its embeddings."""
        scores = self._weights @ mean + self._biases
        shares = np.exp(scores - scores.max())
        shares /= shares.sum()
        average = self._weights.mean(0)
        direction = shares @ self._weights - average
        wanted = scores.max() - scores.mean() + self._margin
        reach = float(direction @ mean)
        if reach < 1e-6 * wanted:
            # To the model the photos look like nothing in particular.
            direction, reach = mean, max(float(mean @ mean), 1e-12)
        return np.asarray(average + direction * (wanted / reach))

    def _kernel(self, weights: np.ndarray) -> Quantization | None:
        """How the weights are stored: the old ones as they were."""
        held = self._base.main.tensors[self._op.inputs[1]].quantization
        if held is None or not held.per_channel:
            return held
        new = [weight_quantization(row, "INT8").scale for row in weights[self.kept :]]
        scales = np.concatenate([held.scale[: self.kept], *new])
        return Quantization(scales, np.zeros(scales.size, np.int64))


def _check(place: Place, op: Operator, behind: Sequence[str], source: object) -> None:
    received = ""
    if op.inputs[0] != place.tensor:
        received = "layers between the embedding and its dense layer"
    elif getattr(op.options, "fusedActivationFunction", 0):
        received = "a dense layer with an activation"
    elif other := [kind for kind in behind if kind not in _BEHIND]:
        received = f"{other[0]} behind its dense layer"
    if received:
        raise _unknown(source, received)


def _unknown(source: object, received: str) -> UsageError:
    return UsageError(
        source,
        "classes are kept where the model ends in a dense layer and a softmax, or in imprinted "
        "layers",
        received=received,
        fix="Leave --keep-classes out",
    )
