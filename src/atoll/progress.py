"""How long work tells what it is doing, without knowing who listens."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """A listener: the command line draws it, a test collects it."""

    def start(self, title: str) -> None:
        """A new piece of work begins."""

    def update(self, done: int, total: int, detail: str = "") -> None:
        """So much of it is done; `detail` is a short word beside the bar."""

    def note(self, text: str) -> None:
        """Something a person should know, one line."""


class Silent:
    """A listener that does not listen."""

    def start(self, title: str) -> None:
        """Does nothing."""

    def update(self, done: int, total: int, detail: str = "") -> None:
        """Does nothing."""

    def note(self, text: str) -> None:
        """Does nothing."""
