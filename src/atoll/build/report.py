"""What is told of a build: the document behind report.json and report.html."""

from __future__ import annotations

import shlex
from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from atoll.version import __version__

if TYPE_CHECKING:
    from pathlib import Path

    from atoll.build.measure import Measured
    from atoll.build.network import Network
    from atoll.build.settings import BuildSettings
    from atoll.compiler.result import Compiled
    from atoll.data.dataset import Dataset
    from atoll.train.training import Trained

_MOST_MISTAKES = 24


@dataclass
class Outcome:
    """What the parts of a build came to.

    Attributes:
        settings: The knobs.
        data: The photos.
        network: The network, as it was before training.
        trained: The same, trained.
        calibrated: How many photos the quantisation saw.
        compiled: What maps to the Edge TPU.
        measured: How good the three forms of the model are.
        seconds: How long each part took.
    """

    settings: BuildSettings
    data: Dataset
    network: Network
    trained: Trained
    calibrated: int
    compiled: Compiled
    measured: Measured
    seconds: dict[str, float]


def document_of(outcome: Outcome, run: Path) -> dict[str, Any]:
    """Everything that was done and found, as plain data; `run` is where it lies."""
    network, measured = outcome.network, outcome.measured
    return {
        "atoll": __version__,
        "dataset": _dataset(outcome.data),
        "model": {
            "backbone": network.row.name,
            "alpha": network.alpha,
            "width": network.preprocessing.width,
            "height": network.preprocessing.height,
            "weights": network.origin,
            "parameters": int(outcome.trained.model.count_params()),
            "edgetpu": network.row.edgetpu,
        },
        "preprocessing": network.preprocessing.to_json(),
        "settings": outcome.settings.flat(),
        "training": {
            "passes": [
                {
                    "name": name,
                    "epochs": len(fitted.epochs),
                    "best_epoch": fitted.best + 1,
                    "seconds": round(fitted.seconds, 2),
                }
                for name, fitted in outcome.trained.passes.items()
            ],
            "epochs": [
                asdict(e) for fitted in outcome.trained.passes.values() for e in fitted.epochs
            ],
        },
        "quantization": {
            "calibration_photos": outcome.calibrated,
            "input": measured.faces["input"],
            "output": measured.faces["output"],
        },
        "compile": _compile(outcome.compiled),
        "evaluation": {
            "split": "test",
            "origin": outcome.data.note,
            "models": measured.models,
            "quantization_cost": measured.quantization_cost,
            "simulator_cost": measured.simulator_cost,
        },
        "mistakes": _mistakes(outcome.data, measured),
        "files": [],
        "next": _next(run),
        "seconds": outcome.seconds,
    }


def pictures_of(document: dict[str, Any], data: Dataset) -> dict[str, np.ndarray]:
    """The photos that the document's mistakes speak of, uint8 (height, width, 3), by their key."""
    place = {photo.path: i for i, photo in enumerate(data.photos)}
    return {m["picture"]: data.pixels[place[m["path"]]] for m in document["mistakes"]}


def _dataset(data: Dataset) -> dict[str, Any]:
    counts = Counter((photo.label, photo.split) for photo in data.photos)
    splits = ("train", "val", "test")
    return {
        "path": data.root.name,
        "source": data.source,
        "classes": data.classes,
        "photos": {split: len(data.indices(split)) for split in splits},
        "per_class": {
            label: {split: counts[label, split] for split in splits} for label in data.classes
        },
        "skipped": [asdict(entry) for entry in data.skipped],
        "warnings": data.warnings,
        "note": data.note,
        "fingerprint": data.fingerprint,
    }


def _compile(compiled: Compiled) -> dict[str, Any]:
    return {
        "backend": compiled.backend,
        "ops_total": compiled.ops_total,
        "ops_tpu": compiled.ops_tpu,
        "ops_cpu": compiled.ops_cpu,
        "subgraphs": compiled.subgraphs,
        "latency_ms": {link: round(each.ms, 3) for link, each in compiled.latency.items()},
        "ops": [asdict(verdict) for verdict in compiled.verdicts],
    }


def _mistakes(data: Dataset, measured: Measured) -> list[dict[str, Any]]:
    """The photos that the 8-bit model is most sure of and wrong about."""
    predicted = measured.scores.argmax(axis=1)
    sure = measured.scores.max(axis=1)
    wrong = np.flatnonzero(predicted != data.labels[measured.photos])
    worst = wrong[np.argsort(-sure[wrong], kind="stable")][:_MOST_MISTAKES]
    mistakes = []
    for i in worst:
        photo = data.photos[measured.photos[i]]
        mistakes.append(
            {
                "path": photo.path,
                "label": photo.label,
                "predicted": data.classes[predicted[i]],
                "score": round(float(sure[i]), 4),
                "picture": photo.path,
            }
        )
    return mistakes


def _next(run: Path) -> list[dict[str, str]]:
    folder, board = shlex.quote(str(run)), shlex.quote(str(run / "tensorboard"))
    return [
        {"command": f"atoll classify {folder} PHOTO...", "what": "name what is on other photos"},
        {"command": f"tensorboard --logdir {board}", "what": "look at the training"},
    ]
