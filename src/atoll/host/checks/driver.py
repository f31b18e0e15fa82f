"""The driver, libedgetpu: there, loadable, new enough, and at which clock it runs sticks."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from atoll.host.findings import ok, problem, skipped, warning
from atoll.host.installing import steps
from atoll.host.libraries import own_machine
from atoll.host.library import VARIABLE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from atoll.host.findings import Finding
    from atoll.host.host import Host
    from atoll.host.library import Library

# The newest runtime there is, and the only one that was measured with LiteRT 2.
_RUNTIME = 14
_MISSING = re.compile(r"(lib[\w.+-]+\.so[\w.]*): cannot open shared object file")
_GLIBC = re.compile(r"version `((?:GLIBC|GLIBCXX|CXXABI)_[\d.]+)' not found")


def found(host: Host) -> Iterator[Finding]:
    """The driver, libedgetpu, must be installed."""
    library = host.library
    named = host.environ.get(VARIABLE)
    if library is not None:
        how = f"${VARIABLE} names it" if library.named else "the loader has it"
        yield ok(f"{library.path} ({how})")
    elif named:
        yield problem(
            f"${VARIABLE} names {named}, which is not there",
            f"Correct {VARIABLE}, or unset it",
        )
    else:
        yield problem(
            "no libedgetpu in the folders of the loader: cpu and sim work without it, an Edge TPU "
            "does not",
            *steps("libedgetpu", host.place),
            brief="Install libedgetpu: atoll doctor prints the commands",
        )


def fits(host: Host) -> Iterator[Finding]:
    """The driver must be built for this processor, and for the bits of this Python."""
    library, own = host.library, own_machine()
    if library is None:
        return
    if own is None:
        yield skipped("only Linux's libraries tell it in their first bytes")
    elif library.fits:
        yield ok(str(library.machine))
    else:
        yield problem(
            f"{library.path} is for {library.machine or 'no known processor: it is no library'}, "
            f"and this Python for {own}",
            *steps("libedgetpu", host.place),
            brief=f"Install a libedgetpu for {own}",
        )


def loads(host: Host) -> Iterator[Finding]:
    """The driver must load."""
    build, library = host.build, host.library
    if build is None or library is None:
        return
    if not build.error:
        yield ok(f"it says {build.version}")
        return
    yield load_failure(host, library, build.error)


def load_failure(host: Host, library: Library, error: str) -> Finding:
    """What an error of the loader's means.

    Args:
        host: The machine.
        library: What was to be loaded.
        error: What the loader said.
    """
    if (missing := _MISSING.search(error)) and missing.group(1) != library.path.name:
        name = missing.group(1)
        known = steps("libusb", host.place) if name.startswith("libusb") else ()
        return problem(
            f"it needs {name}, which is not installed",
            *(known or (f"Install the package that brings {name}",)),
        )
    if needed := _GLIBC.search(error):
        return problem(
            f"it is built for a newer system: it needs {needed.group(1)}",
            "Install a libedgetpu that is built for this distribution's age (Google's own wants "
            "little), or update the system",
        )
    if "undefined symbol: edgetpu_version" in error:
        return problem(
            f"{library.path} does not tell its version: it is older than runtime 13, or something "
            "else",
            *steps("libedgetpu", host.place),
            brief="Install a newer libedgetpu",
        )
    return problem(
        f"{library.path}: {error}",
        *steps("libedgetpu", host.place),
        brief="Install libedgetpu anew",
    )


def new_enough(host: Host) -> Iterator[Finding]:
    """The driver must be of November 2020 or newer, which works with LiteRT 2."""
    build = host.build
    if build is None or build.error:
        return
    told = f"runtime {build.runtime}{f', built {build.date}' if build.date else ''}"
    if build.too_old:
        yield problem(
            f"{told}, of June 2020 or before: it takes LiteRT's tensors for shorter than they are "
            "(104 bytes instead of 112), and fails with Unsupported data type in custom op "
            "handler (google-coral/edgetpu issue 44)",
            *steps("libedgetpu", host.place),
            brief=f"Install runtime {_RUNTIME}",
        )
    elif build.runtime is None:
        yield warning(f"it tells no runtime's number: {build.version}", "See that it is libedgetpu")
    elif build.runtime > _RUNTIME:
        yield warning(
            f"{told}: newer than any that was tried", f"If it fails, install runtime {_RUNTIME}"
        )
    else:
        yield ok(
            f"{told}: it passes a struct that LiteRT 2 has made longer, which Atoll corrects on "
            "the way"
        )


def clock(host: Host) -> Iterator[Finding]:
    """The driver runs sticks at one of two clocks."""
    library = host.library
    if library is None or host.build is None or host.build.error:
        return
    if library.throttled:
        yield ok("the reduced one (libedgetpu1-std), meant for 35 C around it")
    else:
        yield ok(
            "the full one (libedgetpu1-max), meant for 25 C around it: the stick gets hot to the "
            "touch"
        )


def libusb(host: Host) -> Iterator[Finding]:
    """The library libusb 1.0 must be installed: the driver talks to sticks through it."""
    library = host.library
    if library is None:
        return
    if library.libusb is not None:
        yield ok(str(library.libusb))
    elif host.build is not None and not host.build.error:
        yield ok("it is part of the driver, which loads without one")
    else:
        yield problem(
            "no libusb-1.0.so.0 in the folders of the loader", *steps("libusb", host.place)
        )


def one_only(host: Host) -> Iterator[Finding]:
    """There should be one libedgetpu, so that all programs use the same."""
    used = host.library
    if used is None:
        return
    others = [path for path in host.libraries if not _is_same(path, used.path)]
    if others:
        yield warning(
            f"Atoll takes {used.path}; there are also {', '.join(map(str, others))}",
            f"Remove those that you do not use, or name one: export {VARIABLE}={used.path}",
        )


def _is_same(one: Path, other: Path) -> bool:
    """Whether two names lead to files of the same content."""
    try:
        return one.samefile(other) or one.read_bytes() == other.read_bytes()
    except OSError:
        return False
