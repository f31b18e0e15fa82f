"""The commands: one table of what there is."""

from __future__ import annotations

from importlib import import_module
from inspect import Parameter, signature
from typing import TYPE_CHECKING, Annotated

import typer

from atoll.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable

# Each command's name, which is its module's too but for the dash, and its function.
COMMANDS = {
    "build": "build",
    "classify": "classify",
    "detect": "detect",
    "segment": "segment",
    "pose": "pose",
    "chain": "chain",
    "check": "check",
    "legalize": "legalize",
    "compile": "compile_",
    "profile": "profile",
    "devices": "devices",
    "doctor": "doctor",
    "stick": "stick",
    "export": "export",
    "imprint": "imprint",
    "retrain-head": "retrain_head",
    "compat": "compat",
}

_HELP_FLAGS = {"help_option_names": ["--help", "-h"]}


def make_app(names: Iterable[str] = COMMANDS) -> typer.Typer:
    """The command line.

    Args:
        names: The commands that it shall have: a command that is named need not wait for the
            others to be loaded.
    """
    app = typer.Typer(
        name="atoll",
        help="The open toolchain for the Coral Edge TPU: photos in, a measured model out.",
        no_args_is_help=True,
        context_settings=_HELP_FLAGS,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback()(_root)
    for name in names:
        module = import_module(f"atoll.cli.{name.replace('-', '_')}")
        function = getattr(module, COMMANDS[name])
        # A command that must be told something shows its help where it is told nothing.
        needs = any(p.default is Parameter.empty for p in signature(function).parameters.values())
        app.command(
            name,
            # One that takes its arguments in a way of its own has a class for that.
            cls=getattr(module, "Command", None),
            # Whole: left to itself, the list of commands cuts each off at 45 letters.
            short_help=(function.__doc__ or "").partition("\n")[0],
            no_args_is_help=needs,
            context_settings=_HELP_FLAGS,
        )(function)
    return app


def print_version(wanted: bool) -> None:
    """Prints the version and ends the command, where that is asked for."""
    if wanted:
        typer.echo(f"atoll {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=print_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """The open toolchain for the Coral Edge TPU: photos in, a measured model out."""
