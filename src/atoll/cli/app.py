"""The commands: one table of what there is."""

from __future__ import annotations

from typing import Annotated

import typer

from atoll.cli.build import build
from atoll.cli.check import check
from atoll.cli.classify import classify
from atoll.cli.compile import compile_
from atoll.cli.legalize import legalize
from atoll.cli.profile import profile
from atoll.version import __version__

app = typer.Typer(
    name="atoll",
    help="The open toolchain for the Coral Edge TPU: photos in, a measured model out.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["--help", "-h"]},
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

COMMANDS = (build, classify, check, legalize, compile_, profile)
for command in COMMANDS:
    app.command(
        command.__name__.strip("_"),
        no_args_is_help=True,
        context_settings={"help_option_names": ["--help", "-h"]},
    )(command)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"atoll {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """The open toolchain for the Coral Edge TPU: photos in, a measured model out."""
