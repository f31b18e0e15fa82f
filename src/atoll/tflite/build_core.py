"""A graph that is being written: its tensors, their quantisation, its seeded constants."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from atoll.tflite.graph import Model, Operator, Quantization, Subgraph, Tensor
from atoll.tflite.schema import schema
from atoll.tflite.types import BY_NAME
from atoll.tflite.versions import usual_version

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Style = Literal["uint8", "int8"]


class GraphState:
    """Tensors and operators in the order in which they were added.

    Args:
        style: "uint8": unsigned, one scale a tensor, as TensorFlow 1 trained and converted them;
            "int8": signed, weights with a scale a channel, as TensorFlow 2 converts them.
        seed: Of all random constants: the same calls give the same bytes.

    Attributes:
        type: The type of quantised tensors, "UINT8" or "INT8".
        tensors: So far.
        operators: So far, in execution order.
        inputs: Indices of the graph's inputs.
        rng: The source of all random constants.
    """

    def __init__(self, style: Style = "int8", seed: int = 0) -> None:
        self.style = style
        self.type = style.upper()
        self.tensors: list[Tensor] = []
        self.operators: list[Operator] = []
        self.inputs: list[int] = []
        self.rng = np.random.default_rng(seed)
        self._magnitude: dict[int, float] = {}

    def shape(self, index: int) -> tuple[int, ...]:
        """A tensor's shape."""
        return self.tensors[index].shape

    def plane(self, index: int) -> tuple[int, int]:
        """An image's height and width."""
        _, height, width, *_ = self.shape(index)
        return height, width

    def quantization(self, low: float, high: float) -> Quantization:
        """The quantisation that spans a range of real numbers, 0 exactly among them.

        Args:
            low: The smallest real number, at most 0.
            high: The largest, above `low`.
        """
        limits = np.iinfo(BY_NAME[self.type].dtype or np.int8)
        scale = (high - low) / (int(limits.max) - int(limits.min))
        zero = int(np.clip(round(int(limits.min) - low / scale), limits.min, limits.max))
        return Quantization(np.array([scale], np.float32), np.array([zero], np.int64))

    def input(
        self,
        shape: Iterable[int],
        type: str | None = None,
        low: float = -1.0,
        high: float = 1.0,
        name: str = "input",
    ) -> int:
        """Adds an input of the graph.

        Args:
            shape: With the batch.
            type: "UINT8", "INT8" or "FLOAT32"; None for the builder's own.
            low: The smallest real number that it takes.
            high: The largest.
            name: Its name.

        Returns:
            Its index.
        """
        kind = type or self.type
        quantization = self.quantization(low, high) if kind in ("UINT8", "INT8") else None
        if quantization is not None and kind != self.type:
            quantization.zero_point += 128 if kind == "UINT8" else -128
        index = self.add_tensor(Tensor(name, kind, tuple(shape), quantization=quantization))
        self._magnitude[index] = (high - low) / 12**0.5
        self.inputs.append(index)
        return index

    def constant(
        self, values: Any, quantization: Quantization | None = None, name: str = ""
    ) -> int:
        """Adds a constant of the type that the values have; whole numbers become int32."""
        data = np.asarray(values)
        if data.dtype == np.int64:
            data = data.astype(np.int32)
        kind = next(row.name for row in BY_NAME.values() if row.dtype == data.dtype)
        return self.add_tensor(
            Tensor(
                name or f"constant_{len(self.tensors)}", kind, data.shape, None, quantization, data
            )
        )

    def random_constant(
        self, shape: Iterable[int], low: float = -1.0, high: float = 1.0, name: str = ""
    ) -> int:
        """Adds a quantised constant, evenly spread over a range of real numbers."""
        dtype = BY_NAME[self.type].dtype
        limits = np.iinfo(dtype or np.int8)
        data = self.rng.integers(limits.min, limits.max, tuple(shape), dtype, endpoint=True)
        index = self.constant(data, self.quantization(low, high), name)
        self._magnitude[index] = ((low * low + low * high + high * high) / 3) ** 0.5
        return index

    def add_tensor(self, tensor: Tensor) -> int:
        """Adds a tensor as it is; returns its index."""
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def op(
        self,
        type: str,
        inputs: Sequence[int],
        shapes: Sequence[Iterable[int]],
        options: Any = None,
        *,
        quantization: Quantization | None = None,
        output_type: str | None = None,
        version: int | None = None,
        magnitude: float | None = None,
        custom_name: str = "",
        custom_options: bytes = b"",
    ) -> list[int]:
        """Adds an operator of any kind.

        Args:
            type: TFLite's own name.
            inputs: Tensor indices, -1 for one that is left out.
            shapes: The shape of each output.
            options: The schema's options object, or None.
            quantization: The outputs'; None for that of the first computed input.
            output_type: The outputs' type; None for the first computed input's.
            version: The operator's version; None for the one the converter writes.
            magnitude: How large the outputs' real numbers are (root mean square); None for as
                large as those of the first computed input. Scales of weights follow it.
            custom_name: A custom operator's name.
            custom_options: A custom operator's payload.

        Returns:
            The outputs' indices.
        """
        used = [i for i in inputs if i >= 0]
        source = next((i for i in used if not self.tensors[i].is_constant), used[0])
        like = self.tensors[source]
        kind = output_type or like.type
        if quantization is None and kind == like.type:
            quantization = like.quantization
        name = f"{(custom_name or type).lower()}_{len(self.operators)}"
        outputs = []
        for number, shape in enumerate(shapes):
            label = name if number == 0 else f"{name}_{number}"
            index = self.add_tensor(Tensor(label, kind, tuple(shape), quantization=quantization))
            self._magnitude[index] = self.magnitude(source) if magnitude is None else magnitude
            outputs.append(index)
        if version is None:
            version = usual_version(type, like.type)
        self.operators.append(
            Operator(type, list(inputs), outputs, version, options, custom_name, custom_options)
        )
        return outputs

    def magnitude(self, index: int) -> float:
        """About the root mean square of a tensor's real numbers."""
        return self._magnitude.get(index, 1.0)

    def model(self, outputs: int | Sequence[int], description: str = "") -> Model:
        """The model with these outputs."""
        chosen = [outputs] if isinstance(outputs, int) else list(outputs)
        graph = Subgraph("main", self.tensors, self.operators, self.inputs, chosen)
        return Model([graph], description=description)


def option(name: str, **fields: Any) -> Any:
    """A schema options object: `option("Conv2D", strideW=2)` is a Conv2DOptionsT.

    Args:
        name: The class's name without "OptionsT".
        **fields: Its fields, as the schema names them; those left out have the schema's defaults.
    """
    return getattr(schema(), f"{name}OptionsT")(**fields)
