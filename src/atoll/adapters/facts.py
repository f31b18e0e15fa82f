"""What an adapter may know of a model before it has run: names, shapes, and what computes what."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from atoll.tflite.graph import Subgraph

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from atoll.runtime.interpreter import Interpreter, TensorInfo
    from atoll.tflite.graph import Operator

# Operators that change the form of values, not the values: what computes them is before these.
_PASSING = frozenset({"DEQUANTIZE", "QUANTIZE", "RESHAPE", "SQUEEZE", "CONCATENATION", "TRANSPOSE"})
# A chain of operators is followed no further back.
_LONGEST_CHAIN = 8
# No score, logit or coordinate that means anything is larger; products of two are still numbers.
_FAR = 1e9


@dataclass(frozen=True)
class Output:
    """One output of a model.

    Attributes:
        name: As in the file.
        shape: As the model declares it.
        low: The lowest real number that it can hold; minus infinity where that is unknown.
        high: The highest.
        whole: Whether it holds whole numbers that stand for themselves, as class numbers do.
    """

    name: str
    shape: tuple[int, ...]
    low: float = -np.inf
    high: float = np.inf
    whole: bool = False

    @property
    def size(self) -> int:
        """How many numbers it holds."""
        return int(np.prod(self.shape, dtype=np.int64))


@dataclass(frozen=True)
class Facts:
    """A model as an adapter sees it.

    Attributes:
        source: What to call it in a message.
        width: Of its image input, in pixels.
        height: As above.
        outputs: In the interpreter's order.
        graph: The main subgraph.
        labels: The class names that are known; empty where there are none.
        signature: The place in `outputs` of each name of the model's one signature.
        anchors: What the user gives in place of usual anchors: for SSD (n, 4) as y, x of the
            centre, height and width, from 0 to 1; for the heads of YOLO (9, 2) as width and height
            in pixels, those of the finest map first.
        asked: Whether the user has named the adapter: what shapes cannot tell is then known.
    """

    source: object
    width: int
    height: int
    outputs: tuple[Output, ...]
    graph: Subgraph = field(default_factory=lambda: Subgraph("main", [], [], [], []))
    labels: tuple[str, ...] = ()
    signature: Mapping[str, int] = field(default_factory=dict)
    anchors: np.ndarray | None = None
    asked: bool = False

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """The outputs' shapes."""
        return [output.shape for output in self.outputs]

    def places_of(self, custom_name: str) -> list[int] | None:
        """Where a custom operator's outputs come out of the model.

        Args:
            custom_name: The operator's name.

        Returns:
            For each of the operator's outputs, in the operator's own order, its place in
            `outputs`; None where there is no such operator, or not all of them come out.
        """
        op = self.operator(custom_name)
        if op is None or any(t not in self.graph.outputs for t in op.outputs):
            return None
        return [self.graph.outputs.index(t) for t in op.outputs]

    def maps(self) -> dict[int, list[int]]:
        """The outputs that are maps, [1, h, w, depth] with h and w above 1, by their depth."""
        found: dict[int, list[int]] = {}
        for place, shape in enumerate(self.shapes):
            if len(shape) == 4 and shape[0] == 1 and min(shape[1:3]) > 1:
                found.setdefault(shape[3], []).append(place)
        return found

    def operator(self, custom_name: str) -> Operator | None:
        """The last custom operator of this name; None where there is none."""
        named = (op for op in reversed(self.graph.operators) if op.custom_name == custom_name)
        return next(named, None)

    def computed_by(self, place: int) -> str:
        """The type of the operator that an output's values come from; empty where unknown."""
        if place >= len(self.graph.outputs):
            return ""
        producers, tensor = self.graph.producers(), self.graph.outputs[place]
        for _ in range(_LONGEST_CHAIN):
            if tensor not in producers:
                return ""
            op = self.graph.operators[producers[tensor]]
            if op.type not in _PASSING:
                return op.type
            tensor = next(self.graph.activations(op), -1)
        return ""

    def are_probabilities(self, place: int) -> bool | None:
        """Whether an output's numbers lie from 0 to 1 whatever the photo; None where unknown."""
        output = self.outputs[place]
        if self.computed_by(place) in ("LOGISTIC", "SOFTMAX"):
            return True
        if np.isfinite(output.low) and np.isfinite(output.high):
            return output.low >= 0.0 and output.high <= 1.01
        return None


def facts_of(
    interpreter: Interpreter,
    labels: Sequence[str] = (),
    anchors: np.ndarray | None = None,
) -> Facts:
    """What is known of a model that is open.

    Args:
        interpreter: A model with one image input.
        labels: Its class names.
        anchors: As in `Facts`.
    """
    model = interpreter.model
    _, height, width, _ = interpreter.inputs[0].shape
    signature: dict[str, int] = {}
    if len(model.signatures) == 1:
        for pair in model.signatures[0].outputs or ():
            if pair.tensorIndex in model.main.outputs:
                name = pair.name.decode() if isinstance(pair.name, bytes) else str(pair.name)
                signature[name] = model.main.outputs.index(pair.tensorIndex)
    return Facts(
        source=interpreter.name,
        width=width,
        height=height,
        outputs=tuple(_output(info) for info in interpreter.outputs),
        graph=model.main,
        labels=tuple(labels),
        signature=signature,
        anchors=anchors,
    )


def _output(info: TensorInfo) -> Output:
    if not info.is_quantized:
        return Output(info.name, info.shape, whole=info.dtype.kind in "iu")
    limits = np.iinfo(info.dtype)
    low, high = (info.scale * (limit - info.zero_point) for limit in (limits.min, limits.max))
    return Output(info.name, info.shape, low, high)


def real_numbers(info: TensorInfo, values: np.ndarray) -> np.ndarray:
    """An output's values as real numbers.

    Args:
        info: What is known of the output.
        values: As the model gave them.

    Returns:
        float32 of the same shape, within 1e9 to either side; what is no number is the lowest, which
        is no score. Whole numbers without a scale stay whole numbers, as class numbers are.
    """
    real = info.dequantize(values)
    if real.dtype.kind != "f":
        return real
    real = real.astype(np.float32, copy=False)
    # A damaged network may give anything.
    if real.size and not (real.min() >= -_FAR and real.max() <= _FAR):
        real = np.clip(np.nan_to_num(real, nan=-_FAR), -_FAR, _FAR)
    return real
