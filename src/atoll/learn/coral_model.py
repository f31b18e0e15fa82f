"""A model for Google's imprinting engine: its classes read, and replaced in place.

Numbers are stored as that engine stores them, in the scales that the model has. For a model that is
made anew, with scales that fit, see `imprinting.py`. Source: google-coral/libcoral,
coral/learn/imprinting_engine.cc.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from atoll.learn.coral_head import (
    CoralHead,
    class_weights,
    factor_of,
    read_lengths,
    unit,
    write_lengths,
)
from atoll.learn.layers import quantization, store
from atoll.tflite.edit import between, with_main

if TYPE_CHECKING:
    from collections.abc import Mapping

    from atoll.tflite.graph import Model, Operator, Quantization, Tensor


class CoralModel:
    """A model that ends in the layers of `CoralHead`.

    Args:
        model: The model.
        head: Where these layers are.

    Attributes:
        size: How many numbers an embedding has.
        lengths: By class, how long the sum of its embeddings is: of those that were imprinted.
    """

    def __init__(self, model: Model, head: CoralHead) -> None:
        self._model = model
        self._head = head
        made = model.main.operators[head.normalization].outputs[0]
        self.size = model.main.tensors[made].shape[-1]
        self.lengths = read_lengths(model.description)

    def weights(self) -> np.ndarray:
        """The classes' weights, float32 (classes, size)."""
        return class_weights(self._model.main, self._head).astype(np.float32)

    def stored(self, weights: np.ndarray) -> np.ndarray:
        """Weights as the model can hold them: through its 8 bits and back, float32."""
        kernel = self._tensor(self._head.convolution, 1)
        held = kernel.quantization
        if held is None:
            return weights.astype(np.float32)
        whole = store(weights, _first(held), kernel.type).astype(np.float32)
        return np.asarray((whole - np.float32(held.zero_point[0])) * held.scale[0])

    def extractor(self) -> Model:
        """The model up to its embedding, a unit vector."""
        graph = self._model.main
        made = graph.operators[self._head.normalization].outputs
        return with_main(replace(self._model, signatures=[]), between(graph, graph.inputs, made))

    def with_classes(self, weights: np.ndarray, lengths: Mapping[int, float]) -> Model:
        """The model with other classes.

        Args:
            weights: Real numbers, (classes, size); they are brought to length 1.
            lengths: By class, what is to be noted of the imprinted ones.
        """
        old = self._model.main
        graph = replace(old, tensors=list(old.tensors), operators=list(old.operators))
        head, count = self._head, len(weights)
        factor = factor_of(graph, head)
        conv, mul = graph.operators[head.convolution], graph.operators[head.multiplication]
        softmax = graph.operators[head.softmax]
        kernel = graph.tensors[conv.inputs[1]]
        rows = unit(weights.astype(np.float32)).reshape(count, 1, 1, -1)
        held = kernel.quantization
        data = rows if held is None else store(rows, _first(held), kernel.type)
        graph.tensors[conv.inputs[1]] = replace(
            _resized(kernel, 0, count),
            data=np.asarray(data, kernel.data.dtype if kernel.data is not None else None),
            quantization=None if held is None else _first(held),
        )
        if len(conv.inputs) > 2 and conv.inputs[2] >= 0:
            graph.tensors[conv.inputs[2]] = _without_bias(graph.tensors[conv.inputs[2]], count)
        for op, reach in ((conv, 1.0), (mul, factor)):
            made = _resized(graph.tensors[op.outputs[0]], -1, count)
            graph.tensors[op.outputs[0]] = _spanning(made, reach)
        self._reshape(graph.tensors, graph.operators, count, factor)
        made = _resized(graph.tensors[softmax.outputs[0]], -1, count)
        graph.tensors[softmax.outputs[0]] = made
        model = replace(self._model, description=write_lengths(lengths))
        return with_main(model, replace(graph, outputs=[softmax.outputs[0]]))

    def _reshape(
        self, tensors: list[Tensor], operators: list[Operator], count: int, factor: float
    ) -> None:
        """Has the RESHAPE make as many scores."""
        op = operators[self._head.reshape]
        made = _resized(tensors[op.outputs[0]], -1, count)
        tensors[op.outputs[0]] = _spanning(made, factor)
        if len(op.inputs) > 1 and op.inputs[1] >= 0:
            shape = tensors[op.inputs[1]]
            if shape.data is not None and shape.data.size:
                tensors[op.inputs[1]] = replace(shape, data=_last_set(shape.data, count))
        if getattr(op.options, "newShape", None) is not None and len(op.options.newShape):
            options = copy.copy(op.options)
            options.newShape = _last_set(np.asarray(options.newShape), count)
            operators[self._head.reshape] = replace(op, options=options)

    def _tensor(self, operator: int, place: int) -> Tensor:
        graph = self._model.main
        return graph.tensors[graph.operators[operator].inputs[place]]


def _first(held: Quantization) -> Quantization:
    """The first of a tensor's scales, for all of it: that engine knows no others."""
    return quantization(float(held.scale[0]), int(held.zero_point[0]))


def _resized(tensor: Tensor, axis: int, size: int) -> Tensor:
    shape = list(tensor.shape)
    shape[axis] = size
    signature = tensor.shape_signature
    if signature is not None and len(signature) == len(shape):
        signature = (*signature[:axis], size, *(signature[axis + 1 :] if axis >= 0 else ()))
    return replace(tensor, shape=tuple(shape), shape_signature=signature)


def _spanning(tensor: Tensor, reach: float) -> Tensor:
    """A tensor of numbers from -reach to reach; one in float stays as it is."""
    if tensor.quantization is None:
        return tensor
    extra: dict[str, Any] = {
        "min": np.array([-reach], np.float32),
        "max": np.array([reach], np.float32),
    }
    middle = 128 if tensor.type == "UINT8" else 0
    held = quantization(reach / 128, middle)
    return replace(tensor, quantization=held, extra=tensor.extra | extra)


def _without_bias(bias: Tensor, count: int) -> Tensor:
    held = bias.quantization
    return replace(
        _resized(bias, 0, count),
        data=np.zeros(count, np.int32 if bias.type == "INT32" else np.float32),
        quantization=None if held is None or not held.scale.size else _first(held),
    )


def _last_set(values: np.ndarray, last: int) -> np.ndarray:
    new = values.copy()
    new[-1] = last
    return new
