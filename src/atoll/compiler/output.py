"""Writing what a compile made: all of its files, or none."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from atoll import files
from atoll.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path


def check_places(outputs: Iterable[Path], inputs: Iterable[Path]) -> None:
    """Refuses to write over a model that is being read.

    Args:
        outputs: What will be written.
        inputs: What is read.

    Raises:
        UsageError: One of them is both.
    """
    read = {path.resolve() for path in inputs}
    for path in outputs:
        if path.resolve() in read:
            raise UsageError(
                path,
                "a compiled file must not take the place of a model that is compiled",
                received=path.name,
                fix="Choose another folder with --out_dir",
            )


def write_all(contents: Mapping[Path, bytes]) -> None:
    """Writes files, none before all of them are on the disk under temporary names.

    Args:
        contents: What each file holds.

    Raises:
        OutputError: A place cannot be written to, or is full.
    """
    with ExitStack() as stack:
        for path, content in contents.items():
            stack.enter_context(files.replacing(path)).write_bytes(content)
