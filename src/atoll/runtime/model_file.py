"""A model that is to be run, and how it is to be run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from atoll.tflite.graph import Model


@dataclass(frozen=True)
class ModelFile:
    """A model that is to be run.

    Attributes:
        content: The .tflite file.
        model: What was read from it.
        source: Its path, or what to call it in a message.
    """

    content: bytes
    model: Model
    source: object

    def has(self, name: str) -> bool:
        """Whether there is a custom operator of this name."""
        return any(op.custom_name == name for g in self.model.subgraphs for op in g.operators)


@dataclass(frozen=True)
class Options:
    """How a model is to be run.

    Attributes:
        threads: CPU threads; None for LiteRT's own choice.
        twin: The model that a compiled file was made of: a path or content. None takes the one
            beside it, where it is needed.
        fallback: "sim" or "cpu": what answers where an Edge TPU is lost; None raises an error.
        direct: Whether the driver runs in this process, which ends with it if a stick is pulled.
        isolated: Whether the simulator runs in a process of its own, as a driver does.
        timeout_s: Seconds that a device may take to answer; None for the usual.
        library: The driver's library; None finds it.
        driver_options: Options of the driver's own, such as {"Performance": "Low"}.
    """

    threads: int | None = None
    twin: str | Path | bytes | None = None
    fallback: str | None = None
    direct: bool = False
    isolated: bool = False
    timeout_s: float | None = None
    library: str | Path | None = None
    driver_options: Mapping[str, str] = field(default_factory=dict)
