"""What classify, detect, segment and pose have in common: look at each input, tell, draw."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atoll.errors import DatasetError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from PIL import Image

    from atoll.adapters.table import Wanted
    from atoll.adapters.vision import Vision
    from atoll.cli.vision_output import Output


@dataclass(frozen=True)
class Report:
    """How a task's results are told.

    Attributes:
        key: Their name in a JSON document.
        lines: As lines of text, for a photo.
        brief: In a few words, for a frame; empty for nothing.
        extra: Writes further files about a photo, and says which, for the JSON document.
    """

    key: str
    lines: Callable[[Any], Sequence[str]]
    brief: Callable[[Any], str]
    extra: Callable[[Path, Any], dict[str, str]] | None = None


@dataclass(frozen=True)
class Request:
    """What was asked for on the command line.

    Attributes:
        inputs: Photos, folders, videos, cameras.
        wanted: What to tell.
        draw: Where drawn photos and videos go.
        as_json: Whether to print one JSON document.
        as_lines: Whether to print one a line.
        record_on: What must be seen for a clip to be kept.
        clips: Where clips go.
        before_s: What a clip has before what was seen.
        after_s: And after it.
        every: Each so many frames is looked at.
        seconds: When a video is left.
    """

    inputs: Sequence[str]
    wanted: Wanted
    draw: Path | None
    as_json: bool
    as_lines: bool
    record_on: frozenset[str]
    clips: Path | None
    before_s: float
    after_s: float
    every: int
    seconds: float | None


def look(vision: Vision[Any, Any], model: Path, request: Request, report: Report) -> None:
    """Looks at all inputs, and tells what is on them.

    Raises:
        DatasetError: An input cannot be read.
        UsageError: Options do not go together.
        OutputError: A picture or a clip cannot be written.
    """
    from atoll.adapters.video import is_video
    from atoll.cli.vision_output import JsonOutput, LinesOutput, TextOutput
    from atoll.cli.vision_video import check_recording, look_at_video
    from atoll.files import make_folder

    inputs = _expanded(request.inputs)
    check_recording(vision, request, any(map(is_video, inputs)))
    for folder in (request.draw, request.clips):
        if folder is not None:
            make_folder(folder)
    head = {"model": str(model), "device": vision.device}
    output: Output = (
        LinesOutput() if request.as_lines else JsonOutput(head) if request.as_json else TextOutput()
    )
    names = Names()
    try:
        for source in inputs:
            if is_video(source):
                look_at_video(vision, source, request, report, output, names)
            else:
                _look_at_photo(vision, Path(source), request, report, output, names)
    except BaseException:
        output.end(complete=False)
        raise
    output.end()
    for note in vision.notes:
        sys.stderr.write(f"{note}\n")


class Names:
    """Names of files to write: each is given once, whatever folders their sources lie in."""

    def __init__(self) -> None:
        self._given: set[str] = set()

    def unused(self, stem: str) -> str:
        """The stem, with a number behind it where it has been given before."""
        name, count = stem, 1
        while name in self._given:
            count += 1
            name = f"{stem}-{count}"
        self._given.add(name)
        return name


def _expanded(inputs: Sequence[str]) -> list[str]:
    """The inputs, with the photos of a folder in its place."""
    from atoll.data.names import PHOTO_SUFFIXES

    found: list[str] = []
    for source in inputs:
        if not Path(source).is_dir():
            found.append(source)
            continue
        inside = sorted(p for p in Path(source).iterdir() if p.suffix.lower() in PHOTO_SUFFIXES)
        if not inside:
            raise DatasetError(
                source, "a folder must hold photos", received="none", fix="Name another, or files"
            )
        found.extend(map(str, inside))
    return found


def _look_at_photo(
    vision: Vision[Any, Any],
    path: Path,
    request: Request,
    report: Report,
    output: Output,
    names: Names,
) -> None:
    from atoll.adapters.drawing import draw
    from atoll.adapters.results import to_json
    from atoll.data.decode import UnreadablePhoto, decode
    from atoll.files import replacing

    try:
        # A classifier reads a file no larger than it must; all others need the whole photo.
        image: Image.Image | None = None if vision.task == "classify" else decode(path)
        seen = vision.see(path if image is None else image, request.wanted)
        if request.draw is not None and image is None:
            image = decode(path)
    except UnreadablePhoto as error:
        raise DatasetError(
            path, "it must be a photo", received=error, fix="Name a JPEG or PNG file"
        ) from error
    document: dict[str, Any] = {"photo": str(path)}
    if image is not None and vision.task != "classify":
        document |= {"width": image.width, "height": image.height}
    document[report.key] = to_json(seen)
    if report.extra is not None:
        document |= report.extra(path, seen)
    if request.draw is not None and image is not None:
        target = request.draw / f"{names.unused(path.stem)}.png"
        with replacing(target) as temporary:
            draw(image, seen, request.wanted.threshold).save(temporary)
        document["drawn"] = str(target)
    output.photo(document, report.lines(seen) or ["nothing"])


def check_top(top: int) -> None:
    """Refuses to tell less than one thing. Raises UsageError."""
    if top < 1:
        raise UsageError("--top", "it must be 1 or more", received=top, fix="Choose 1 or more")
