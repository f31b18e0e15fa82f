"""Where shared libraries lie: the folders that the system's loader looks into."""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from atoll.host.sysfs import read_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_COMMON = (
    "usr/local/lib",
    "usr/local/lib64",
    "lib64",
    "usr/lib64",
    "lib",
    "usr/lib",
    "opt/homebrew/lib",
    "opt/local/lib",
)
# What Debian calls the folders of a machine type.
_TRIPLETS = {
    "x86_64": ("x86_64-linux-gnu",),
    "aarch64": ("aarch64-linux-gnu",),
    "armv7l": ("arm-linux-gnueabihf",),
    "armv6l": ("arm-linux-gnueabihf",),
    "i686": ("i386-linux-gnu",),
    "riscv64": ("riscv64-linux-gnu",),
}
# The loader's own variables, for Linux, macOS and Windows.
_VARIABLES = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH")
# The numbers that ELF gives machines (elf.h), as Python's platform calls them.
_ELF_MACHINES = {3: "x86", 40: "arm", 62: "x86_64", 183: "aarch64", 243: "riscv"}
_ELF_CLASSES = {1: 32, 2: 64}


@dataclass(frozen=True)
class Machine:
    """What a program or library is built for.

    Attributes:
        name: The processor, such as "x86_64" or "aarch64".
        bits: 32 or 64.
    """

    name: str
    bits: int

    def __str__(self) -> str:
        return f"{self.name}, {self.bits} bits"


def library_folders(root: Path, environ: Mapping[str, str]) -> list[Path]:
    """The folders that the loader searches, in its order, each once; those that are there.

    Args:
        root: Where the file system begins.
        environ: The environment, for LD_LIBRARY_PATH and its like.
    """
    folders: dict[Path, None] = {}
    for folder in _all_folders(root, environ):
        if folder.is_dir():
            folders.setdefault(folder)
    return list(folders)


def _all_folders(root: Path, environ: Mapping[str, str]) -> Iterator[Path]:
    for variable in _VARIABLES:
        for name in environ.get(variable, "").split(os.pathsep):
            if name:
                yield Path(name)
    if sys.platform == "win32":
        yield from (Path(name) for name in environ.get("PATH", "").split(os.pathsep) if name)
        return
    yield from _configured(root, root / "etc/ld.so.conf", depth=0)
    for triplet in _TRIPLETS.get(platform.machine(), ()):
        yield from (root / "lib" / triplet, root / "usr/lib" / triplet)
    yield from (root / name for name in _COMMON)
    # What conda's Python searches besides.
    if prefix := environ.get("CONDA_PREFIX"):
        yield Path(prefix) / "lib"


def _configured(root: Path, path: Path, depth: int) -> Iterator[Path]:
    """The folders that ldconfig is told of: a folder a line, or a pattern of files to include."""
    if depth > 3:
        return
    for line in (read_text(path) or "").splitlines():
        words = line.partition("#")[0].split()
        if len(words) == 2 and words[0] == "include":
            pattern = words[1].removeprefix("/")
            folder = root if words[1].startswith("/") else path.parent
            for included in sorted(folder.glob(pattern)):
                yield from _configured(root, included, depth + 1)
        elif len(words) == 1 and words[0].startswith("/"):
            yield root / words[0].removeprefix("/")


def find_in(folders: list[Path], names: tuple[str, ...]) -> list[Path]:
    """The files of some names in some folders, by folder and then by name."""
    return [folder / name for folder in folders for name in names if (folder / name).is_file()]


def built_for(path: Path) -> Machine | None:
    """What an ELF file is built for; None where it is none, or of an unknown machine."""
    try:
        with path.open("rb") as file:
            head = file.read(20)
    except OSError:
        return None
    if len(head) < 20 or head[:4] != b"\x7fELF":
        return None
    number = int.from_bytes(head[18:20], "big" if head[5] == 2 else "little")
    return Machine(_ELF_MACHINES.get(number, f"machine {number}"), _ELF_CLASSES.get(head[4], 0))


def own_machine() -> Machine | None:
    """What the Python that runs this is built for, where it is an ELF program."""
    return built_for(Path(os.path.realpath(sys.executable)))
