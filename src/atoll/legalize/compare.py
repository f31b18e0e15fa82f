"""A model before and after, on whole inputs: how far the outputs moved."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from atoll.errors import ModelError, UsageError
from atoll.legalize.verify import covering
from atoll.runtime.litert import KERNELS, LITERT_ERRORS, open_litert
from atoll.runtime.soundness import check_sound
from atoll.tflite.types import BY_NAME
from atoll.tflite.writer import write_model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from atoll.tflite.graph import Model, Tensor

# Inputs that are drawn where no samples are given.
_DRAWN = 8
# LiteRT's own kernels first: XNNPACK's, chosen by what the graph looks like, round otherwise.
_KERNELS = tuple(reversed(KERNELS))


@dataclass(frozen=True)
class Comparison:
    """How far a model's outputs moved.

    Attributes:
        samples: How many inputs both forms were run on.
        drawn: Whether the inputs were drawn at random, for want of samples.
        mean: The mean absolute difference, in steps of the outputs' quantisation; in real numbers
            where an output has none.
        max: The largest absolute difference, in the same unit.
        in_steps: Whether the unit is a quantisation step.
        top1: The share of inputs for which the largest number of the first output stands in the
            same place; None where that output is no vector.
        failure: Why there is no comparison; empty where there is one.
    """

    samples: int = 0
    drawn: bool = False
    mean: float = 0.0
    max: float = 0.0
    in_steps: bool = True
    top1: float | None = None
    failure: str = ""


def compare(
    before: Model, after: Model, samples: Sequence[Sequence[np.ndarray]] | None, seed: int
) -> Comparison:
    """Runs a model before and after.

    Args:
        before: The model as it was.
        after: The same model, changed, with inputs and outputs of the same types.
        samples: Inputs of `before`, an array an input; None for random ones.
        seed: Of the random ones.

    Returns:
        The comparison; where LiteRT cannot run one of them, why.

    Raises:
        UsageError: The samples do not fit the model.
    """
    inputs = [before.main.tensors[t] for t in before.main.inputs]
    drawn = samples is None
    chosen = _drawn(inputs, seed) if samples is None else [_fitting(s, inputs) for s in samples]
    try:
        old, new = _Runner(before), _Runner(after)
        pairs = [(old(arrays), new(arrays)) for arrays in chosen]
    except (ModelError, *LITERT_ERRORS) as error:
        return Comparison(failure=" ".join(str(error).split()))
    return _summed(pairs, _steps(before), drawn)


class _Runner:
    """A model that takes numbers as they are in the file, and gives real ones."""

    def __init__(self, model: Model) -> None:
        check_sound(model, "model")
        self._litert: Any = open_litert(write_model(model), "model", kernels=_KERNELS).litert
        self._outputs = [model.main.tensors[t] for t in model.main.outputs]

    def __call__(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        for detail, array in zip(self._litert.get_input_details(), arrays, strict=True):
            self._litert.set_tensor(detail["index"], array)
        self._litert.invoke()
        return [
            _real(self._litert.get_tensor(detail["index"]), tensor)
            for detail, tensor in zip(self._litert.get_output_details(), self._outputs, strict=True)
        ]


def _real(array: np.ndarray, tensor: Tensor) -> np.ndarray:
    held = tensor.quantization
    if held is None or array.dtype.kind == "f":
        return array.astype(np.float64)
    return (array.astype(np.float64) - float(held.zero_point.flat[0])) * float(held.scale.flat[0])


def _steps(model: Model) -> list[float]:
    """The quantisation step of each output, found before a DEQUANTIZE too; 0 where none is."""
    graph = model.main
    producers = graph.producers()
    steps = []
    for index in graph.outputs:
        number = producers.get(index, -1)
        if number >= 0 and graph.operators[number].type == "DEQUANTIZE":
            index = graph.operators[number].inputs[0]
        held = graph.tensors[index].quantization
        steps.append(0.0 if held is None else float(held.scale.flat[0]))
    return steps


def _summed(
    pairs: list[tuple[list[np.ndarray], list[np.ndarray]]], steps: list[float], drawn: bool
) -> Comparison:
    in_steps = all(step > 0 for step in steps)
    total, count, largest, agreed = 0.0, 0, 0.0, 0
    vector = bool(pairs) and bool(pairs[0][0]) and _is_vector(pairs[0][0][0].shape)
    for old, new in pairs:
        for one, other, step in zip(old, new, steps, strict=True):
            if one.size != other.size:
                return Comparison(failure="An output changed its size.")
            apart = np.abs(one.ravel() - other.ravel()) / (step if in_steps else 1.0)
            if not np.isfinite(apart).all():
                return Comparison(failure="An output holds what is no finite number.")
            total, count = total + float(apart.sum()), count + apart.size
            largest = max(largest, float(apart.max(initial=0.0)))
        agreed += vector and int(old[0].argmax()) == int(new[0].argmax())
    return Comparison(
        samples=len(pairs),
        drawn=drawn,
        mean=total / max(count, 1),
        max=largest,
        in_steps=in_steps,
        top1=agreed / len(pairs) if vector else None,
    )


def _is_vector(shape: tuple[int, ...]) -> bool:
    return bool(shape) and shape[-1] > 1 and math.prod(shape[:-1]) == 1


def _drawn(inputs: list[Tensor], seed: int) -> list[list[np.ndarray]]:
    rng = np.random.default_rng(seed)
    return [[covering(tensor, rng, run) for tensor in inputs] for run in range(_DRAWN)]


def _fitting(sample: Sequence[np.ndarray], inputs: list[Tensor]) -> list[np.ndarray]:
    if len(sample) != len(inputs):
        raise UsageError(
            "samples",
            f"the model takes {len(inputs)} input(s)",
            received=len(sample),
            fix="Give an array for each",
        )
    for array, tensor in zip(sample, inputs, strict=True):
        if array.shape != tensor.shape or array.dtype != BY_NAME[tensor.type].dtype:
            raise UsageError(
                "samples",
                f"input {tensor.name!r} takes {tensor.type} of shape {list(tensor.shape)}",
                received=f"{array.dtype} of shape {list(array.shape)}",
                fix="Give what the model itself takes",
            )
    return list(sample)
