"""The Edge TPU's driver, libedgetpu: where it is, and what the file itself tells."""

from __future__ import annotations

import mmap
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from atoll.host.libraries import Machine, built_for, find_in, library_folders, own_machine

if TYPE_CHECKING:
    from collections.abc import Mapping

# Names the library to take, before all others.
VARIABLE = "ATOLL_LIBEDGETPU"

_NAMES = {
    "linux": ("libedgetpu.so.1", "libedgetpu.so.1.0", "libedgetpu.so"),
    "darwin": ("libedgetpu.1.dylib", "libedgetpu.1.0.dylib", "libedgetpu.dylib"),
    "win32": ("edgetpu.dll",),
}
_LIBUSB_NAMES = {
    "linux": ("libusb-1.0.so.0",),
    "darwin": ("libusb-1.0.0.dylib", "libusb-1.0.dylib"),
    "win32": ("libusb-1.0.dll",),
}
# What only the build for the reduced clock says (edgetpu_manager_direct.cc, THROTTLE_EDGE_TPU).
_THROTTLED = b"EdgeTpu is throttled."


@dataclass(frozen=True)
class Library:
    """A libedgetpu that was found, and not loaded.

    Attributes:
        path: The file.
        named: Whether $ATOLL_LIBEDGETPU names it.
        machine: What it is built for; None where it is no ELF file.
        fits: Whether this Python can load it, as far as the processor and the bits tell.
        throttled: Whether it runs USB sticks at the reduced clock (libedgetpu1-std) or at the
            full one (libedgetpu1-max).
        libusb: The libusb-1.0 that lies in the loader's folders; None where there is none.
    """

    path: Path
    named: bool
    machine: Machine | None
    fits: bool
    throttled: bool
    libusb: Path | None


def find_library(root: Path = Path("/"), environ: Mapping[str, str] = os.environ) -> Library | None:
    """The driver that is used: what $ATOLL_LIBEDGETPU names, else the first that the loader has.

    Of several, one that fits this Python is preferred. Nothing is loaded or run.

    Args:
        root: Where the file system begins.
        environ: The environment.

    Returns:
        The library; None where there is none, or the variable names a file that is not there.
    """
    folders = library_folders(root, environ)
    if named := environ.get(VARIABLE):
        path = named_library(named, root, environ)
        return None if path is None else _library(path, folders, named=True)
    found = [_library(path, folders, named=False) for path in find_libraries(root, environ)]
    return next((library for library in found if library.fits), found[0] if found else None)


def named_library(
    named: str, root: Path = Path("/"), environ: Mapping[str, str] = os.environ
) -> Path | None:
    """The library that is meant by a path, or by a name alone, as the loader takes one.

    Args:
        named: Such as "build/libedgetpu.so" or "libedgetpu.so.1".
        root: Where the file system begins.
        environ: The environment.

    Returns:
        Its path, from the root on; None where there is no such file.
    """
    path = Path(named)
    if path.is_file():
        return path.absolute()
    if path.name != named:
        return None
    return next(iter(find_in(library_folders(root, environ), (named,))), None)


def find_libraries(root: Path = Path("/"), environ: Mapping[str, str] = os.environ) -> list[Path]:
    """Every libedgetpu in the loader's folders, as the loader would find them.

    Args:
        root: Where the file system begins.
        environ: The environment.
    """
    folders = library_folders(root, environ)
    return find_in(folders, _NAMES.get(sys.platform, _NAMES["linux"]))


def _library(path: Path, folders: list[Path], *, named: bool) -> Library:
    machine, own = built_for(path), own_machine()
    beside = [path.parent, *folders]
    libusb = find_in(beside, _LIBUSB_NAMES.get(sys.platform, _LIBUSB_NAMES["linux"]))
    return Library(
        path=path,
        named=named,
        machine=machine,
        fits=own is None or machine == own,
        throttled=_holds(path, _THROTTLED),
        libusb=next(iter(libusb), None),
    )


def _holds(path: Path, text: bytes) -> bool:
    try:
        with (
            path.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
        ):
            return content.find(text) >= 0
    except (OSError, ValueError):  # an empty file cannot be mapped
        return False
