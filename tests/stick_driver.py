"""The stand-in driver of tests/stick/driver, which does over libusb what libedgetpu does."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

import pytest

from atoll.errors import CompilerError
from atoll.native import shared_library
from atoll.stick.plugged import SOURCES, libraries

FOLDER = Path(__file__).parent / "stick/driver"
STRICT = ("-Wall", "-Wextra", "-Werror")
_BYTES = {"old": 64, "new": 88}


def stick_driver(struct: Literal["old", "new"], *, flags: tuple[str, ...] = ()) -> Path:
    """Compiles the driver, which is then to be loaded as a delegate.

    Without Linux or a compiler the test is skipped.

    Args:
        struct: "old" passes TfLiteRegistration as the published libedgetpu does, 64 bytes and
            rubbish behind them: LiteRT crashes without a shim. "new" passes today's 88 bytes.
        flags: Further flags for the linker.

    Returns:
        A libedgetpu.so.1 that needs a libusb-1.0.so.0.
    """
    if sys.platform != "linux":
        pytest.skip("virtual sticks need Linux")
    try:
        return _compiled(struct, flags)
    except CompilerError as error:
        if "must compile it" in str(error):
            raise
        pytest.skip(str(error))


def _compiled(struct: str, flags: tuple[str, ...]) -> Path:
    usb, _ = libraries(fast=False)
    return shared_library(
        sorted(FOLDER.glob("*.c")),
        "libedgetpu.so.1",
        libraries=("pthread",),
        include=(SOURCES,),
        # It must need libusb as the real one does: by its SONAME, whatever the linker's defaults.
        flags=(*STRICT, f"-DREGISTRATION={_BYTES[struct]}", *flags, "-Wl,--no-as-needed", str(usb)),
    )
