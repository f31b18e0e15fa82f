"""Layers appended to a graph, in the type of the tensor that they start from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from atoll.tflite.build_core import GraphState, option
from atoll.tflite.graph import Quantization
from atoll.tflite.types import BY_NAME

if TYPE_CHECKING:
    from atoll.tflite.graph import Subgraph, Tensor

_VALID = 1  # the schema's Padding.VALID
_WEIGHT_TYPES = ("INT8", "UINT8", "INT32", "FLOAT32")


@dataclass(frozen=True)
class Dense:
    """A layer in which each class has a weight for each number of the embedding.

    Attributes:
        weights: Real numbers, (classes, size).
        biases: Real numbers, (classes,).
        low: The smallest real number of the output.
        high: The largest.
        kernel: How 8-bit weights are stored; None for the way that holds them best.
        made: How an 8-bit output is stored; None for the way that spans `low` to `high`.
        version: The operator's version, for a dense layer; None for the usual one.
    """

    weights: np.ndarray
    biases: np.ndarray
    low: float = -1.0
    high: float = 1.0
    kernel: Quantization | None = None
    made: Quantization | None = None
    version: int | None = None


class Layers:
    """Layers behind a tensor of a graph, one behind another.

    They compute in 8 bits where the tensor does, and in float where it does.

    Args:
        graph: The graph; it stays as it is.
        tensor: The index of the tensor to start from.

    Attributes:
        at: The index of the last layer's output.
    """

    def __init__(self, graph: Subgraph, tensor: int) -> None:
        self.at = tensor
        self._graph = graph
        self._state = GraphState("uint8" if graph.tensors[tensor].type == "UINT8" else "int8")
        self._state.tensors = list(graph.tensors)
        self._state.operators = list(graph.operators)

    @property
    def quantized(self) -> bool:
        """Whether they compute in 8 bits."""
        return self._last.type != "FLOAT32"

    def graph(self) -> Subgraph:
        """The graph with the layers; its only output is the last one's."""
        return replace(
            self._graph,
            tensors=self._state.tensors,
            operators=self._state.operators,
            outputs=[self.at],
        )

    def average(self) -> None:
        """The mean over a plane."""
        _, height, width, channels = self._last.shape
        window = option(
            "Pool2D", padding=_VALID, strideH=1, strideW=1, filterHeight=height, filterWidth=width
        )
        self._add("AVERAGE_POOL_2D", [], (1, 1, 1, channels), window)

    def reshape(self, *shape: int) -> None:
        """The same numbers in another shape."""
        if self._last.shape == shape:
            return
        target = np.array(shape, np.int32)
        constant = self._state.constant(target, name=self._name("shape"))
        self._add("RESHAPE", [constant], shape, option("Reshape", newShape=target))

    def l2_normalize(self) -> None:
        """The direction of a vector: divided by its length.

        LiteRT wants one scale of the output, 1/128, with 0 in the middle of the type.
        """
        middle = 128 if self._last.type == "UINT8" else 0
        held = quantization(1 / 128, middle) if self.quantized else None
        self._add("L2_NORMALIZATION", [], self._last.shape, option("L2Norm"), held)

    def point_convolution(self, dense: Dense) -> None:
        """A convolution of 1 x 1 over one point."""
        classes, size = dense.weights.shape
        inputs = self._parameters(dense, (classes, 1, 1, size))
        options = option("Conv2D", padding=_VALID, strideH=1, strideW=1)
        self._add("CONV_2D", inputs, (1, 1, 1, classes), options, self._made(dense))

    def fully_connected(self, dense: Dense) -> None:
        """A dense layer."""
        inputs = self._parameters(dense, dense.weights.shape)
        options, made = option("FullyConnected"), self._made(dense)
        self._add("FULLY_CONNECTED", inputs, (1, len(dense.weights)), options, made, dense.version)

    def multiply(self, factor: float) -> None:
        """Times a factor, every stored number as it is: only the scale grows.

        Args:
            factor: Above 0.
        """
        last = self._last
        if not self.quantized:
            value = np.array([factor], np.float32)
            constant = self._state.constant(value, name=self._name("factor"))
            self._add("MUL", [constant], last.shape, option("Mul"))
            return
        largest = 255 if last.type == "UINT8" else 127
        value = np.array([largest], BY_NAME[last.type].dtype)
        held = quantization(factor / largest, 0)
        constant = self._state.constant(value, held, self._name("factor"))
        assert last.quantization is not None
        scale, zero_point = last.quantization.scale[0], last.quantization.zero_point[0]
        made = quantization(float(scale) * factor, int(zero_point))
        self._add("MUL", [constant], last.shape, option("Mul"), made)

    def softmax(self) -> None:
        """Probabilities."""
        least = 0 if self._last.type == "UINT8" else -128
        held = quantization(1 / 256, least) if self.quantized else None
        self._add("SOFTMAX", [], self._last.shape, option("Softmax", beta=1.0), held)

    def convert(self, like: Tensor) -> None:
        """To the type and scale of another tensor, which the model gave before."""
        if like.type == self._last.type:
            return
        if like.type == "FLOAT32":
            made = self._state.op(
                "DEQUANTIZE",
                [self.at],
                [self._last.shape],
                option("Dequantize"),
                output_type="FLOAT32",
            )
        else:
            least = 0 if like.type == "UINT8" else -128
            made = self._state.op(
                "QUANTIZE",
                [self.at],
                [self._last.shape],
                option("Quantize"),
                quantization=quantization(1 / 256, least),
                output_type=like.type,
            )
        self.at = made[0]

    def _add(
        self,
        kind: str,
        constants: list[int],
        shape: tuple[int, ...],
        options: object,
        held: Quantization | None = None,
        version: int | None = None,
    ) -> None:
        inputs = [self.at, *constants]
        made = self._state.op(kind, inputs, [shape], options, quantization=held, version=version)
        self.at = made[0]

    @property
    def _last(self) -> Tensor:
        return self._state.tensors[self.at]

    def _made(self, dense: Dense) -> Quantization | None:
        if not self.quantized:
            return None
        low, high = min(dense.low, 0.0), max(dense.high, 0.0)
        return dense.made or self._state.quantization(low, high if high > low else 1.0)

    def _parameters(self, dense: Dense, shape: tuple[int, ...]) -> list[int]:
        """Adds weights and biases; returns their indices."""
        names = self._name("weights"), self._name("bias")
        weights, biases = dense.weights.reshape(shape), dense.biases
        given = self._last.quantization
        if given is None:
            weight = self._state.constant(weights.astype(np.float32), name=names[0])
            return [weight, self._state.constant(biases.astype(np.float32), name=names[1])]
        held = dense.kernel or weight_quantization(weights, self._last.type)
        # LiteRT wants the product of both scales, and a zero point of 0.
        steps = Quantization(given.scale[0] * held.scale, np.zeros(held.scale.size, np.int64))
        stored = store(weights, held, self._last.type)
        weight = self._state.constant(stored, held, names[0])
        return [weight, self._state.constant(store(biases, steps, "INT32"), steps, names[1])]

    def _name(self, what: str) -> str:
        """A name for a constant of the next operator."""
        return f"head_{len(self._state.operators)}/{what}"


def quantization(scale: float, zero_point: int) -> Quantization:
    """One scale and zero point for a whole tensor."""
    return Quantization(np.array([scale], np.float32), np.array([zero_point], np.int64))


def weight_quantization(weights: np.ndarray, kind: str) -> Quantization:
    """The quantisation that holds weights best: about 0 for INT8, as LiteRT wants it.

    Args:
        weights: Real numbers.
        kind: "INT8" or "UINT8".
    """
    low, high = min(0.0, float(weights.min())), max(0.0, float(weights.max()))
    if low == high:
        high = 1.0
    if kind == "INT8":
        return quantization(max(high, -low) / 127, 0)
    scale = (high - low) / 255
    return quantization(scale, int(np.clip(round(-low / scale), 0, 255)))


def store(real: np.ndarray, held: Quantization, kind: str) -> np.ndarray:
    """Real numbers as a tensor stores them.

    Args:
        real: Real numbers.
        held: How they are stored; a scale a row where it has several.
        kind: TFLite's name of the type.

    Returns:
        An array of the type, what it does not hold cut to its limits.
    """
    dtype = BY_NAME[kind].dtype
    assert dtype is not None
    limits = np.iinfo(dtype)
    rows = (-1, *(1,) * (real.ndim - 1)) if held.scale.size > 1 else (-1,)
    scale = held.scale.astype(np.float64).reshape(rows)
    zero_point = held.zero_point.reshape(rows)
    # A row of nothing but zeros may have a scale of 0.
    numbers = np.rint(real.astype(np.float64) / np.where(scale > 0, scale, 1.0)) + zero_point
    return np.asarray(np.clip(numbers, limits.min, limits.max), dtype)


def holds_numbers(tensor: Tensor | None) -> bool:
    """Whether a tensor is a constant to compute with, which in a damaged file it may not be.

    Its numbers must be finite, and its scales too: one, or one a row, or none of a float.
    """
    if tensor is None or tensor.data is None or not tensor.data.size:
        return False
    if tensor.type not in _WEIGHT_TYPES or tensor.data.shape != tensor.shape:
        return False
    held = tensor.quantization
    if held is None or not held.scale.size:
        return tensor.type == "FLOAT32" and bool(np.isfinite(tensor.data).all())
    fits = held.scale.size == held.zero_point.size and held.scale.size in (1, len(tensor.data))
    return fits and bool((np.isfinite(held.scale) & (held.scale >= 0)).all())


def real_numbers(tensor: Tensor) -> np.ndarray:
    """What a constant stands for, as float64; of several scales, one a row.

    Args:
        tensor: A constant that `holds_numbers`.
    """
    assert tensor.data is not None
    data, held = tensor.data.astype(np.float64), tensor.quantization
    if held is None or not held.scale.size or not data.size:
        return data
    rows = (-1, *(1,) * (data.ndim - 1)) if held.scale.size > 1 else (-1,)
    scale = held.scale.astype(np.float64)
    return np.asarray((data - held.zero_point.reshape(rows)) * scale.reshape(rows))
