"""A folder that is written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from atoll.errors import OutputError
from atoll.files import make_folder, output_error

if TYPE_CHECKING:
    from collections.abc import Mapping


def write_folder(path: Path, files: Mapping[str, bytes]) -> None:
    """Writes a folder with some files in it: under a temporary name, then renamed.

    A folder that holds nothing but files of these names is an earlier one of the same kind, and is
    replaced.

    Args:
        path: The folder.
        files: The content of each file, by its name.

    Raises:
        OutputError: The folder holds other things, or the place cannot be written to.
    """
    target = Path(os.path.realpath(path))
    _check_replaceable(path, target, files)
    make_folder(target.parent)
    try:
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as made:
            new, old = Path(made) / "new", Path(made) / "old"
            new.mkdir()
            for name, content in files.items():
                _write(new / name, content)
            if target.exists():
                target.rename(old)
            try:
                new.rename(target)
            except OSError:
                with contextlib.suppress(OSError):
                    old.rename(target)
                raise
            shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise output_error(path, error) from error


def _check_replaceable(path: Path, target: Path, files: Mapping[str, bytes]) -> None:
    if not target.exists():
        return
    if not target.is_dir():
        raise OutputError(
            path, "it must be a folder", received="a file", fix="Choose another place with -o"
        )
    try:
        others = sorted({entry.name for entry in target.iterdir()} - set(files))
    except OSError as error:
        raise output_error(path, error) from error
    if others:
        raise OutputError(
            path,
            "it must be new, empty, or an earlier export of the same",
            received=f"a folder with other things in it, such as {others[0]}",
            fix="Choose another place with -o",
        )


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
