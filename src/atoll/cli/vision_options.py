"""Options that classify, detect, segment and pose have, with the words that their help says."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from atoll.cli.options import AsJson as AsJson
from atoll.cli.options import Twin as Twin

Run = Annotated[
    Path,
    typer.Argument(
        metavar="RUN", help="A folder that atoll build made, or a .tflite file.", show_default=False
    ),
]
Model = Annotated[
    Path,
    typer.Argument(metavar="X.tflite", help="A model, plain or compiled.", show_default=False),
]
Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="PHOTO...",
        help="Photos, folders of them, video files, cameras (/dev/video0, rtsp://...).",
        show_default=False,
    ),
]
Device = Annotated[
    str,
    typer.Option(
        metavar="DEVICE",
        help="Where it runs: cpu, sim (Edge TPU in software), edgetpu, usb:N, pci:N, "
        "openvino:CPU, auto.",
    ),
]
Labels = Annotated[
    Path | None, typer.Option(help="A labels file.", show_default="those in the model")
]
Fallback = Annotated[
    str | None,
    typer.Option(
        metavar="DEVICE",
        show_default=False,
        help="What takes over where an Edge TPU is lost: sim or cpu.",
    ),
]
Kind = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="What the outputs are, by name.", show_default="what fits their shapes"
    ),
]
Resize = Annotated[
    str | None,
    typer.Option(
        metavar="HOW",
        help="How a photo is laid into the input: stretch, letterbox, crop.",
        show_default="what the model is trained with",
    ),
]
Draw = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", help="Write photos and videos with what was seen here.", show_default=False
    ),
]
AsLines = Annotated[
    bool, typer.Option("--jsonl", help="Print a JSON document a line: a photo, or a frame.")
]
RecordOn = Annotated[
    list[str] | None,
    typer.Option(
        metavar="CLASS",
        help="Of videos, keep the clips in which this is seen. Repeatable.",
        show_default=False,
    ),
]
Clips = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Where clips go.", show_default=False)
]
PreRoll = Annotated[
    float, typer.Option(metavar="SECONDS", help="What a clip has before it is seen.", min=0)
]
PostRoll = Annotated[float, typer.Option(metavar="SECONDS", help="And after.", min=0)]
Every = Annotated[
    int, typer.Option(metavar="N", help="Of videos, look at every Nth frame only.", min=1)
]
Seconds = Annotated[
    float | None,
    typer.Option(
        metavar="S", help="Stop a video after so many seconds.", show_default=False, min=0
    ),
]
