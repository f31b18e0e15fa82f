"""`atoll compat`: programs written for the old Coral libraries."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from atoll.errors import UsageError

# Those of our options that are followed by a value, and those that are not.
_WITH_VALUE = ("--device", "--count", "--twin")
_ALONE = ("--help", "-h")


class Command(TyperCommand):
    """A command that looks at nothing from SCRIPT on: that is the script's own."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Says where our options end."""
        place = own_options(args)
        return super().parse_args(ctx, [*args[:place], "--", *args[place:]] if args else args)


def own_options(words: list[str]) -> int:
    """How many words at the beginning are ours.

    Args:
        words: All that follows `atoll compat`.
    """
    place = 0
    while place < len(words):
        name, equals, _ = words[place].partition("=")
        if name in _WITH_VALUE:
            place += 1 if equals else 2
        elif words[place] in _ALONE or (name.startswith("--") and name != "--"):
            place += 1
        else:
            break
    return min(place, len(words))


def compat(
    command: Annotated[
        list[str],
        typer.Argument(
            metavar="SCRIPT",
            help="A Python program and its own arguments; or -m MODULE ARGS..., or -c CODE.",
            show_default=False,
        ),
    ],
    device: Annotated[
        str | None,
        typer.Option(
            metavar="DEVICE",
            help="What stands for its Edge TPUs: auto (those plugged in, else sim), sim, edgetpu, "
            "usb:N, pci:N.",
            show_default="auto, or $ATOLL_DEVICE",
        ),
    ] = None,
    count: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="How many Edge TPUs sim stands for, 1 to 8.", show_default="4"
        ),
    ] = None,
    twin: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="X.tflite",
            help="What a compiled model was made of, where it does not lie beside it. Repeatable.",
            show_default=False,
        ),
    ] = None,
) -> None:  # fmt: skip
    """Run a program written for pycoral, edgetpu or tflite_runtime, unchanged.

    Our options come first: all that follows SCRIPT is the script's own. Its folder and the current
    one are on its path, its exit status and its tracebacks are its own, and what it starts with
    Python runs in the same way.
    """
    from atoll.compat import hardware, origins
    from atoll.compat.launch import run

    _check_program(command)
    for path in twin or ():
        if not path.is_file():
            raise UsageError(
                "--twin",
                "it must be a model",
                received=f"no file {path}",
                fix="Name a .tflite file",
            )
    settings = {}
    if device is not None:
        settings[hardware.DEVICE_VARIABLE] = device
    if count is not None:
        settings[hardware.COUNT_VARIABLE] = str(count)
    if twin:
        settings[origins.TWIN_VARIABLE] = os.pathsep.join(str(path.absolute()) for path in twin)
    environ = {**os.environ, **settings}
    if any(device.simulated for device in hardware.seen_devices(environ)):
        # Here, so that of many processes of the program not each one says so.
        hardware.tell_once(environ)
    run(command, settings)


def _check_program(command: list[str]) -> None:
    first = command[0]
    if first in ("-m", "-c") and len(command) == 1:
        what = "module" if first == "-m" else "code"
        raise UsageError(first, f"the {what} follows it", received="nothing", fix=f"Add the {what}")
    if first not in ("-m", "-c", "-") and not Path(first).exists():
        raise UsageError(
            first, "it must be a Python program", received="no such file", fix="Name one"
        )
