"""`atoll detect`: what is where on a photo."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from atoll.cli import vision_options as options
from atoll.cli.vision import Report, Request, check_top, look

if TYPE_CHECKING:
    from atoll.adapters.results import Object


def _line(found: Object) -> str:
    box = found.box
    return (
        f"{found.score:.4f}  {found.label}"
        f"  {box.left:.0f},{box.top:.0f} to {box.right:.0f},{box.bottom:.0f}"
    )


_REPORT = Report(
    "objects",
    lambda seen: [_line(found) for found in seen],
    lambda seen: ", ".join(f"{found.label} {found.score:.2f}" for found in seen),
)


def detect(
    model: options.Model,
    photos: options.Inputs,
    threshold: Annotated[
        float, typer.Option(help="Tell of nothing with a lower score.", min=0, max=1)
    ] = 0.5,
    top: Annotated[int, typer.Option(help="How many objects to tell of at most.")] = 100,
    overlap: Annotated[
        float,
        typer.Option(
            help="Of two boxes of a class that overlap by more, one is kept (intersection over"
            " union).",
            min=0,
            max=1,
        ),
    ] = 0.5,
    anchors: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            show_default="the usual ones",
            help="Anchor boxes, .npy or text: y, x, height, width for an SSD; width, height in"
            " pixels for YOLO heads.",
        ),
    ] = None,
    device: options.Device = "auto",
    twin: options.Twin = None,
    fallback: options.Fallback = None,
    labels: options.Labels = None,
    kind: options.Kind = None,
    resize: options.Resize = None,
    draw: options.Draw = None,
    record_on: options.RecordOn = None,
    clips: options.Clips = None,
    pre_roll: options.PreRoll = 2.0,
    post_roll: options.PostRoll = 3.0,
    every: options.Every = 1,
    seconds: options.Seconds = None,
    as_json: options.AsJson = False,
    as_lines: options.AsLines = False,
) -> None:
    """Find objects on photos or videos, and draw them if asked."""
    from atoll.adapters.anchors import read_anchors
    from atoll.adapters.detect import Detector
    from atoll.adapters.table import Wanted

    check_top(top)
    wanted = Wanted(threshold=threshold, overlap=overlap, most=top)
    request = Request(
        photos, wanted, draw, as_json, as_lines, frozenset(record_on or ()), clips,
        pre_roll, post_roll, every, seconds,
    )  # fmt: skip
    boxes = None if anchors is None else read_anchors(anchors)
    with Detector(
        model,
        device=device,
        twin=twin,
        fallback=fallback,
        labels=labels,
        kind=kind,
        resize=resize,
        anchors=boxes,
    ) as detector:
        look(detector, model, request, _REPORT)
