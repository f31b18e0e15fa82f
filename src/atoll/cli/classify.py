"""`atoll classify`: what is on a photo."""

from __future__ import annotations

from typing import Annotated

import typer

from atoll.cli import vision_options as options
from atoll.cli.vision import Report, Request, check_top, look

_REPORT = Report(
    "classes",
    lambda seen: [f"{found.score:.4f}  {found.label}" for found in seen],
    lambda seen: ", ".join(f"{found.label} {found.score:.2f}" for found in seen[:1]),
)


def classify(
    model: options.Run,
    photos: options.Inputs,
    top: Annotated[int, typer.Option(help="How many classes to name.")] = 3,
    threshold: Annotated[
        float | None,
        typer.Option(help="Name no class with a lower score.", show_default=False),
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
    """Name what is on photos or videos, and draw it if asked."""
    from atoll.adapters.classify import Classifier
    from atoll.adapters.table import Wanted

    check_top(top)
    wanted = Wanted(threshold=float("-inf") if threshold is None else threshold, most=top)
    request = Request(
        photos, wanted, draw, as_json, as_lines, frozenset(record_on or ()), clips,
        pre_roll, post_roll, every, seconds,
    )  # fmt: skip
    with Classifier(
        model, device=device, twin=twin, fallback=fallback, labels=labels, kind=kind, resize=resize
    ) as classifier:
        look(classifier, model, request, _REPORT)
