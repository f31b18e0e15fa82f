"""Atoll, the open toolchain for the Coral Edge TPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from atoll.version import __version__

if TYPE_CHECKING:
    from atoll.runtime.interpreter import Interpreter

__all__ = ["Interpreter", "__version__"]


def __getattr__(name: str) -> Any:
    if name == "Interpreter":
        from atoll.runtime.interpreter import Interpreter

        return Interpreter
    raise AttributeError(f"module 'atoll' has no attribute {name!r}")
