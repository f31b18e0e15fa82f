"""Compiles the stand-in driver: `driver()` is a libedgetpu.so.1 to be loaded as a delegate."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from atoll.native import shared_library
from atoll.stick.plugged import SOURCES, libraries

FOLDER = Path(__file__).parent / "driver"
STRICT = ("-Wall", "-Wextra", "-Werror")
_BYTES = {"old": 64, "new": 88}


def driver(struct: Literal["old", "new"] = "new", *, flags: tuple[str, ...] = ()) -> Path:
    """The stand-in driver.

    Args:
        struct: "old" passes TfLiteRegistration as the published libedgetpu does, 64 bytes and
            rubbish behind them: LiteRT crashes without a shim. "new" passes today's 88 bytes.
        flags: Further flags for the linker.

    Returns:
        A libedgetpu.so.1 that needs a libusb-1.0.so.0.
    """
    usb, _ = libraries(fast=False)
    return shared_library(
        sorted(FOLDER.glob("*.c")),
        "libedgetpu.so.1",
        libraries=("pthread",),
        include=(SOURCES,),
        # It must need libusb as the real one does: by its SONAME, whatever the linker's defaults.
        flags=(*STRICT, f"-DREGISTRATION={_BYTES[struct]}", *flags, "-Wl,--no-as-needed", str(usb)),
    )
