"""`atoll segment`: which class each pixel of a photo belongs to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from atoll.cli import vision_options as options
from atoll.cli.vision import Names, Report, Request, expanded, look
from atoll.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from atoll.adapters.results import Mask

_MOST_BRIEF = 5


def segment(
    model: options.Model,
    photos: options.Inputs,
    threshold: Annotated[
        float,
        typer.Option(
            help="Where a model has one class: the score from which a pixel belongs.", min=0, max=1
        ),
    ] = 0.5,
    masks: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            show_default=False,
            help="Write a PNG a photo here, whose pixels are class numbers.",
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
    """Tell which class each pixel of photos or videos belongs to, and draw it if asked."""
    from atoll.adapters.segment import Segmenter
    from atoll.adapters.table import Wanted
    from atoll.files import make_folder

    if masks is not None and draw is not None and masks.resolve() == draw.resolve():
        raise UsageError(
            "--masks",
            "masks have the photos' names, as drawn photos have",
            received="the folder of --draw",
            fix="Name another folder",
        )
    wanted = Wanted(threshold=threshold)
    request = Request(
        photos, wanted, draw, as_json, as_lines, frozenset(record_on or ()), clips,
        pre_roll, post_roll, every, seconds,
    )  # fmt: skip
    with Segmenter(
        model, device=device, twin=twin, fallback=fallback, labels=labels, kind=kind, resize=resize
    ) as segmenter:
        if masks is not None:
            make_folder(masks)
        look(segmenter, model, request, _report(masks, photos))


def _report(masks: Path | None, inputs: Sequence[str]) -> Report:
    """How masks are told, and written where a folder is given."""
    names = Names(expanded(inputs), [masks])

    def write(photo: Path, seen: Mask) -> dict[str, str]:
        from PIL import Image

        from atoll.files import replacing

        if masks is None:
            return {}
        target = masks / f"{names.unused(photo.stem)}.png"
        with replacing(target) as temporary:
            Image.fromarray(seen.classes).save(temporary)
        return {"mask": str(target)}

    return Report("parts", _lines, lambda seen: ", ".join(_lines(seen)[:_MOST_BRIEF]), write)


def _lines(seen: Mask) -> list[str]:
    return [f"{part.score:6.1%}  {part.label}" for part in seen.shares()]
