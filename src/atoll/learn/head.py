"""A model cut at its embedding, and given other last layers."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from atoll.learn.layers import Dense, Layers
from atoll.tflite.edit import between, compact, with_main
from atoll.tflite.graph import Model

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from atoll.learn.place import Place
    from atoll.tflite.graph import Subgraph


@dataclass(frozen=True)
class Headed:
    """A model with other last layers.

    Attributes:
        model: The whole model.
        head: The last layers, as a model by themselves: from the embedding, as it is stored, to
            the same output. So what was embedded once need not be embedded again.
    """

    model: Model
    head: Model


def averaged(base: Model, place: Place) -> tuple[Model, Place]:
    """A model in which the embedding is a vector: a plane is averaged.

    Args:
        base: The model; it stays as it is.
        place: Where its embedding is.

    Returns:
        The model, maybe with an operator more that nothing reads yet, and the vector's place.
    """
    shape = base.main.tensors[place.tensor].shape
    if math.prod(shape) == place.size:
        return base, place
    layers = Layers(base.main, place.tensor)
    layers.average()
    graph = replace(layers.graph(), outputs=base.main.outputs)
    model = replace(base, subgraphs=[graph, *base.subgraphs[1:]])
    return model, replace(place, tensor=layers.at)


def extractor(base: Model, place: Place) -> Model:
    """A model up to its embedding, which is its only output.

    Args:
        base: The model; it stays as it is.
        place: Where its embedding is.
    """
    return with_main(replace(base, signatures=[]), _up_to(base, place))


def with_head(base: Model, place: Place, add: Callable[[Layers], None]) -> Headed:
    """Gives a model other last layers.

    What the model gives keeps the type that it had: a float output is made of 8 bits as before.

    Args:
        base: The model; it stays as it is.
        place: Where its embedding is.
        add: Adds the layers.

    Returns:
        The new model.
    """
    layers = Layers(_up_to(base, place), place.tensor)
    add(layers)
    layers.convert(base.main.tensors[base.main.outputs[0]])
    return _assembled(base, place, layers.graph())


def softmax_layers(
    weights: np.ndarray, biases: np.ndarray, low: float, high: float
) -> Callable[[Layers], None]:
    """A dense layer and a softmax, for `with_head`.

    Args:
        weights: Real numbers, (classes, size).
        biases: Real numbers, (classes,).
        low: The smallest score that the dense layer gives.
        high: The largest.
    """

    def add(layers: Layers) -> None:
        layers.fully_connected(Dense(weights, biases, low, high))
        layers.softmax()

    return add


def _assembled(base: Model, place: Place, graph: Subgraph) -> Headed:
    """A model with another main graph, of which only what its output needs is kept.

    Args:
        base: The model; it stays as it is.
        place: Where its embedding is.
        graph: The graph, its tensors numbered as the model's own.
    """
    whole = between(graph, graph.inputs, graph.outputs)
    behind = between(graph, [place.tensor], graph.outputs)
    signatures = [_signature(each, graph.outputs[0]) for each in base.signatures]
    return Headed(
        with_main(replace(base, signatures=signatures), whole),
        Model([compact(behind)[0]], description="The last layers alone."),
    )


def _up_to(base: Model, place: Place) -> Subgraph:
    return between(base.main, base.main.inputs, [place.tensor])


def _signature(signature: Any, output: int) -> Any:
    """A signature of the main graph with the one output that there is now."""
    new = copy.deepcopy(signature)
    if new.subgraphIndex == 0:
        new.outputs = list(new.outputs or ())[:1]
        for entry in new.outputs:
            entry.tensorIndex = output
    return new
