"""A trained layer behind an embedding extractor, as Google's libraries append one.

Source: google-coral/libcoral, coral/learn/utils.cc. Where that puts a RESHAPE behind the
FULLY_CONNECTED there is none here: LiteRT's dense layer gives a row anyway.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from atoll.errors import AtollError
from atoll.learn.head import averaged, softmax_layers, with_head
from atoll.learn.place import find_embedding

if TYPE_CHECKING:
    from atoll.tflite.graph import Model


def append_softmax_layer(
    model: Model, weights: np.ndarray, biases: np.ndarray, low: float, high: float
) -> Model:
    """Puts a dense layer and a softmax behind a model.

    Args:
        model: An embedding extractor.
        weights: Real numbers, (classes, size).
        biases: Real numbers, (classes,).
        low: The smallest score that the layer gives; where nobody knows, infinite.
        high: The largest.

    Returns:
        The new model.

    Raises:
        RuntimeError: The model is no extractor of embeddings of this size.
    """
    if len(model.subgraphs) != 1:
        count = len(model.subgraphs)
        raise RuntimeError(f"Model must have one and only one subgraph. Actual: {count}.")
    outputs = model.main.outputs
    if len(outputs) != 1:
        raise RuntimeError(f"Model must have one and only one output. Actual: {len(outputs)}.")
    try:
        place = find_embedding(model, "model", model.main.tensors[outputs[0]].name)
    except AtollError as error:
        raise RuntimeError(str(error)) from error
    if place.tensor != outputs[0] or not weights.size or weights.shape[1] != place.size:
        raise RuntimeError(
            f"The model's embedding has {place.size} numbers, the weights have "
            f"{weights.shape[-1]} a class."
        )
    low, high = (low, high) if np.isfinite([low, high]).all() else (-1.0, 1.0)
    layers = softmax_layers(weights, biases, low, high)
    return with_head(*averaged(model, place), layers).model
