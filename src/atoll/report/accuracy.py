"""The report's accuracy sections: what the document's evaluation says, ready to be laid out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from atoll.evaluate.metrics import wilson
from atoll.report.formats import milliseconds, sentence

MATRIX_CLASSES = 30
"""Up to so many classes a confusion matrix can be read; above, its largest entries can."""

_PAIRS = 20
_WEAKEST = 10
_LEVELS = 10
_UNLIKELY = 0.05

# As a heading, and inside a sentence.
_KINDS = {
    "float": ("Float", "the float model"),
    "int8": ("int8", "the int8 model"),
    "sim": ("Edge TPU simulator", "the simulated Edge TPU"),
}
_MEASURED = "measured on this machine's CPU"
_TIMES = {
    "tensorflow": _MEASURED,
    "cpu": _MEASURED,
    "sim": "the simulator's own time, not an Edge TPU's",
}
_COSTS = (("quantization_cost", "float", "int8"), ("simulator_cost", "int8", "sim"))


@dataclass(frozen=True)
class Result:
    """One model's accuracy.

    Attributes:
        kind: "float", "int8" or "sim".
        name: The kind, as a heading.
        phrase: The kind, inside a sentence.
        file: The model's file.
        top1: The share of photos that are right, from 0 to 1; None without photos.
        top5: The same for the first five guesses; None where that means nothing.
        images: How many photos; 0 where top1 is None.
        correct: How many are right.
        interval: The 95 % interval of top1.
        time: How long a photo took, and what that was measured on; "" where it was not.
        row: The document's own row.
    """

    kind: str
    name: str
    phrase: str
    file: str
    top1: float | None
    top5: float | None
    images: int
    correct: int
    interval: tuple[float, float]
    time: str
    row: dict[str, Any]


def results(evaluation: dict[str, Any]) -> list[Result]:
    """The models of the document, in its order."""
    return [_result(row) for row in evaluation.get("models") or []]


def _result(row: dict[str, Any]) -> Result:
    kind, top1 = str(row.get("kind")), row.get("top1")
    images = 0 if top1 is None else row.get("images") or 0
    correct = round((top1 or 0) * images)
    name, phrase = _KINDS.get(kind, (kind, f"the {kind} model"))
    ms, device = row.get("mean_ms"), str(row.get("device"))
    return Result(
        kind=kind,
        name=name,
        phrase=phrase,
        file=str(row.get("model")),
        top1=top1,
        top5=row.get("top5"),
        images=images,
        correct=correct,
        interval=wilson(correct, images),
        time=""
        if ms is None
        else f"{milliseconds(ms)} a photo, {_TIMES.get(device, f'measured on {device}')}",
        row=row,
    )


def chosen(models: list[Result]) -> Result | None:
    """The model that the report is about: the 8-bit one where there is one."""
    return next((model for model in models if model.kind == "int8"), models[0] if models else None)


@dataclass(frozen=True)
class Cost:
    """What one step on the way to the Edge TPU cost.

    Attributes:
        before: The model before the step, as a heading.
        after: The one after it.
        row: The document's figures.
        words: What they mean.
    """

    before: str
    after: str
    row: dict[str, Any]
    words: str


def costs(evaluation: dict[str, Any]) -> list[Cost]:
    """The steps that the document has figures of."""
    return [
        Cost(_KINDS[before][0], _KINDS[after][0], row, _cost_words(before, after, row))
        for key, before, after in _COSTS
        if (row := evaluation.get(key))
    ]


def _cost_words(before: str, after: str, row: dict[str, Any]) -> str:
    first, second = _KINDS[before][1], _KINDS[after][1]
    p = row.get("mcnemar_p")
    if row.get("same_prediction") == 1:
        return sentence(f"{first} and {second} give every photo the same class.")
    if row.get("only_first_right") == row.get("only_second_right"):
        return sentence(f"{first} and {second} are right equally often.")
    if p is None:
        return ""
    size = "more than chance explains" if p < _UNLIKELY else "small enough to be chance"
    return f"From {first} to {second}, the change is {size}."


@dataclass(frozen=True)
class Cell:
    """One entry of a confusion matrix.

    Attributes:
        count: Photos.
        level: How dark it is drawn, 0 to 10: its share of the row.
        hit: Whether it is on the diagonal.
        title: The same in words.
    """

    count: int
    level: int
    hit: bool
    title: str


def matrix(model: Result) -> list[tuple[str, list[Cell]]]:
    """The confusion matrix, a (label, cells) a row; empty where it is too large to be read."""
    labels, confusion = _confusion(model)
    if len(labels) > MATRIX_CLASSES:
        return []
    totals = confusion.sum(axis=1).tolist()
    return [
        (
            labels[i],
            [_cell(count, totals[i], labels[i], labels[j], i == j) for j, count in enumerate(row)],
        )
        for i, row in enumerate(confusion.tolist())
    ]


def _cell(count: int, total: int, true: str, predicted: str, hit: bool) -> Cell:
    level = max(1, round(_LEVELS * count / total)) if count else 0
    return Cell(count, level, hit, f"{count} of {total} {true} predicted as {predicted}")


@dataclass(frozen=True)
class Pair:
    """A class taken for another: how many photos, and what share of the true class."""

    true: str
    predicted: str
    count: int
    share: float


def pairs(model: Result) -> list[Pair]:
    """The classes that are most often taken for one another, most photos first."""
    labels, confusion = _confusion(model)
    totals = confusion.sum(axis=1)
    wrong = confusion - np.diag(confusion.diagonal())
    # The larger share first among equal counts; then in the order of the classes.
    share = wrong / np.maximum(totals, 1)[:, None]
    true, predicted = np.nonzero(wrong)
    order = np.lexsort((-share[true, predicted], -wrong[true, predicted]))[:_PAIRS]
    return [
        Pair(labels[i], labels[j], int(wrong[i, j]), float(share[i, j]))
        for i, j in zip(true[order], predicted[order], strict=True)
    ]


def _confusion(model: Result) -> tuple[list[str], np.ndarray]:
    labels = [str(row.get("label")) for row in model.row.get("per_class") or []]
    return labels, np.array(model.row.get("confusion") or [], np.int64).reshape(len(labels), -1)


def weakest(per_class: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows with the lowest F1, where there are too many rows to read them all."""
    if len(per_class) <= MATRIX_CLASSES:
        return []
    known = [row for row in per_class if row.get("f1") is not None]
    return sorted(known, key=lambda row: row["f1"])[:_WEAKEST]
