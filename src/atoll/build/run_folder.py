"""The RUN folder: what it is a run of, and what lies in it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from atoll.errors import AtollError, RunError
from atoll.files import make_folder, output_error, write_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Every file that a finished RUN holds, and what it is: the report's table.
FILES = {
    "report.html": "the report, one self-contained page",
    "report.json": "the same figures for programs",
    "model.keras": "the trained network, in float",
    "model_quant.tflite": "the 8-bit model: uint8 in and out, labels and preprocessing inside",
    "model_quant_edgetpu.tflite": "the compiled model, for the Edge TPU",
    "model_quant_sim.tflite": "the model as it is cut for the Edge TPU, for the simulator",
    "model_quant.log": "what happens to each operator, by Atoll's rules",
    "model_quant_edgetpu.log": "what Google's compiler said",
    "labels.txt": "the class names, in the order of the scores",
    "preprocessing.json": "how a photo becomes the model's input",
    "split.csv": "which photo is in which split",
    "skipped.csv": "which photos were left out, and why",
    "epochs.csv": "loss and accuracy of every epoch",
    "tensorboard": "the same for TensorBoard: tensorboard --logdir RUN/tensorboard",
    "run.json": "what this is a run of: data set and settings",
}


@dataclass(frozen=True)
class RunFolder:
    """A RUN folder that is known to belong to one data set and one choice of settings."""

    path: Path

    @property
    def finished(self) -> bool:
        """Whether the whole job was done: the report is written last."""
        return (self.path / "report.json").exists()

    def report(self) -> dict[str, Any]:
        """What report.json says."""
        return _read_json(self.path / "report.json")

    def files(self) -> list[dict[str, Any]]:
        """Name, size in bytes and meaning of each file that is there."""
        there = []
        for name, what in FILES.items():
            path = self.path / name
            if path.exists():
                inside = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
                size = sum(p.stat().st_size for p in inside)
                there.append({"name": name, "bytes": size, "what": what})
        return there


@contextlib.contextmanager
def open_run(path: Path, identity: dict[str, Any]) -> Iterator[RunFolder]:
    """Makes a RUN folder, or takes up one of the same data set and settings, for this process.

    Args:
        path: The folder.
        identity: What makes a run this run: plain data, compared key by key.

    Yields:
        The folder, locked until the block ends.

    Raises:
        RunError: It holds something else, or another process works in it.
        OutputError: It cannot be written to.
    """
    record = path / "run.json"
    fresh = not path.exists()
    if path.exists() and not path.is_dir():
        raise RunError(
            path, "RUN must be a folder", received="a file", fix="Choose another place with -o"
        )
    try:
        inside = [p for p in path.iterdir() if p.name != ".lock"] if path.exists() else []
    except OSError as error:
        raise output_error(path, error) from error
    if inside and not record.exists():
        raise RunError(
            path,
            "RUN must be new, empty, or an earlier run to go on with",
            received=f"a folder with other things in it, such as {min(p.name for p in inside)}",
            fix="Choose another place with -o",
        )
    if record.exists():
        _compare(path, _read_json(record), identity)
    make_folder(path)
    with _locked(path):
        if not record.exists():
            write_json(record, identity)
        try:
            yield RunFolder(path)
        except AtollError:
            # Where no epoch was trained there is nothing to go on with.
            if fresh and not (path / "epochs.csv").exists():
                shutil.rmtree(path, ignore_errors=True)
            raise


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with (path / ".lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise RunError(
                path,
                "one process at a time works in a RUN",
                received="another one that is at work",
                fix="Wait for it, or choose another place with -o",
            ) from error
        yield


def _compare(path: Path, before: dict[str, Any], now: dict[str, Any]) -> None:
    for key, value in now.items():
        if before.get(key) != value:
            raise RunError(
                path,
                f"RUN was made with {key} {before.get(key)}",
                received=f"{key} {value}",
                fix="Choose another place with -o, or remove that folder",
            )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise RunError(
            path, "it must be readable JSON", received=error, fix="Remove the RUN folder"
        ) from error
    if not isinstance(document, dict):
        raise RunError(
            path, "it must hold one object", received=type(document), fix="Remove the RUN folder"
        )
    return document
