"""Options that several commands have, with the words that their help says."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from atoll.cli.limits import Limit

MultipleSubgraphs = Annotated[
    bool,
    typer.Option(
        "--enable_multiple_subgraphs", "-a", help="Let more than one part of the graph be mapped."
    ),
]
OldestRuntime = Annotated[
    int,
    typer.Option(
        "--min_runtime_version",
        "-m",
        metavar="N",
        help="The oldest runtime that must run it, 10 to 14.",
    ),
]
Page = Annotated[
    Path | None,
    typer.Option("--html", metavar="PATH", show_default=False, help="Write a page about it too."),
]
FailOn = Annotated[
    list[Limit] | None,
    typer.Option(
        show_default=False,
        help="Exit with 1 if operators stay on the CPU, or parameters off the chip.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Twin = Annotated[
    Path | None,
    typer.Option(
        metavar="X.tflite",
        show_default="the one beside it",
        help="What a compiled model was made of, for the simulator.",
    ),
]
