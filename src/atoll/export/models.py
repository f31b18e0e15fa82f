"""Which files of a run, or beside a model, an export is made of: plain, compiled, labels."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from atoll.data.labels import read_labels
from atoll.edgetpu.simfile import EDGETPU_OP, SIM_OP
from atoll.errors import ModelError
from atoll.tflite.metadata import read_label_file
from atoll.tflite.reader import parse_model, read_content

if TYPE_CHECKING:
    from pathlib import Path

    from atoll.tflite.graph import Model

_RUN_MODEL = "model_quant"
_COMPILED = "_edgetpu"
_SUFFIXES = re.compile(r"(_edgetpu|_quant|_ptq|_int8)+$")


@dataclass(frozen=True)
class ModelFile:
    """A model with the file that it was read from.

    Attributes:
        path: The file.
        content: What is in it.
        model: What was read.
    """

    path: Path
    content: bytes
    model: Model

    def has(self, custom_name: str) -> bool:
        """Whether there is a custom operator of this name."""
        return any(op.custom_name == custom_name for op in self.model.main.operators)


@dataclass(frozen=True)
class Found:
    """What an export can be made of.

    Attributes:
        name: What to call the model, of letters, digits, "-" and "_".
        plain: The model for a processor; None where only the compiled one was named.
        compiled: The one for an Edge TPU; None where there is none.
        labels: The class names, empty where none are known.
    """

    name: str
    plain: ModelFile | None
    compiled: ModelFile | None
    labels: list[str]


def find_models(source: Path, labels: Path | None = None) -> Found:
    """Finds a model, its compiled file and its labels.

    Args:
        source: A folder that `atoll build` made, or a .tflite file.
        labels: A labels file; None takes those in the model, else labels.txt of the folder.

    Raises:
        ModelError: There is no such model, or it is for the simulator alone.
    """
    folder = source.is_dir()
    named = _read(source / f"{_RUN_MODEL}.tflite" if folder else source)
    if named.has(SIM_OP):
        raise ModelError(
            source,
            "a file that only the simulator runs cannot be exported",
            received=f"a model with {SIM_OP}",
            fix="Name the model that it was made of, or the RUN folder",
        )
    compiled = named if named.has(EDGETPU_OP) else _beside(named.path)
    plain = None if named.has(EDGETPU_OP) else named
    names = read_labels(labels) if labels else read_label_file(named.model) or []
    if not names and folder and (source / "labels.txt").is_file():
        names = read_labels(source / "labels.txt")
    stem = source.resolve().name if folder else source.stem
    return Found(name_of(stem), plain, compiled, names)


def name_of(stem: str) -> str:
    """A name for folders and settings: letters, digits, "-" and "_"."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", _SUFFIXES.sub("", stem)).strip("_-") or "model"


def _beside(path: Path) -> ModelFile | None:
    """What Google's compiler made of a model, where it lies beside it."""
    compiled = path.with_name(f"{path.stem}{_COMPILED}.tflite")
    if not compiled.is_file():
        return None
    file = _read(compiled)
    if not file.has(EDGETPU_OP):
        raise ModelError(
            compiled,
            f"a file of this name is compiled, and has {EDGETPU_OP}",
            received="a model without it",
            fix="Compile it again, or rename it",
        )
    return file


def _read(path: Path) -> ModelFile:
    content = read_content(path)
    return ModelFile(path, content, parse_model(content, path))
