"""Writes 8-bit TFLite graphs from nothing: one method an operator, seeded random weights."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal, Unpack

import numpy as np

from atoll.tflite.build_core import GraphState, option
from atoll.tflite.build_weights import RANGES, SHARES, Weighted, weighted
from atoll.tflite.build_window import (
    Padding,
    Pair,
    activation_code,
    extent,
    padding_code,
    pair,
    window_options,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from atoll.tflite.graph import Quantization


class GraphBuilder(GraphState):
    """A graph that is being written, operator by operator.

    Every method that adds an operator takes tensor indices and returns its output's.

    Example:
        >>> b = GraphBuilder("int8", seed=1)
        >>> x = b.input((1, 32, 32, 3))
        >>> x = b.conv2d(x, 16, kernel=3, stride=2, activation="RELU6")
        >>> model = b.model(b.softmax(b.dense(b.mean(x), 10)))
    """

    def conv2d(
        self,
        x: int,
        filters: int,
        kernel: Pair,
        stride: Pair = 1,
        padding: Padding = "SAME",
        dilation: Pair = 1,
        **how: Unpack[Weighted],
    ) -> int:
        """A convolution; pairs are (height, width)."""
        channels = self.shape(x)[3]
        (kh, kw), height_width = pair(kernel), self._window(x, kernel, stride, padding, dilation)
        return weighted(
            self,
            "CONV_2D",
            x,
            weights=(filters, kh, kw, channels),
            channel_axis=0,
            terms=kh * kw * channels,
            shape=(self.shape(x)[0], *height_width, filters),
            options=window_options("Conv2D", stride, padding, dilation),
            how=how,
        )

    def depthwise(
        self,
        x: int,
        kernel: Pair,
        stride: Pair = 1,
        padding: Padding = "SAME",
        dilation: Pair = 1,
        multiplier: int = 1,
        **how: Unpack[Weighted],
    ) -> int:
        """A depthwise convolution; pairs are (height, width)."""
        channels = self.shape(x)[3] * multiplier
        (kh, kw), height_width = pair(kernel), self._window(x, kernel, stride, padding, dilation)
        options = window_options("DepthwiseConv2D", stride, padding, dilation)
        options.depthMultiplier = multiplier
        return weighted(
            self,
            "DEPTHWISE_CONV_2D",
            x,
            weights=(1, kh, kw, channels),
            channel_axis=3,
            terms=kh * kw,
            shape=(self.shape(x)[0], *height_width, channels),
            options=options,
            how=how,
            version=2 if self.style == "uint8" and pair(dilation) != (1, 1) else None,
        )

    def transpose_conv(
        self,
        x: int,
        filters: int,
        kernel: Pair,
        stride: Pair = 2,
        padding: Padding = "SAME",
        **how: Unpack[Weighted],
    ) -> int:
        """A transposed convolution; pairs are (height, width).

        A bias wants version 3 of the operator, an activation version 4.
        """
        batch, height, width, channels = self.shape(x)
        (kh, kw), (sh, sw) = pair(kernel), pair(stride)
        beyond = (0, 0) if padding == "SAME" else (max(kh - sh, 0), max(kw - sw, 0))
        shape = (batch, height * sh + beyond[0], width * sw + beyond[1], filters)
        return weighted(
            self,
            "TRANSPOSE_CONV",
            x,
            weights=(filters, kh, kw, channels),
            channel_axis=0,
            terms=max(1, kh * kw // (sh * sw)) * channels,
            shape=shape,
            options=option("TransposeConv", padding=padding_code(padding), strideH=sh, strideW=sw),
            how=how,
            version=4 if how.get("activation") else 3 if how.get("bias", True) else None,
        )

    def dense(self, x: int, units: int, **how: Unpack[Weighted]) -> int:
        """A fully connected layer over the last dimension; what lies before it is the batch."""
        channels = math.prod(self.shape(x)[1:])
        how.setdefault("per_channel", False)
        return weighted(
            self,
            "FULLY_CONNECTED",
            x,
            weights=(units, channels),
            channel_axis=0,
            terms=channels,
            shape=(self.shape(x)[0], units),
            options=option("FullyConnected"),
            how=how,
        )

    def add(self, a: int, b: int, activation: str | None = None) -> int:
        """The sum of two tensors, shapes broadcast."""
        return self._pairwise("ADD", a, b, activation)

    def sub(self, a: int, b: int, activation: str | None = None) -> int:
        """The first less the second, shapes broadcast."""
        return self._pairwise("SUB", a, b, activation)

    def mul(self, a: int, b: int, activation: str | None = None) -> int:
        """The product of two tensors, shapes broadcast."""
        return self._pairwise("MUL", a, b, activation)

    def concat(self, inputs: Sequence[int], axis: int = -1) -> int:
        """Tensors joined along an axis.

        Signed operators want one quantisation on all sides: what has another than the first
        passes a QUANTIZE, as after TensorFlow's converter.
        """
        first = self.tensors[inputs[0]].quantization
        if self.type == "INT8":
            inputs = [self._requantized(i, first) for i in inputs]
        shape = list(self.shape(inputs[0]))
        shape[axis] = sum(self.shape(i)[axis] for i in inputs)
        options = option("Concatenation", axis=axis % len(shape))
        size = math.hypot(*(self.magnitude(i) for i in inputs)) / math.sqrt(len(inputs))
        return self.op(
            "CONCATENATION", inputs, [shape], options, quantization=first, magnitude=size
        )[0]

    def max_pool(self, x: int, kernel: Pair, stride: Pair = 2, padding: Padding = "VALID") -> int:
        """The largest value in a window."""
        return self._pool("MAX_POOL_2D", x, kernel, stride, padding)

    def average_pool(
        self, x: int, kernel: Pair, stride: Pair = 1, padding: Padding = "VALID"
    ) -> int:
        """The mean of a window."""
        return self._pool("AVERAGE_POOL_2D", x, kernel, stride, padding)

    def mean(self, x: int, axes: Sequence[int] = (1, 2), keepdims: bool = False) -> int:
        """The mean over axes."""
        old = self.shape(x)
        kept = [1 if i in axes else n for i, n in enumerate(old)]
        shape = kept if keepdims else [n for i, n in enumerate(old) if i not in axes]
        options = option("Reducer", keepDims=keepdims)
        return self.op("MEAN", [x, self.constant(list(axes))], [shape], options)[0]

    def pad(self, x: int, amounts: Iterable[tuple[int, int]]) -> int:
        """Zeros put around; amounts are (before, after), one pair a dimension."""
        pairs = np.array(list(amounts), np.int32)
        shape = [n + int(a) + int(b) for n, (a, b) in zip(self.shape(x), pairs, strict=True)]
        return self.op("PAD", [x, self.constant(pairs)], [shape], option("Pad"))[0]

    def reshape(self, x: int, shape: Sequence[int]) -> int:
        """The same values in another shape."""
        target = np.array(shape, np.int32)
        options = option("Reshape", newShape=target)
        return self.op("RESHAPE", [x, self.constant(target)], [shape], options)[0]

    def softmax(self, x: int) -> int:
        """Probabilities over the last dimension."""
        return self._bounded("SOFTMAX", x, 0.0, 255 / 256, option("Softmax", beta=1.0))

    def logistic(self, x: int) -> int:
        """1 / (1 + exp(-x))."""
        return self._bounded("LOGISTIC", x, 0.0, 255 / 256)

    def tanh(self, x: int) -> int:
        """The hyperbolic tangent."""
        return self._bounded("TANH", x, -1.0, 127 / 128)

    def relu(self, x: int, activation: str = "RELU") -> int:
        """RELU, RELU6 or RELU_N1_TO_1 as an operator of its own."""
        low, high = RANGES[activation]
        size = self.magnitude(x) * SHARES[activation]
        quantization = self.quantization(low, high)
        shapes = [self.shape(x)]
        return self.op(activation, [x], shapes, quantization=quantization, magnitude=size)[0]

    def resize(
        self,
        x: int,
        size: Pair,
        method: Literal["bilinear", "nearest"] = "bilinear",
        align_corners: bool = False,
        half_pixel_centers: bool = False,
    ) -> int:
        """An image of another size, (height, width)."""
        target = np.array(pair(size), np.int32)
        batch, _, _, channels = self.shape(x)
        bilinear = method == "bilinear"
        options = option(
            "ResizeBilinear" if bilinear else "ResizeNearestNeighbor",
            alignCorners=align_corners,
            halfPixelCenters=half_pixel_centers,
        )
        return self.op(
            "RESIZE_BILINEAR" if bilinear else "RESIZE_NEAREST_NEIGHBOR",
            [x, self.constant(target)],
            [(batch, int(target[0]), int(target[1]), channels)],
            options,
            version=3 if half_pixel_centers else None,
        )[0]

    def quantize(self, x: int, low: float = -1.0, high: float = 1.0) -> int:
        """Real numbers, or 8-bit ones of another quantisation, as 8-bit numbers of a range."""
        return self._quantized(x, self.quantization(low, high))

    def dequantize(self, x: int) -> int:
        """8-bit numbers as float32."""
        options, shapes = option("Dequantize"), [self.shape(x)]
        return self.op("DEQUANTIZE", [x], shapes, options, output_type="FLOAT32")[0]

    def _quantized(self, x: int, quantization: Quantization | None) -> int:
        options, shapes = option("Quantize"), [self.shape(x)]
        return self.op(
            "QUANTIZE", [x], shapes, options, quantization=quantization, output_type=self.type
        )[0]

    def _requantized(self, x: int, wanted: Quantization | None) -> int:
        has = self.tensors[x].quantization
        same = (
            has is not None
            and wanted is not None
            and (
                np.array_equal(has.scale, wanted.scale)
                and np.array_equal(has.zero_point, wanted.zero_point)
            )
        )
        return x if same else self._quantized(x, wanted)

    def _window(
        self, x: int, kernel: Pair, stride: Pair, padding: str, dilation: Pair = 1
    ) -> list[int]:
        sides = zip(self.plane(x), pair(kernel), pair(stride), pair(dilation), strict=True)
        return [extent(size, k, s, padding, d) for size, k, s, d in sides]

    def _pool(self, type: str, x: int, kernel: Pair, stride: Pair, padding: Padding) -> int:
        (kh, kw), (sh, sw) = pair(kernel), pair(stride)
        batch, _, _, channels = self.shape(x)
        options = option(
            "Pool2D",
            padding=padding_code(padding),
            strideH=sh,
            strideW=sw,
            filterHeight=kh,
            filterWidth=kw,
        )
        shape = (batch, *self._window(x, kernel, stride, padding), channels)
        return self.op(type, [x], [shape], options)[0]

    def _bounded(self, type: str, x: int, low: float, high: float, options: Any = None) -> int:
        quantization, shapes = self.quantization(low, high), [self.shape(x)]
        return self.op(type, [x], shapes, options, quantization=quantization, magnitude=0.5)[0]

    def _pairwise(self, type: str, a: int, b: int, activation: str | None) -> int:
        sizes = self.magnitude(a), self.magnitude(b)
        size = sizes[0] * sizes[1] if type == "MUL" else math.hypot(*sizes)
        low, high = RANGES[activation]
        stretch = 1.0 if activation in ("RELU6", "RELU_N1_TO_1") else size
        options = option(type.capitalize(), fusedActivationFunction=activation_code(activation))
        return self.op(
            type,
            [a, b],
            [np.broadcast_shapes(self.shape(a), self.shape(b))],
            options,
            quantization=self.quantization(low * stretch, high * stretch),
            magnitude=size * SHARES[activation],
        )[0]
