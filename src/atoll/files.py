"""Files are written whole or not at all: to a temporary name, then renamed."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from atoll.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator

_FIXES = {
    errno.ENOSPC: ("the disk is full", "Free some space, or choose another place"),
    errno.EDQUOT: ("the disk quota is used up", "Free some space, or choose another place"),
    errno.EFBIG: ("the file would be larger than allowed here", "Choose another place"),
    errno.EACCES: ("it cannot be written", "Choose a place that you may write to"),
    errno.EPERM: ("it cannot be written", "Choose a place that you may write to"),
    errno.EROFS: ("the file system is read-only", "Choose a place that you may write to"),
    errno.ENOTDIR: ("a part of the path is not a folder", "Choose another place"),
    errno.EEXIST: ("a file is in the way", "Remove it, or choose another place"),
    errno.ENAMETOOLONG: ("the name is too long", "Choose a shorter one"),
}


def output_error(path: Path, error: OSError) -> OutputError:
    """The user's message for an operating system error met while writing.

    Args:
        path: What was being written.
        error: What the operating system said.

    Returns:
        The error to raise in its place.
    """
    rule, fix = _FIXES.get(error.errno or 0, ("it could not be written", "Choose another place"))
    return OutputError(path, rule, received=error.strerror or str(error), fix=fix)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives a temporary path beside `path`; on success it takes its place, else it is removed.

    Args:
        path: The file to be written. Its folder must exist.

    Yields:
        A path in the same folder, with the same suffix, for the caller to write to.

    Raises:
        OutputError: The place cannot be written to, is full, or is a device or a pipe.
    """
    asked, path = path, Path(os.path.realpath(path))
    # A rename would put a file in a device's place.
    if _is_special(path):
        raise OutputError(
            asked,
            "it must be a file that can be replaced",
            received="a device or a pipe",
            fix="Choose another place",
        )
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    except OSError as error:
        raise output_error(asked, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _is_special(path: Path) -> bool:
    """Whether there is something that is neither a file nor a folder."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def write_bytes(path: Path, data: bytes | bytearray | memoryview) -> None:
    """Writes a file whole or not at all. Raises OutputError."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Writes a UTF-8 file whole or not at all. Raises OutputError."""
    write_bytes(path, text.encode())


def write_json(path: Path, document: Any) -> None:
    """Writes a JSON file, indented, keys in the order given, whole or not at all."""
    write_text(path, json.dumps(document, indent=2, allow_nan=False) + "\n")


def make_folder(path: Path) -> None:
    """Makes a folder and its parents, and proves that it can be written to.

    Raises:
        OutputError: It cannot be made, is a file, or cannot be written to.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise output_error(path, error) from error


def create_array(path: Path, dtype: np.typing.DTypeLike, shape: tuple[int, ...]) -> np.memmap:
    """A new .npy file of zeros, mapped into memory for writing.

    Its space is claimed at once: writing to a mapped page that the disk has no room for would
    end the process with a signal instead of an error.

    Args:
        path: The file; its folder must exist.
        dtype: The elements' type.
        shape: The array's shape.

    Returns:
        The mapped array.

    Raises:
        OutputError: The place cannot be written to, or is full.
    """
    try:
        array = np.lib.format.open_memmap(path, "w+", np.dtype(dtype), shape)
        with path.open("r+b") as handle:
            os.posix_fallocate(handle.fileno(), 0, max(1, path.stat().st_size))
    except OSError as error:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
        raise output_error(path, error) from error
    return array
