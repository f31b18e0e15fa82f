"""Wrong words on the command line are told as all bad input is: in one line."""

from __future__ import annotations

import errno
import sys
import textwrap
from typing import Any

import typer

from atoll.errors import UsageError

# What is shown of the words that were given.
_SHOWN = 80
# typer keeps the class of all errors about words to itself: it is that of which this is one.
_WRONG_WORDS: tuple[type[Any], ...] = typer.BadParameter.__bases__


def run(app: typer.Typer) -> int:
    """Runs the command that the program was started with.

    Args:
        app: The commands.

    Returns:
        The exit status.

    Raises:
        UsageError: The words mean nothing.
        BrokenPipeError: Whoever read standard output went away.
    """
    try:
        status = app(prog_name="atoll", standalone_mode=False)
    except _WRONG_WORDS as error:
        message = error.format_message()
        if "\n" in message:  # no words at all: this is the help
            error.show()
            return 2
        raise _refusal(message, error.ctx) from error
    except SystemExit as ended:
        # typer ends the command with 1, which is the status of a limit that was crossed.
        cause = ended.__context__
        if isinstance(cause, OSError) and cause.errno == errno.EPIPE:
            raise cause from None
        raise
    return status if isinstance(status, int) else 0


def _refusal(message: str, context: Any) -> UsageError:
    """The line for words that mean nothing.

    Args:
        message: What typer says.
        context: The command that was reached, typer's Context; None for none.
    """
    command = "atoll" if context is None else context.command_path
    rule, _, near = message.partition(" Did you mean ")
    fix = f"Write {near.rstrip('?')}" if near else f"Run: {command} --help"
    words = " ".join(sys.argv[len(command.split()) :])
    return UsageError(
        command.removeprefix("atoll "),
        rule[:1].lower() + rule[1:].rstrip("."),
        received=textwrap.shorten(words, _SHOWN, placeholder=" ...") or "nothing",
        fix=fix,
    )
