"""What the two commands that learn have in common: options, and what they print."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from atoll.cli.console import print_json, short_name
from atoll.errors import UsageError

if TYPE_CHECKING:
    from atoll.learn.learned import Accuracy, Learned

_MOST_CLASSES = 12

Source = Annotated[
    Path,
    typer.Argument(
        metavar="X.tflite",
        show_default=False,
        help="A classifier or an embedding extractor, plain or compiled.",
    ),
]
Photos = Annotated[
    Path | None,
    typer.Argument(
        metavar="DATASET",
        show_default=False,
        help="A folder with a folder of photos for each class (train/, val/ and test/ above them "
        "are kept; test/ is only measured with), or an AutoML CSV.",
    ),
]
Dataset = Annotated[
    Path | None,
    typer.Option(metavar="DATASET", show_default=False, help="The same as DATASET."),
]
Output = Annotated[
    Path,
    typer.Option(
        "--output",
        "-o",
        metavar="Y.tflite",
        show_default=False,
        help="Where the new model goes; labels.txt goes beside it, or Y_labels.txt where that is "
        "another model's.",
    ),
]
Embedding = Annotated[
    str | None,
    typer.Option(
        metavar="TENSOR",
        show_default="what the last dense layer looks at",
        help="The tensor that is learned from.",
    ),
]
Device = Annotated[
    str,
    typer.Option(
        metavar="DEVICE",
        help="Where photos are embedded: cpu, sim, edgetpu, usb:N, pci:N, openvino:CPU, auto.",
    ),
]


def chosen(photos: Path | None, dataset: Path | None) -> Path:
    """The data set, which may be named in two ways.

    Args:
        photos: As a word.
        dataset: Behind --dataset.

    Raises:
        UsageError: It is named twice, or not at all.
    """
    given = [path for path in (photos, dataset) if path is not None]
    if len(given) != 1:
        raise UsageError(
            "DATASET",
            "the photos to learn from are a folder with a folder for each class",
            received=" and ".join(map(str, given)) or "none",
            fix="Name one behind the model",
        )
    return given[0]


def show(learned: Learned, verb: str, *, as_json: bool) -> None:
    """Prints what was learned.

    Args:
        learned: What came of it.
        verb: What was done with the classes: the first word.
        as_json: Whether one JSON document is wanted.
    """
    if as_json:
        print_json(_document(learned))
    else:
        typer.echo("\n".join(_lines(learned, verb)))


def _lines(learned: Learned, verb: str) -> list[str]:
    place, saved = learned.place, learned.saved
    count = sum(learned.photos.values())
    lines = [
        f"{verb} {_plural(len(learned.photos), 'class', 'classes')} from "
        f"{_plural(count, 'photo', 'photos')}: {_classes(learned.photos)}.",
        f"Embedding: {place.size} numbers, {short_name(place.name)}.",
    ]
    if len(learned.labels) > len(learned.photos):
        lines.append(f"Classes in all: {len(learned.labels)}.")
    if learned.skipped:
        first = learned.skipped[0]
        lines.append(f"{len(learned.skipped)} files skipped; {first.path}: {first.reason}.")
    if learned.regression is not None:
        layer = learned.regression
        lines.append(f"On these, loss {layer.loss:.4f} and top-1 {100 * layer.top1:.2f} %.")
    if learned.held_out is not None:
        lines.append(f"Top-1 on photos it has not seen: {_share(learned.held_out)}.")
    if learned.left_out is not None:
        lines.append(f"Top-1 on each photo, learned from all others: {_share(learned.left_out)}.")
    lines += [_mapped(learned), "", f"Model:  {saved.model}", f"Labels: {saved.labels}"]
    if saved.twin is not None:
        lines.append(f"Twin:   {saved.twin} (what the simulator runs in its place)")
    return [*lines, f"Try it: atoll classify {shlex.quote(str(saved.model))} PHOTO..."]


def _classes(photos: dict[str, int]) -> str:
    shown = [f"{name} ({count})" for name, count in list(photos.items())[:_MOST_CLASSES]]
    more = len(photos) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _plural(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def _share(accuracy: Accuracy) -> str:
    return f"{100 * accuracy.top1:.2f} % ({accuracy.right} of {accuracy.images})"


def _mapped(learned: Learned) -> str:
    total, on_tpu = _operators(learned)
    if learned.base.compiled:
        behind = total - on_tpu
        return f"{_plural(behind, 'operator', 'operators')} on the CPU, around the compiled part."
    return f"Maps to the Edge TPU: {on_tpu} of {total} operators (by Atoll's rules)."


def _operators(learned: Learned) -> tuple[int, int]:
    """How many operators the model has, and how many of them run on the Edge TPU."""
    from atoll.edgetpu.partition import partition
    from atoll.edgetpu.simfile import EDGETPU_OP
    from atoll.edgetpu.verdict import count_mapped

    graph = learned.model.main
    if learned.base.compiled:
        compiled = sum(op.custom_name == EDGETPU_OP for op in graph.operators)
        return len(graph.operators), compiled
    return len(graph.operators), count_mapped(partition(graph))


def _document(learned: Learned) -> dict[str, Any]:
    total, on_tpu = _operators(learned)
    saved, layer = learned.saved, learned.regression
    document: dict[str, Any] = {
        "input": str(learned.base.path),
        "output": str(saved.model),
        "labels": str(saved.labels),
        "twin": None if saved.twin is None else str(saved.twin),
        "device": learned.device,
        "embedding": {"tensor": learned.place.name, "size": learned.place.size},
        "classes": [
            {"label": label, "photos": learned.photos.get(label, 0)} for label in learned.labels
        ],
        "photos": sum(learned.photos.values()),
        "skipped": [{"path": each.path, "reason": each.reason} for each in learned.skipped],
        "held_out": _accuracy(learned.held_out),
        "leave_one_out": _accuracy(learned.left_out),
        "ops_total": total,
        "ops_tpu": on_tpu,
        "ops_cpu": total - on_tpu,
    }
    if layer is not None:
        document["training"] = {"loss": round(layer.loss, 6), "top1": round(layer.top1, 6)}
    return document


def _accuracy(accuracy: Accuracy | None) -> dict[str, Any] | None:
    if accuracy is None:
        return None
    return {
        "top1": round(accuracy.top1, 6),
        "right": accuracy.right,
        "images": accuracy.images,
    }
