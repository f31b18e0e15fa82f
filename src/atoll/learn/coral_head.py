"""The last layers that weight imprinting gives a model, as Google's imprinting engine has them.

L2_NORMALIZATION, CONV_2D of 1 x 1, MUL by a factor, RESHAPE, SOFTMAX. The engine notes in the
model's description which classes were imprinted, and how long the sum of their embeddings is: a
line "class length" each. Source: google-coral/libcoral, coral/learn/imprinting_engine.cc.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from atoll.learn.layers import holds_numbers, real_numbers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from atoll.tflite.graph import Operator, Subgraph

TAIL = ("CONV_2D", "MUL", "RESHAPE", "SOFTMAX")
"""The last layers, behind the L2_NORMALIZATION."""

_LONGEST = 1e12
_EDGES = ("QUANTIZE", "DEQUANTIZE")


@dataclass(frozen=True)
class CoralHead:
    """The last layers of a model, by their places in its main graph.

    Attributes:
        normalization: The L2_NORMALIZATION.
        convolution: The CONV_2D, whose weights are one vector a class.
        multiplication: The MUL.
        reshape: The RESHAPE.
        softmax: The SOFTMAX.
    """

    normalization: int
    convolution: int
    multiplication: int
    reshape: int
    softmax: int


def coral_head(graph: Subgraph) -> CoralHead | None:
    """Finds these layers at the end of a graph.

    Args:
        graph: A main graph; a conversion of its output may stand behind them, and a QUANTIZE
            between the first two.

    Returns:
        Their places; None where the graph ends in other layers, or they do not follow each other.
    """
    kinds = [op.type for op in graph.operators]
    end = len(kinds) - 1 if kinds and kinds[-1] in _EDGES else len(kinds)
    first = end - len(TAIL)
    if first < 1 or tuple(kinds[first:end]) != TAIL:
        return None
    norm = first - 2 if kinds[first - 1] == "QUANTIZE" else first - 1
    if norm < 0 or kinds[norm] != "L2_NORMALIZATION":
        return None
    chain = graph.operators[norm:end]
    follow = all(a.outputs[:1] == b.inputs[:1] != [] for a, b in pairwise(chain))
    if not follow or not _fits(graph, chain):
        return None
    return CoralHead(norm, first, first + 1, first + 2, first + 3)


def class_weights(graph: Subgraph, head: CoralHead) -> np.ndarray:
    """The weights of the classes.

    Returns:
        float64 (classes, size).
    """
    kernel = graph.tensors[graph.operators[head.convolution].inputs[1]]
    return real_numbers(kernel).reshape(kernel.shape[0], -1)


def factor_of(graph: Subgraph, head: CoralHead) -> float:
    """The factor by which cosines are multiplied; 0.0 where it is not a constant."""
    op = graph.operators[head.multiplication]
    for place in range(len(op.inputs)):
        tensor = graph.input_of(op, place)
        if tensor is not None and holds_numbers(tensor):
            return float(real_numbers(tensor).flat[0])
    return 0.0


def read_lengths(description: str) -> dict[int, float]:
    """Which classes were imprinted, by a model's description, and how long their sums are.

    Args:
        description: The model's description.

    Returns:
        By class; empty where the description says something else.
    """
    words = description.replace("\n", " ").split()
    found: dict[int, float] = {}
    try:
        for number, length in zip(words[::2], words[1::2], strict=True):
            found.setdefault(int(number), float(length))
    except ValueError:
        return {}
    # Sums of unit vectors are as long as they are many, at most.
    sound = all(n >= 0 and 0 <= length < _LONGEST for n, length in found.items())
    return found if sound else {}


def write_lengths(lengths: Mapping[int, float]) -> str:
    """What `read_lengths` reads."""
    return "".join(f"{number} {length:f}\n" for number, length in sorted(lengths.items()))


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors of length 1 in the same directions; those of almost no length stay as they are.

    Args:
        vectors: (..., size).
    """
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 1e-5, lengths, 1.0))


def _fits(graph: Subgraph, chain: list[Operator]) -> bool:
    """Whether the layers' tensors are of the shapes that they must be, in a damaged file too."""
    convolution, softmax = chain[-len(TAIL)], chain[-1]
    kernel, bias = graph.input_of(convolution, 1), graph.input_of(convolution, 2)
    before, embedding = graph.input_of(chain[0], 0), graph.output_of(chain[0])
    scores = [graph.output_of(op) for op in chain[-len(TAIL) :]]
    if kernel is None or before is None or embedding is None or not holds_numbers(kernel):
        return False
    if bias is not None and not holds_numbers(bias):
        return False
    size = embedding.shape[-1:]
    if len(kernel.shape) != 4 or kernel.shape[1:] != (1, 1, *size) or before.shape[-1:] != size:
        return False
    ranks = [0 if tensor is None else len(tensor.shape) for tensor in scores]
    return len(softmax.outputs) == 1 and ranks[:2] == [4, 4] and min(ranks) > 0
