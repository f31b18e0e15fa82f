"""`atoll pose`: how people on a photo hold themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from atoll.cli import vision_options as options
from atoll.cli.vision import Report, Request, check_top, look

if TYPE_CHECKING:
    from collections.abc import Sequence

    from atoll.adapters.results import Pose


def pose(
    model: options.Model,
    photos: options.Inputs,
    threshold: Annotated[
        float,
        typer.Option(
            help="Tell of no person with a lower score; draw no such point.", min=0, max=1
        ),
    ] = 0.25,
    top: Annotated[int, typer.Option(help="How many people to tell of at most.")] = 20,
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
    """Find the points of people's bodies on photos or videos, and draw them if asked."""
    from atoll.adapters.pose import PoseEstimator
    from atoll.adapters.table import Wanted

    check_top(top)
    wanted = Wanted(threshold=threshold, most=top)
    request = Request(
        photos, wanted, draw, as_json, as_lines, frozenset(record_on or ()), clips,
        pre_roll, post_roll, every, seconds,
    )  # fmt: skip
    with PoseEstimator(
        model, device=device, twin=twin, fallback=fallback, labels=labels, kind=kind, resize=resize
    ) as estimator:
        look(estimator, model, request, _report(threshold))


def _report(threshold: float) -> Report:
    """How poses are told, by the points that are sure enough."""

    def lines(seen: Sequence[Pose]) -> list[str]:
        return [_line(found, threshold) for found in seen]

    return Report("poses", lines, lambda seen: ", ".join(f"person {p.score:.2f}" for p in seen))


def _line(found: Pose, threshold: float) -> str:
    box = found.box(threshold)
    sure = sum(point.score >= threshold for point in found.keypoints)
    where = (
        "" if box is None else f", {box.left:.0f},{box.top:.0f} to {box.right:.0f},{box.bottom:.0f}"
    )
    return f"{found.score:.4f}  person  {sure} of {len(found.keypoints)} points{where}"
