"""`atoll chain`: several models that look at a photo one after another."""

from __future__ import annotations

import sys
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from atoll.cli.console import print_json
from atoll.cli.options import AsJson
from atoll.cli.vision import Names, expanded, unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL import Image

    from atoll.pipeline.chain.chain import Chain
    from atoll.pipeline.chain.results import ChainResult, Finding


def chain(
    config: Annotated[
        Path,
        typer.Argument(metavar="CONFIG", help="A TOML file of the steps.", show_default=False),
    ],
    photos: Annotated[
        list[str],
        typer.Argument(metavar="PHOTO...", help="Photos, and folders of them.", show_default=False),
    ],
    draw: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Write the photos with what was found on them here.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run a chain of models on photos: find a car, crop it, read its plate."""
    from atoll.data.decode import UnreadablePhoto, decode
    from atoll.files import make_folder
    from atoll.pipeline.chain.chain import Chain
    from atoll.quiet import quiet

    sources = expanded(photos)
    if draw is not None:
        make_folder(draw)
    with quiet(show_on_failure=False):  # LiteRT announces its kernels on standard error
        opened = Chain(config)
    names = Names(sources, [draw])
    results: list[dict[str, Any]] = []
    waiting: deque[tuple[Path, Image.Image]] = deque()

    def images() -> Iterator[Image.Image]:
        for source in sources:
            path = Path(source.name)
            try:
                image = decode(path)
            except UnreadablePhoto as error:
                sys.stderr.write(f"{path}: skipped: {unreadable(source, error)}\n")
                continue
            waiting.append((path, image))
            yield image

    with opened:
        for result in opened.map(images()):
            path, image = waiting.popleft()
            results.append({"photo": str(path), **result.to_json()})
            if draw is not None:
                target = draw / f"{names.unused(path.stem)}.png"
                _draw(target, image, result)
                results[-1]["drawn"] = str(target)
            if not as_json:
                typer.echo(path)
                _print_found(result.found, "  ")
        for note in opened.notes:
            sys.stderr.write(f"{note}\n")
        if as_json:
            print_json({"chain": str(config), "steps": _steps(opened), "results": results})


def _draw(target: Path, image: Image.Image, result: ChainResult) -> None:
    from atoll.files import replacing
    from atoll.pipeline.chain.picture import draw

    with replacing(target) as temporary:
        draw(image, result).save(temporary)


def _print_found(found: dict[str, list[Finding]], indent: str) -> None:
    for name, findings in found.items():
        typer.echo(f"{indent}{name}{'' if findings else ': nothing'}")
        for finding in findings:
            typer.echo(f"{indent}  {_line(finding)}")
            _print_found(finding.found, f"{indent}    ")


def _line(finding: Finding) -> str:
    """What was found, in a line of text."""
    from atoll.adapters.results import Class, Mask, Object, Pose

    result, box = finding.result, finding.box
    place = f"{box.width:.0f}x{box.height:.0f} at {box.left:.0f}, {box.top:.0f}"
    if isinstance(result, Object):
        return f"{result.score:.4f}  {result.label}  {place}"
    if isinstance(result, Class):
        return f"{result.score:.4f}  {result.label}"
    if isinstance(result, Pose):
        return f"{result.score:.4f}  {place}"
    if isinstance(result, Mask):
        return ", ".join(f"{part.label} {part.score:.1%}" for part in result.shares()) or "nothing"
    return ", ".join(f"{name} {list(array.shape)}" for name, array in result.items())


def _steps(opened: Chain) -> list[dict[str, Any]]:
    return [
        {
            "name": step.name,
            "type": step.type,
            "devices": [
                {"device": state.device, "state": state.state, "losses": state.losses}
                for state in step.devices
            ],
            "photos": step.count,
            "given": step.given,
            "mean_ms": round(step.mean_ms, 3),
        }
        for step in opened.stats()
    ]
