"""`atoll compile`: Google's compiler's flags, Atoll's compiler."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from atoll.cli.app import print_version
from atoll.cli.limits import check_limits
from atoll.cli.options import AsJson, FailOn, MultipleSubgraphs
from atoll.errors import UsageError

if TYPE_CHECKING:
    from atoll.compiler.request import Legalize
    from atoll.compiler.result import Compiled


class BackendName(StrEnum):
    """What compiles."""

    AUTO = "auto"
    SIM = "sim"
    GOOGLE = "google"


_LEGALIZE: dict[bool | None, Legalize] = {None: "auto", True: "all", False: "none"}


def compile_(
    models: Annotated[
        list[Path],
        typer.Argument(metavar="X.tflite...", show_default=False,
                       help="Full-integer models. Several share the chip's cache, in this order."),
    ],
    out_dir: Annotated[
        Path, typer.Option("--out_dir", "-o", metavar="DIR", show_default="the current folder",
                           help="Where the compiled files and their logs go.")
    ] = Path(),
    show_operations: Annotated[
        bool, typer.Option("--show_operations", "-s", help="Print the table of operators.")
    ] = False,
    min_runtime_version: Annotated[
        int, typer.Option("--min_runtime_version", "-m", metavar="N",
                          help="The oldest runtime that must run it, 10 to 14; 10 caches nothing.")
    ] = 14,
    intermediate_tensors: Annotated[
        str, typer.Option("--intermediate_tensors", "-i", metavar="NAMES", show_default=False,
                          help="Names of tensors, comma-separated: what follows them stays on the "
                          "CPU. With several models, a list each, with colons between.")
    ] = "",
    num_segments: Annotated[
        int, typer.Option("--num_segments", "-n", metavar="N",
                          help="Split it into files for a pipeline of so many Edge TPUs.")
    ] = 1,
    search_delegate: Annotated[
        bool, typer.Option("--search_delegate", "-d",
                           help="If it fails, leave the last operators out and try again.")
    ] = False,
    delegate_search_step: Annotated[
        int, typer.Option("--delegate_search_step", "-k", metavar="N",
                          help="How many operators to leave out at a try.")
    ] = 1,
    enable_multiple_subgraphs: MultipleSubgraphs = False,
    timeout_sec: Annotated[
        int, typer.Option("--timeout_sec", "-t", metavar="N",
                          help="Seconds that it may take.")
    ] = 180,
    backend: Annotated[
        BackendName, typer.Option(help="sim writes for the simulator; google runs Google's "
                                  "compiler; auto takes Google's where there is one.")
    ] = BackendName.AUTO,
    legalize: Annotated[
        bool | None,
        typer.Option("--legalize/--no-legalize",
                     show_default="off; with google, what moves no output",
                     help="Change the model first so that more of it maps, and say how far its "
                     "outputs moved.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="PATH", show_default=False,
                                  help="Write a page about it too; for one model.")
    ] = None,
    fail_on: FailOn = None,
    as_json: AsJson = False,
    version: Annotated[
        bool, typer.Option("--version", "-v", callback=print_version, is_eager=True,
                           help="Print the version.")
    ] = False,
) -> None:  # fmt: skip
    """Compile models for the Edge TPU, with edgetpu_compiler's own flags.

    What it writes, X_sim.tflite, runs in the simulator. Where Google's compiler is there, that
    makes the file instead: X_edgetpu.tflite, for the chip.
    """
    from atoll.cli.console import Notes, print_json
    from atoll.compiler.job import compile_models
    from atoll.compiler.request import Request, parse_intermediate_tensors
    from atoll.compiler.summary import compile_document
    from atoll.compiler.text import report

    if html is not None and (len(models) > 1 or num_segments > 1):
        raise UsageError(
            "--html",
            "a page is about one model",
            received=f"{len(models)} models" if len(models) > 1 else f"{num_segments} segments",
            fix="Compile one, or leave --html out",
        )
    request = Request(
        backend=backend.value,
        min_runtime=min_runtime_version,
        intermediate_tensors=parse_intermediate_tensors(intermediate_tensors, len(models)),
        segments=num_segments,
        search_delegate=search_delegate,
        search_step=delegate_search_step,
        multiple_subgraphs=enable_multiple_subgraphs,
        timeout_s=timeout_sec,
        legalize=_LEGALIZE[legalize],
    )
    compiled = compile_models(models, out_dir, request, Notes())
    if html is not None:
        _write_page(compiled[0], html)
    if as_json:
        print_json(compile_document(compiled))
    else:
        sys.stdout.write(report(compiled, request, show_operations=show_operations))
    check_limits(
        fail_on or (),
        [(one.output, one.ops_cpu, one.sizes.offchip) for one in compiled],
    )


def _write_page(one: Compiled, path: Path) -> None:
    from atoll.compiler.advice import weigh
    from atoll.report.model_page import write_model_page

    write_model_page(one.input.name, one.analysis, weigh(one.analysis), path)
