"""What a person sees while a command works: progress on standard error, results on standard out."""

from __future__ import annotations

import json
import os
import sys
import textwrap
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Container, Sequence
    from types import TracebackType

    from rich.progress import TaskID

_WIDTH = 96
_LONGEST_NAME = 48


def print_json(document: Any) -> None:
    """One JSON document on standard output."""
    sys.stdout.write(json.dumps(document, indent=2) + "\n")


def short_name(name: str) -> str:
    """A tensor's name for a line of text, where it may be long.

    The converter joins the names of what it merged with semicolons; of one name, the end says more
    than its beginning.
    """
    first = name.partition(";")[0]
    return first if len(first) <= _LONGEST_NAME else f"...{first[3 - _LONGEST_NAME :]}"


def wrapped(text: str, indent: str = "", below: str = "") -> list[str]:
    """A text in lines, with no word cut in two.

    Args:
        text: The text.
        indent: What its first line begins with.
        below: What the others begin with.
    """
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=indent,
        subsequent_indent=below,
        break_long_words=False,
        break_on_hyphens=False,
    )


class Notes:
    """Tells what happens in plain lines, with nothing to load: for work of a second or two."""

    def start(self, title: str) -> None:
        """A new piece of work begins."""
        self.note(title)

    def update(self, done: int, total: int, detail: str = "") -> None:
        """Nothing is shown."""

    def note(self, text: str) -> None:
        """Something a person should know, one line."""
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


def print_table(heads: Sequence[str], rows: Sequence[Sequence[str]], words: Container[int]) -> None:
    """A table on standard output: drawn on a terminal, plain columns elsewhere.

    Args:
        heads: The columns' heads.
        rows: The cells.
        words: The columns that hold words; all others are aligned to the right.
    """
    if sys.stdout.isatty():
        _draw_table(heads, rows, words)
        return
    lines = [list(heads), *map(list, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (
            cell.ljust(width) if column in words else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        sys.stdout.write("  ".join(cells).rstrip() + "\n")


def _draw_table(heads: Sequence[str], rows: Sequence[Sequence[str]], words: Container[int]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column, head in enumerate(heads):
        table.add_column(head, justify="left" if column in words else "right")
    for row in rows:
        table.add_row(*map(Text, row))
    Console(file=sys.stdout, highlight=False).print(table)


class Terminal:
    """Draws progress: a bar with the time left on a terminal, plain lines elsewhere.

    It writes to a copy of standard error, which stays open while native code is kept quiet.
    """

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self._stream: IO[str] = os.fdopen(os.dup(2), "w", buffering=1)
        self._console = Console(file=self._stream, highlight=False, soft_wrap=True)
        self._bars = Progress(
            TextColumn("{task.description:<26}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeRemainingColumn(elapsed_when_finished=True),
            TextColumn("{task.fields[detail]}"),
            console=self._console,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Terminal:
        if self._console.is_terminal:
            self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._finish()
        if self._console.is_terminal:
            self._bars.stop()
        self._stream.close()

    def start(self, title: str) -> None:
        """A new piece of work begins."""
        self._finish()
        if self._console.is_terminal:
            self._task = self._bars.add_task(title, total=None, detail="")
        else:
            self._console.print(title, markup=False)

    def update(self, done: int, total: int, detail: str = "") -> None:
        """So much of it is done."""
        if self._task is not None:
            self._bars.update(self._task, completed=done, total=total, detail=detail)

    def note(self, text: str) -> None:
        """Something a person should know, one line."""
        self._console.print(text, markup=False)

    def _finish(self) -> None:
        """A bar that stopped early (early stopping does) is complete all the same."""
        if self._task is not None:
            done = self._bars.tasks[self._task].completed
            self._bars.update(self._task, total=done or 1, completed=done or 1)
            self._bars.stop_task(self._task)
            self._task = None
