"""A model that is to be compiled, as it was read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from atoll.edgetpu.simfile import EDGETPU_OP, SIM_OP
from atoll.errors import CompilerError
from atoll.tflite.reader import parse_model, read_content

if TYPE_CHECKING:
    from pathlib import Path

    from atoll.compiler.result import Changed
    from atoll.tflite.graph import Model


@dataclass(frozen=True)
class Source:
    """A model, as it was read.

    Attributes:
        path: The file.
        content: Its bytes.
        model: The model in them.
    """

    path: Path
    content: bytes
    model: Model


@dataclass(frozen=True)
class Unit:
    """A model as it goes to a backend.

    Attributes:
        source: What was read.
        model: The model to compile: as it was read, or changed so that more of it maps.
        changes: What was changed.
        moved: How far the outputs moved by that, in a sentence; empty where nothing was changed.
    """

    source: Source
    model: Model
    changes: tuple[Changed, ...] = ()
    moved: str = ""


def read_source(path: Path) -> Source:
    """Reads a model that is not compiled.

    Args:
        path: A TFLite model.

    Returns:
        The model.

    Raises:
        ModelError: It cannot be read, is no TFLite model, or is damaged.
        CompilerError: It is compiled already.
    """
    content = read_content(path)
    source = Source(path, content, parse_model(content, path))
    for op in source.model.main.operators:
        if op.custom_name in (SIM_OP, EDGETPU_OP):
            raise CompilerError(
                path,
                "the model must not be compiled already",
                received=f"an operator {op.custom_name}",
                fix="Give the model that it was compiled from",
            )
    return source
