"""Plugging virtual sticks in: for tests, and for `atoll stick`."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from atoll.errors import DeviceError, UsageError
from atoll.host.virtual import COUNT_VARIABLE, SOCKET_VARIABLE
from atoll.native import shared_library
from atoll.stick.brain import Brain
from atoll.stick.faults import PlannedFault, parse_fault
from atoll.stick.pace import Pace
from atoll.stick.stick import Stick
from atoll.stick.wire import Speed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from atoll.stick.known import KnownPart

Pacing = Literal["computed", "predicted"]

MOST_STICKS = 8
# The stand-in for libusb, in C.
SOURCES = Path(__file__).parent / "usb"


class Environment(dict[str, str]):
    """The environment to start a program with that is to see the sticks.

    It is a dictionary, so that `subprocess.run([...], env=environment)` does.

    Attributes:
        sticks: The sticks, by their index: `sticks[0].unplug()`.
        changes: The variables that differ from this process's own.
        library: The stand-in for libusb-1.0.so.0.
    """

    def __init__(self, sticks: list[Stick], changes: dict[str, str], library: Path) -> None:
        super().__init__(os.environ | changes)
        self.sticks = sticks
        self.changes = changes
        self.library = library


@contextmanager
def plugged(
    models: str | Path | Sequence[str | Path] = (),
    *,
    twins: Sequence[str | Path | None] = (),
    count: int = 1,
    fault: str | PlannedFault | Sequence[str | PlannedFault] = (),
    speed: Pacing = "computed",
    firmware: bool = False,
    usb2: bool = False,
    fast: bool = False,
    kernels: str | None = None,
    say: Callable[[str], None] = lambda _text: None,
) -> Iterator[Environment]:
    """Plugs virtual sticks in, for programs that are started with the environment that it gives.

    Such a program must be another process: this one cannot answer while it waits for itself.

    Args:
        models: Compiled models: what the sticks can run.
        twins: The model that each of them was made of, in the same order; None, or no entry, for
            the one beside it.
        count: How many sticks, 1 to 8.
        fault: What is to go wrong, as in `atoll stick --fault`; one or several.
        speed: "predicted" makes a run last as long as predicted, if the computer is fast enough.
        firmware: Whether they wait for their firmware, as real ones do when they get power.
        usb2: Whether they are at USB 2 ports.
        fast: Whether the driver's sleeps are cut short.
        kernels: A name in `atoll.runtime.litert.KERNELS`, which the results are computed with;
            None takes the first that runs the model.
        say: Told what must not be missed, such as a driver's violation, a line each.

    Yields:
        The environment.

    Raises:
        DeviceError: This is not Linux.
        ModelError: A model cannot be read, is not compiled, or has no twin.
        CompilerError: There is no C compiler.
        UsageError: A setting has no meaning.
    """
    _check(count)
    paths = [models] if isinstance(models, str | Path) else list(models)
    planned = [fault] if isinstance(fault, str | PlannedFault) else list(fault)
    faults = [parse_fault(each) if isinstance(each, str) else each for each in planned]
    for each in faults:
        if each.stick >= count:
            raise UsageError(
                "--fault",
                f"it must be for one of the {count} sticks, from #0 on",
                received=f"#{each.stick}",
                fix="Plug more in with --count",
            )
    library, preload = libraries(fast=fast)
    parts = _known(paths, twins, kernels)
    pace = Pace() if speed == "predicted" else None
    link = Speed.HIGH if usb2 else Speed.SUPER
    sticks = [
        Stick(k, parts, application=not firmware, speed=link, pace=pace, say=say)
        for k in range(count)
    ]
    for each in faults:
        sticks[each.stick].fault(each)
    with Brain(sticks, say) as brain:
        loaded = [_loadable(path, brain.path.parent) for path in preload]
        changes = {
            SOCKET_VARIABLE: str(brain.path),
            COUNT_VARIABLE: str(count),
            "LD_LIBRARY_PATH": _joined(loaded[0].parent, variable="LD_LIBRARY_PATH"),
            "LD_PRELOAD": _joined(*loaded, variable="LD_PRELOAD"),
        }
        yield Environment(sticks, changes, library)


def _known(
    paths: Sequence[str | Path], twins: Sequence[str | Path | None], kernels: str | None
) -> list[KnownPart]:
    """The compiled parts of all models."""
    from atoll.stick.known import know

    if len(twins) > len(paths):
        raise UsageError(
            "--twin",
            "there is one for each --model at most, in the same order",
            received=f"{len(twins)} for {len(paths)}",
            fix="Leave it out where the twin lies beside the compiled file",
        )
    matched = [*twins, *[None] * (len(paths) - len(twins))]
    pairs = zip(paths, matched, strict=True)
    return [part for path, twin in pairs for part in know(path, twin, kernels)]


def libraries(*, fast: bool) -> tuple[Path, list[Path]]:
    """Compiles the stand-in for libusb.

    Args:
        fast: Whether the driver's sleeps are to be cut short.

    Returns:
        The stand-in, and all that is to be preloaded, the stand-in first.

    Raises:
        CompilerError: There is no C compiler.
    """
    quick = SOURCES / "quick.c"
    parts = sorted(path for path in SOURCES.glob("*.c") if path != quick)
    library = shared_library(parts, "libusb-1.0.so.0", libraries=("pthread",))
    if not fast:
        return library, [library]
    return library, [library, shared_library(quick, "libatoll-quick.so", libraries=("dl",))]


def _loadable(library: Path, folder: Path) -> Path:
    """A path that LD_PRELOAD can name: it separates names by blanks and colons, and quotes none."""
    if not set(" :") & set(str(library)):
        return library
    link = folder / library.name
    link.symlink_to(library)
    return link


def _joined(*paths: Path, variable: str) -> str:
    before = os.environ.get(variable, "")
    return ":".join([*map(str, paths), *([before] if before else [])])


def _check(count: int) -> None:
    if sys.platform != "linux":
        raise DeviceError(
            "virtual stick",
            "it takes the place of libusb as only Linux lets it",
            received=sys.platform,
            fix="Run this on Linux, or in a Linux container",
        )
    if not 1 <= count <= MOST_STICKS:
        raise UsageError(
            "--count",
            f"1 to {MOST_STICKS} sticks can be plugged in",
            received=count,
            fix="Choose another number",
        )
