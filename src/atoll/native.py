"""C sources that are compiled when they are first needed, and kept.

Atoll ships no binaries: what must be C is a few hundred lines, and is compiled on the machine that
it runs on. What comes out lies in a cache folder, under a key made of all that went in.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from atoll.errors import CompilerError, OutputError

if TYPE_CHECKING:
    from collections.abc import Sequence

# Tried in this order where $CC names none. The last is a pip package.
_COMPILERS = ("cc", "gcc", "clang")
_ZIG = "ziglang"
_FLAGS = ("-std=c11", "-O2", "-fPIC", "-shared", "-fvisibility=hidden")
_PATIENCE_S = 300


def shared_library(
    source: Path | Sequence[Path],
    name: str,
    *,
    libraries: Sequence[str] = (),
    include: Sequence[Path] = (),
    flags: Sequence[str] = (),
) -> Path:
    """Compiles C to a shared library, or finds what was compiled before.

    Several processes may ask for the same at once.

    Args:
        source: A C file, or several that make one library. Headers beside them are found.
        name: The library's file name, which is its SONAME too: `libusb-1.0.so.0`.
        libraries: What it is linked with: `("pthread",)`.
        include: Further folders with headers.
        flags: Further flags for the compiler.

    Returns:
        The library. It is alone in its folder, so the folder can be searched for it.

    Raises:
        CompilerError: There is no compiler, or it refused the source.
        OutputError: The cache folder cannot be written to.
    """
    sources = [source] if isinstance(source, Path) else list(source)
    command = [
        *_compiler(),
        *_FLAGS,
        *flags,
        *(f"-I{folder}" for folder in include),
        f"-Wl,-soname,{name}",
        *map(str, sources),
        *(f"-l{library}" for library in libraries),
    ]
    folder = cache_folder() / _key(command, sources, include, name)
    library = folder / name
    if not library.is_file():
        try:
            _compile(command, library)
        except OSError as error:
            raise OutputError(
                folder,
                "compiled C is kept there, and it cannot be written to",
                received=error.strerror or error,
                fix="Set XDG_CACHE_HOME to a folder that can be",
            ) from error
    return library


def cache_folder() -> Path:
    """Where compiled C is kept: atoll/native in the user's cache folder.

    Raises:
        OutputError: There is none: a container's user may have no home.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # The standard says to ignore a path that is relative.
    if not cache.is_absolute():
        cache = Path(os.path.expanduser("~")) / ".cache"  # noqa: PTH111 (it never raises)
    if not cache.is_absolute():
        raise OutputError(
            cache,
            "compiled C is kept in the user's cache folder, and this user has no home",
            received=os.environ.get("HOME") or "no HOME",
            fix="Set XDG_CACHE_HOME to a folder that can be written to",
        )
    return cache / "atoll" / "native"


def _compiler() -> list[str]:
    """The C compiler's command."""
    asked = shlex.split(os.environ.get("CC", ""))
    if asked and shutil.which(asked[0]) is None:
        raise CompilerError(
            "CC", "it must name a C compiler", received=asked[0], fix="Correct it, or unset it"
        )
    if asked:
        return asked
    for each in _COMPILERS:
        if found := shutil.which(each):
            return [found]
    if importlib.util.find_spec(_ZIG) is not None:
        return [sys.executable, "-m", _ZIG, "cc"]
    raise CompilerError(
        "C compiler",
        "this part of Atoll is compiled when it is first used",
        received=f"none of {', '.join(_COMPILERS)}",
        fix=f"Install gcc (Debian: apt install gcc libc6-dev), or run: pip install {_ZIG}",
    )


def _key(command: list[str], sources: list[Path], include: Sequence[Path], name: str) -> str:
    """A name for what comes of all this: another source, flag, compiler or system has another."""
    digest = hashlib.sha256()

    def add(data: bytes) -> None:
        digest.update(len(data).to_bytes(8, "little") + data)

    # Where the sources lie makes no difference.
    for word in (*command, name, platform.machine(), _c_library()):
        add(Path(word).name.encode() if word in map(str, sources) else word.encode())
    program = Path(os.path.realpath(shutil.which(command[0]) or command[0])).stat()
    add(f"{program.st_size} {program.st_mtime_ns}".encode())
    folders = {*include, *(each.parent for each in sources)}
    headers = {header for folder in folders for header in folder.glob("*.h")}
    for path in (*sources, *sorted(headers)):
        add(path.name.encode())
        add(path.read_bytes())
    return digest.hexdigest()[:32]


def _c_library() -> str:
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (AttributeError, ValueError, OSError):
        return ""


def _compile(command: list[str], library: Path) -> None:
    """Compiles to a temporary name in the same folder, which is then renamed."""
    library.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=library.parent.parent, prefix="part-") as folder:
        made = Path(folder) / library.name
        try:
            done = subprocess.run(
                [*command, "-o", str(made)],
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_PATIENCE_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise _refused(command, library, f"no end after {_PATIENCE_S} s") from error
        if done.returncode != 0 or not made.is_file():
            raise _refused(command, library, _first_error(done.stderr, done.returncode))
        made.replace(library)


def _refused(command: list[str], library: Path, received: str) -> CompilerError:
    return CompilerError(
        library.name,
        f"{Path(command[0]).name} must compile it",
        received=received,
        fix="Name another C compiler in the environment variable CC",
    )


def _first_error(text: str, status: int) -> str:
    """The line of a compiler's messages that says most."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower()]
    return (errors or lines or [f"exit status {status}"])[0]
