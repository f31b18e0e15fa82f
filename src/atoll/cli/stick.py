"""`atoll stick`: run a program as if Edge TPU sticks were plugged in."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer.core import TyperCommand

from atoll.cli.console import print_table
from atoll.errors import OutputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from atoll.stick.stick import Stick

# Those of our options that several words may follow.
_SEVERAL = ("--model", "--twin", "--fault")
_TO_PASS_ON = ("SIGTERM", "SIGHUP", "SIGINT", "SIGQUIT", "SIGUSR1", "SIGUSR2")
_SIGNALLED = 128  # a shell's exit status for a process that signal N ended is that and N


class Command(TyperCommand):
    """A command that looks at nothing behind `--`: that is the program's own."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Says where our options end."""
        place = args.index("--") if "--" in args else len(args)
        if not args or {"--help", "-h", "--faults"} & set(args[:place]):
            return super().parse_args(ctx, args)
        if not args[place + 1 :]:
            raise UsageError(
                "atoll stick",
                "a command must follow its options, behind --",
                received=" ".join(args),
                fix="Run: atoll stick --model X_edgetpu.tflite -- python app.py",
            )
        return super().parse_args(ctx, [*_one_by_one(args[:place]), *args[place:]])


def _print_faults(wanted: bool) -> None:
    """Prints the table of faults and ends the command, where that is asked for."""
    if not wanted:
        return
    from atoll.stick.faults import FAULTS

    print_table(
        ["fault", "happens at", "what it does"],
        [
            [
                row.name + (f"={row.value:g}" if row.unit else ""),
                ", ".join([row.at, *(each for each in row.only if each != row.at)]),
                row.sentence,
            ]
            for row in FAULTS.values()
        ],
        words={0, 1, 2},
    )
    raise typer.Exit


def stick(
    command: Annotated[
        list[str],
        typer.Argument(
            metavar="-- COMMAND...", help="The program and its arguments.", show_default=False
        ),
    ],
    model: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="X_edgetpu.tflite...",
            help="Compiled models that the sticks can run.",
            show_default=False,
        ),
    ] = None,
    twin: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="X.tflite...",
            help="What each of them was compiled from, in the same order.",
            show_default="beside it",
        ),
    ] = None,
    count: Annotated[int, typer.Option(metavar="N", help="How many sticks, 1 to 8.")] = 1,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[=VALUE][@MOMENT[:COUNT]][#STICK]",
            help="What goes wrong: unplug, stall@program, slow=0.5@input:every. See --faults.",
            show_default=False,
        ),
    ] = None,
    faults: Annotated[
        bool,
        typer.Option("--faults", callback=_print_faults, is_eager=True, help="List all faults."),
    ] = False,
    speed: Annotated[
        Literal["computed", "predicted"],
        typer.Option(help="How fast: as computed, or no faster than is predicted for the chip."),
    ] = "computed",
    firmware: Annotated[
        bool, typer.Option("--firmware", help="Plugged in anew: the driver must load firmware.")
    ] = False,
    usb2: Annotated[bool, typer.Option("--usb2", help="At a USB 2 port.")] = False,
    fast: Annotated[
        bool, typer.Option("--fast", help="Cut the driver's sleeps short: it opens at once.")
    ] = False,
    json_path: Annotated[
        Path | None,
        typer.Option(
            "--json", metavar="PATH", help="Write what the sticks saw here.", show_default=False
        ),
    ] = None,
) -> None:  # fmt: skip
    """Run a program, with its real libedgetpu, as if Edge TPU sticks were plugged in.

    The sticks check all that the driver sends against the compiled models, and answer with what
    their twins compute. What they saw is told on standard error; the exit status is the program's.
    """
    from atoll.files import write_json
    from atoll.stick import plugged

    program = _found(command)
    if json_path is not None and not json_path.absolute().parent.is_dir():
        raise OutputError(
            json_path, "its folder must exist", received="none", fix="Make it, or choose another"
        )
    with plugged(
        model or (),
        twins=twin or (),
        count=count,
        fault=fault or (),
        speed=speed,
        firmware=firmware,
        usb2=usb2,
        fast=fast,
        say=_say,
    ) as environment:
        status = _run([program, *command[1:]], environment)
    sticks = environment.sticks
    for line in _summary(sticks):
        _say(line)
    if json_path is not None:
        reports = [each.report.as_dict() for each in sticks]
        write_json(json_path, {"exit_status": status, "sticks": reports})
    raise typer.Exit(status)


def _one_by_one(args: Sequence[str]) -> list[str]:
    """Our words, each of an option's several values behind the option's name."""
    words: list[str] = []
    option: str | None = None
    for word in args:
        if word.startswith("-"):
            option = word if word in _SEVERAL else None
            words.append(word)
        elif option is not None and words[-1] != option:
            words += [option, word]
        else:
            words.append(word)
    return words


def _found(command: Sequence[str]) -> str:
    """The program's path: LD_LIBRARY_PATH and the like must not change which one is meant."""
    found = shutil.which(command[0])
    if found is None:
        raise UsageError(
            command[0],
            "the command must be a program",
            received="no such program, or one that cannot be run",
            fix="Name one, with its path where it is not on PATH",
        )
    return found


def _run(command: Sequence[str], environment: dict[str, str]) -> int:
    """Runs it to its end, signals passed on; its exit status, as a shell gives it."""
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        process = subprocess.Popen(command, env=environment)
    except OSError as error:
        raise UsageError(
            command[0],
            "the command must be a program",
            received=error.strerror or error,
            fix="Name one that this machine can run",
        ) from error

    def pass_on(number: int, _frame: object) -> None:
        # What a key on the terminal sends, the program has got itself.
        if number not in (signal.SIGINT, signal.SIGQUIT) or not _is_in_foreground():
            process.send_signal(number)

    before = {each: signal.signal(each, pass_on) for each in _signals()}
    try:
        status = process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return status if status >= 0 else _SIGNALLED - status


def _signals() -> list[signal.Signals]:
    return [getattr(signal, name) for name in _TO_PASS_ON if hasattr(signal, name)]


def _is_in_foreground() -> bool:
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


def _summary(sticks: Sequence[Stick]) -> list[str]:
    lines = [line for each in sticks for line in each.report.lines()]
    if not any(each.report.opened for each in sticks):
        lines.append(
            "no program opened a stick: it has no libedgetpu (atoll doctor tells), or asked for "
            "no Edge TPU"
        )
    violations = sum(len(each.report.violations) for each in sticks)
    if violations:
        lines.append(
            f"{violations} times the driver sent what no stick understands: something is wrong"
        )
    return lines


def _say(text: str) -> None:
    sys.stderr.write(f"atoll stick: {text}\n")
    sys.stderr.flush()
