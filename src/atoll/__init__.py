"""Atoll, the open toolchain for the Coral Edge TPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from atoll.runtime.interpreter import Interpreter

__version__ = "0.1.0"
__all__ = ["Interpreter", "__version__"]


def __getattr__(name: str) -> Any:
    if name == "Interpreter":
        from atoll.runtime.interpreter import Interpreter

        return Interpreter
    raise AttributeError(f"module 'atoll' has no attribute {name!r}")
