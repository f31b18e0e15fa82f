"""Stand-ins for libedgetpu, compiled from C: each can be loaded as a delegate.

Without Linux or a C compiler the test is skipped; where the compiler refuses the code it fails.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import pytest

from atoll.errors import CompilerError
from atoll.native import shared_library
from atoll.stick.plugged import SOURCES, libraries

STICK = Path(__file__).parent / "stick/driver"
ECHO = Path(__file__).parent / "runtime/driver"
STRICT = ("-Wall", "-Wextra", "-Werror")
# "old" passes TfLiteRegistration as the published libedgetpu does, 64 bytes and rubbish behind
# them: LiteRT crashes without a shim. "new" passes today's 88 bytes.
_REGISTRATION = {"old": "-DREGISTRATION=64", "new": "-DREGISTRATION=88"}
Struct = Literal["old", "new"]


def stick_driver(struct: Struct, *, flags: tuple[str, ...] = ()) -> Path:
    """One that does over libusb what libedgetpu does, in its order: it needs a stick.

    Args:
        struct: Of which age its structures are.
        flags: Further flags for the linker.

    Returns:
        A libedgetpu.so.1 that needs a libusb-1.0.so.0.
    """
    with compiling():
        usb, _ = libraries(fast=False)
        return shared_library(
            sorted(STICK.glob("*.c")),
            "libedgetpu.so.1",
            libraries=("pthread",),
            include=(SOURCES,),
            # It must need libusb as the real one does: by its SONAME, whatever the linker's
            # defaults.
            flags=(*STRICT, _REGISTRATION[struct], *flags, "-Wl,--no-as-needed", str(usb)),
        )


def echo_driver(struct: Struct, *, usb: Path | None = None) -> Path:
    """One that needs no stick: it answers with its first input, changed a little.

    Args:
        struct: Of which age its structures are.
        usb: The `echo_usb` that its output comes through, found in the folder where it lies now.
    """
    through = () if usb is None else ("-DUSB", f"-Wl,-rpath,{usb.parent}", str(usb))
    with compiling():
        return shared_library(
            ECHO / "standin.c",
            "libedgetpu.so.1",
            include=(STICK,),
            flags=(*STRICT, _REGISTRATION[struct], "-Wl,--no-as-needed", *through),
        )


def echo_usb() -> Path:
    """A libusb-1.0.so.0 for the one that echoes."""
    with compiling():
        return shared_library(ECHO / "standin_usb.c", "libusb-1.0.so.0", flags=STRICT)


@contextmanager
def compiling():
    """Skips the test where there is nothing to compile with."""
    if sys.platform != "linux":
        pytest.skip("the drivers' stand-ins need Linux")
    try:
        yield
    except CompilerError as error:
        if "must compile it" in str(error):
            raise
        pytest.skip(str(error))
