"""Whether a change keeps its promise: both forms are run in the interpreter, and compared."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from atoll.errors import ModelError
from atoll.legalize.piece import outside, piece
from atoll.runtime.litert import LITERT_ERRORS, open_litert
from atoll.runtime.soundness import check_sound
from atoll.tflite.types import BY_NAME
from atoll.tflite.writer import write_model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from atoll.legalize.draft import Change, Draft
    from atoll.legalize.rewrite import Exactness
    from atoll.tflite.graph import Model, Operator, Tensor

# LiteRT's own kernels: XNNPACK's round otherwise, and not the same way for all operators.
_KERNELS = ("BUILTIN_WITHOUT_DEFAULT_DELEGATES",)
# Runs of a piece: at least so many, and as many as it takes to see every 8-bit value in each
# input, but no more.
_FEWEST_RUNS, _MOST_RUNS = 2, 64
# Elements that a piece's tensors may have in all, so that a damaged file cannot ask for the
# memory of the machine.
_LARGEST_PIECE = 1 << 28
# How far back a piece is extended until it starts where the new operators start.
_EXTENSIONS = 16
# What a change of the kind "measured" may cost, in quantisation steps of its own outputs.
LARGEST_MEAN, LARGEST_MAX = 1.0, 16.0
_LIMITS: dict[Exactness, tuple[float, float]] = {
    "identical": (0.0, 0.0),
    "one step": (1.0, 1.0),
    "measured": (LARGEST_MEAN, LARGEST_MAX),
}


@dataclass(frozen=True)
class Error:
    """How far two forms are apart, in quantisation steps; real numbers where there are none.

    Attributes:
        mean: The mean absolute difference over all outputs and runs.
        max: The largest absolute difference.
    """

    mean: float
    max: float

    def keeps(self, promise: Exactness) -> bool:
        """Whether this is within what a row promises."""
        mean, largest = _LIMITS[promise]
        return self.mean <= mean and self.max <= largest


class Verifier:
    """Runs changes before they are made. The same change found twice is run once.

    Args:
        seed: Of the random inputs.
    """

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        self._known: dict[bytes, Error | str] = {}

    def measure(self, draft: Draft, change: Change) -> Error | str:
        """Compares the operators that go with those that come.

        Args:
            draft: The draft before the change.
            change: The change.

        Returns:
            How far apart they are; or in words why they cannot be compared.
        """
        pieces = self._pieces(draft, change)
        if isinstance(pieces, str):
            return pieces
        contents = [write_model(made) for made in pieces]
        key = hashlib.blake2b(b"".join(contents), digest_size=20).digest()
        if key not in self._known:
            try:
                self._known[key] = _compare(pieces, contents, self._seed)
            except (ModelError, *LITERT_ERRORS) as error:
                self._known[key] = " ".join(str(error).split())
        return self._known[key]

    def _pieces(self, draft: Draft, change: Change) -> tuple[Model, Model] | str:
        tensors = draft.graph.tensors
        removed, inputs = _region(draft, change)
        reads, computes = outside(tensors, change.operators)
        if not {*reads, *change.renamed.values()} - {*computes} <= {*inputs}:
            return "The new operators read what the old ones do not."
        wanted = [t for op in removed for t in op.outputs if _is_needed(draft, change, t)]
        instead = [change.renamed.get(t, t) for t in wanted]
        if not {*instead} <= {*computes, *inputs}:
            return "The new operators do not compute what others read."
        if not all(_alike(tensors[a], tensors[b]) for a, b in zip(wanted, instead, strict=True)):
            return "What others read would change its shape, type or quantisation."
        sizes = [math.prod(tensors[t].shape) for t in (*inputs, *wanted, *computes)]
        if sum(sizes) > _LARGEST_PIECE:
            return "The tensors are too large to be compared."
        return (
            piece(tensors, removed, inputs, wanted),
            piece(tensors, change.operators, inputs, instead),
        )


def _region(draft: Draft, change: Change) -> tuple[list[Operator], list[int]]:
    """The operators to compare with, extended back to where the new ones start; their inputs."""
    tensors = draft.graph.tensors
    numbers = {*change.removed}
    reads, computes = outside(tensors, change.operators)
    needed = {*reads, *(t for t in change.renamed.values() if t not in computes)}
    for _ in range(_EXTENSIONS):
        order = draft.in_order(numbers)
        operators = [draft.operators[n] for n in order]
        inputs, _computed = outside(tensors, operators)
        if needed <= {*inputs}:
            break
        before = {draft.producer(t) for t in inputs if t not in needed} - {-1}
        if not before:
            break
        numbers |= before
    return operators, inputs


def _is_needed(draft: Draft, change: Change, tensor: int) -> bool:
    """Whether something beside the operators that go reads a tensor."""
    readers = {*draft.readers(tensor)} - {*change.removed}
    return draft.producer(tensor) in change.removed and (bool(readers) or draft.is_output(tensor))


def _alike(one: Tensor, other: Tensor) -> bool:
    if one.type != other.type or one.shape != other.shape:
        return False
    if one.quantization is None or other.quantization is None:
        return one.quantization is other.quantization
    return np.array_equal(one.quantization.scale, other.quantization.scale) and np.array_equal(
        one.quantization.zero_point, other.quantization.zero_point
    )


def _compare(pieces: Sequence[Model], contents: Sequence[bytes], seed: int) -> Error:
    for made in pieces:
        check_sound(made, "piece")
    before, after = (open_litert(c, "piece", threads=1, kernels=_KERNELS).litert for c in contents)
    tensors = [pieces[0].main.tensors[t] for t in pieces[0].main.inputs]
    rng = np.random.default_rng(seed)
    total, count, largest = 0.0, 0, 0.0
    for run in range(_runs(tensors)):
        arrays = [covering(tensor, rng, run) for tensor in tensors]
        for old, new in zip(_call(before, arrays), _call(after, arrays), strict=True):
            apart = np.abs(old.astype(np.float64) - new.astype(np.float64))
            if not apart.size:
                continue
            total += float(apart.sum())
            count += apart.size
            largest = max(largest, float(apart.max()))
    return Error(total / max(count, 1), largest)


def _call(litert: object, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    for detail, array in zip(litert.get_input_details(), arrays, strict=True):  # type: ignore[attr-defined]
        litert.set_tensor(detail["index"], array)  # type: ignore[attr-defined]
    litert.invoke()  # type: ignore[attr-defined]
    return [litert.get_tensor(d["index"]) for d in litert.get_output_details()]  # type: ignore[attr-defined]


def _runs(tensors: Sequence[Tensor]) -> int:
    smallest = min((math.prod(t.shape) for t in tensors), default=256)
    return min(max(_FEWEST_RUNS, math.ceil(256 / max(smallest, 1))), _MOST_RUNS)


def covering(tensor: Tensor, rng: np.random.Generator, run: int) -> np.ndarray:
    """Numbers for an input that between them take every value of an 8-bit type.

    Args:
        tensor: The input.
        rng: The source of their order; other types are drawn from it.
        run: How many such arrays there were before.

    Returns:
        An array of the tensor's shape and type.
    """
    dtype = BY_NAME[tensor.type].dtype
    assert dtype is not None, "inputs of pieces have a type that numpy has"
    size = math.prod(tensor.shape)
    if dtype.kind == "f":
        return rng.normal(size=tensor.shape).astype(dtype)
    if dtype.itemsize > 1 or dtype.kind == "b":
        return rng.integers(0, 2, tensor.shape).astype(dtype)
    lowest = int(np.iinfo(dtype).min)
    values = (np.arange(size) + run * size) % 256 + lowest
    return rng.permutation(values).astype(dtype).reshape(tensor.shape)
