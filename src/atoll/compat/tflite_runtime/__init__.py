"""The package `tflite_runtime`, over LiteRT."""

from __future__ import annotations

from typing import TYPE_CHECKING

from atoll.compat.names import missing

if TYPE_CHECKING:
    from typing import NoReturn

__version__ = "2.14.0"
"""The version of the interface, not of this."""

__git_version__ = "0.6.0-151643-g4dacf3f368e"
"""What that version said."""


def __getattr__(name: str) -> NoReturn:
    raise missing(__name__, name)
