"""What an imprinted model remembers, so that more photos can be added later."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from atoll.tflite.graph import Model

ENTRY = "atoll.imprinting"
"""The metadata entry: a line of JSON, then the sums, float64, one after another."""

_MOST_CLASSES = 100_000
# Sums of no real embeddings come near.
_LARGEST = 1e30

Kind = Literal["cosine", "dense"]


@dataclass(frozen=True)
class Record:
    """The sums of a model's imprinted classes.

    Attributes:
        kind: Which last layers it has: those of `cosine.py` or of `dense.py`.
        classes: The numbers of the classes that were imprinted.
        counts: How many embeddings each sum is of.
        sums: float64 (classes, size): sums of unit vectors for "cosine", of embeddings for
            "dense".
    """

    kind: Kind
    classes: list[int]
    counts: list[int]
    sums: np.ndarray


def write_record(record: Record) -> bytes:
    """A record as the entry's content."""
    head = {"kind": record.kind, "classes": record.classes, "counts": record.counts}
    return json.dumps(head).encode() + b"\n" + record.sums.astype("<f8").tobytes()


def read_record(model: Model, size: int) -> Record | None:
    """The record in a model.

    Args:
        model: The model.
        size: The size of its embedding.

    Returns:
        The record; None where there is none, or it makes no sense.
    """
    head, _, content = model.metadata.get(ENTRY, b"").partition(b"\n")
    try:
        document = json.loads(head)
        kind, classes, counts = document["kind"], document["classes"], document["counts"]
        numbers = [*map(int, classes)], [*map(int, counts)]
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None
    many = len(numbers[0])
    sound = (
        kind in ("cosine", "dense")
        and 0 < many == len(numbers[1]) <= _MOST_CLASSES
        and len(set(numbers[0])) == many
        and min(numbers[0]) >= 0
        and min(numbers[1]) > 0
        and len(content) >= many * size * 8
    )
    if not sound:
        return None
    # A buffer may be padded behind its content.
    sums = np.frombuffer(content, "<f8", many * size).reshape(many, size)
    return Record(kind, *numbers, sums) if (np.abs(sums) < _LARGEST).all() else None
