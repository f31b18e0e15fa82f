"""Small files of the kernel's: read in one go, None where there is nothing to read."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# More than any attribute of sysfs is long: those have one page.
_MOST_BYTES = 65_536


def read_text(path: Path | str) -> str | None:
    """What an attribute says, without the white space around it.

    Args:
        path: A file in /sys, /proc or /etc.

    Returns:
        Its text, of which undecodable bytes are replaced; None where it cannot be read.
    """
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except (OSError, ValueError):
        return None
    try:
        return os.read(handle, _MOST_BYTES).decode(errors="replace").strip().strip("\0")
    except OSError:
        return None
    finally:
        os.close(handle)


def read_int(path: Path | str, base: int = 10) -> int | None:
    """The number that an attribute begins with (`500mA` is 500); None where it has none."""
    text = read_text(path)
    if text is None:
        return None
    words = text.replace("mA", " ").split()
    try:
        return int(words[0], base)
    except (IndexError, ValueError):
        return None


def read_entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    """A folder's entries, in the order in which the kernel gives them."""
    try:
        with os.scandir(folder) as entries:
            yield from list(entries)
    except OSError:
        return


def can_access(path: Path, mode: int) -> bool:
    """Whether this process may open a file so (os.R_OK, os.W_OK), by its effective user."""
    try:
        return os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)
    except (OSError, NotImplementedError):
        return False
