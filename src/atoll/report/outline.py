"""What the report's page shows: the sections there is something to say in, and what they say."""

from __future__ import annotations

from collections import Counter
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from atoll.report import accuracy
from atoll.report.formats import split_name
from atoll.report.pictures import data_uri
from atoll.report.plots import MEASURES, curves, interval_axis

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    from atoll.report.plots import Axis

MOST_PICTURES = 24
INTERVAL_WIDTH = 240

SECTIONS = (
    ("cost", "What quantisation cost"),
    ("warnings", "Warnings"),
    ("training", "Training"),
    ("confusion", "Confusion"),
    ("classes", "Classes"),
    ("mistakes", "Mistakes"),
    ("data", "Data"),
    ("model", "Model"),
    ("operators", "Operators"),
    ("files", "Files"),
    ("next", "Next"),
)
"""(name, heading) in the page's order. A section's template has its name."""


def outline(document: Mapping[str, Any], pictures: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """What the templates work with.

    Args:
        document: The report's plain data. A part that is missing or None leaves its section out.
        pictures: uint8 (height, width, 3) photos, by the key that a mistake names.

    Returns:
        The templates' variables: each part of the document under its own name, and what is
        worked out from it.
    """
    settings = document.get("settings")
    document = _known(document)
    parts = {name: document.get(name) or {} for name in ("dataset", "model", "preprocessing")}
    evaluation, compiled = document.get("evaluation") or {}, document.get("compile") or {}
    training = document.get("training") or {}
    models = accuracy.results(evaluation)
    shown = accuracy.chosen(models)
    per_class = (shown.row.get("per_class") or []) if shown else []
    has_matrix = shown is not None and bool(shown.row.get("confusion")) and bool(per_class)
    plots = _plots(training)
    mistakes = (document.get("mistakes") or [])[:MOST_PICTURES]
    content = {
        "cost": accuracy.costs(evaluation),
        "warnings": parts["dataset"].get("warnings"),
        "training": plots,
        "confusion": has_matrix,
        "classes": per_class,
        "mistakes": mistakes,
        "data": parts["dataset"],
        "model": parts["model"],
        "operators": compiled.get("ops"),
        "files": document.get("files"),
        "next": document.get("next"),
    }
    return parts | {
        "version": document.get("atoll"),
        "title": PurePath(str(parts["dataset"].get("path") or "")).name or "Data set",
        "sections": [(name, heading) for name, heading in SECTIONS if content[name]],
        "models": models,
        "shown": shown,
        "split": split_name(evaluation.get("split") or "test"),
        "intervals": _interval_axis(models),
        "costs": content["cost"],
        "training": training,
        "plots": plots,
        "matrix": accuracy.matrix(shown) if shown and has_matrix else [],
        "pairs": accuracy.pairs(shown) if shown and has_matrix else [],
        "per_class": per_class,
        "weakest": accuracy.weakest(per_class),
        "mistakes": [_with_picture(mistake, pictures) for mistake in mistakes],
        "counts": _counts(parts["dataset"]),
        "reasons": _reasons(parts["dataset"]),
        "quantization": document.get("quantization") or {},
        "settings": settings or {},
        "seconds": document.get("seconds") or {},
        "compiled": compiled,
        "files": document.get("files") or [],
        "next": document.get("next") or [],
    }


def _known(node: Any) -> Any:
    """The document without the fields that are None: for the templates they are not there."""
    if isinstance(node, dict):
        return {key: _known(value) for key, value in node.items() if value is not None}
    if isinstance(node, list) and node and isinstance(node[0], dict):
        return [_known(value) for value in node]
    return node


def _counts(dataset: Mapping[str, Any]) -> dict[str, Any]:
    """Photos a class and split, each row with its sum at the end."""
    photos, per_class = dataset.get("photos") or {}, dataset.get("per_class") or {}
    splits = list(photos)
    return {
        "splits": splits,
        "photos": _with_sum(photos, splits) if photos else [],
        "classes": [(label, _with_sum(row or {}, splits)) for label, row in per_class.items()],
    }


def _with_sum(row: Mapping[str, int], splits: list[str]) -> list[int | None]:
    counts = [row.get(split) for split in splits]
    return [*counts, sum(count or 0 for count in counts)]


def _plots(training: Mapping[str, Any]) -> list[Any]:
    epochs = training.get("epochs") or []
    kept = {(row.get("name"), row.get("best_epoch")) for row in training.get("passes") or []}
    return [plot for measure in MEASURES if (plot := curves(measure, epochs, kept))]


def _interval_axis(models: list[accuracy.Result]) -> Axis | None:
    intervals = [model.interval for model in models if model.images]
    return interval_axis(intervals, INTERVAL_WIDTH) if intervals else None


def _with_picture(mistake: Mapping[str, Any], pictures: Mapping[str, np.ndarray]) -> dict[str, Any]:
    pixels = pictures.get(mistake.get("picture") or "")
    return dict(mistake) | {
        "uri": None if pixels is None else data_uri(pixels),
        "small": pixels is not None and max(pixels.shape[:2]) <= 64,
    }


def _reasons(dataset: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Why files were skipped, and how many for each reason; the most common first."""
    counts = Counter(str(row.get("reason")) for row in dataset.get("skipped") or [])
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))
