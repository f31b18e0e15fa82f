"""What classify, detect, segment and pose have in common: look at each input, tell, draw."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atoll.errors import DatasetError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from PIL import Image

    from atoll.adapters.table import Wanted
    from atoll.adapters.vision import Vision
    from atoll.cli.vision_output import Output
    from atoll.data.decode import UnreadablePhoto


# What pictures and videos are written as.
_WRITTEN = (".png", ".mp4")


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

    if request.as_json and request.as_lines:
        raise UsageError(
            "--jsonl", "it takes the place of --json", received="both", fix="Choose one"
        )
    inputs = expanded(request.inputs)
    check_recording(vision, request, any(is_video(source.name) for source in inputs))
    for folder in (request.draw, request.clips):
        if folder is not None:
            make_folder(folder)
    head = {"model": str(model), "device": vision.device}
    output: Output = (
        LinesOutput() if request.as_lines else JsonOutput(head) if request.as_json else TextOutput()
    )
    names = Names(inputs, (request.draw, request.clips))
    for remark in vision.remarks():
        sys.stderr.write(f"{remark}\n")
    try:
        for source in inputs:
            if is_video(source.name):
                look_at_video(vision, source.name, request, report, output, names)
            else:
                _look_at_photo(vision, source, request, report, output, names)
    except BaseException:
        output.end(complete=False, notes=vision.notes)
        raise
    notes = vision.notes
    output.end(notes=notes)
    for note in notes:
        sys.stderr.write(f"{note}\n")


@dataclass(frozen=True)
class Source:
    """Something to look at.

    Attributes:
        name: A photo's path, a video's, or a camera.
        in_folder: Whether it was found in a folder. Such a photo is skipped where it cannot be
            read; one that was named is an error.
    """

    name: str
    in_folder: bool = False


class Names:
    """Names of files to write: each is given once, and none is that of something to look at.

    Args:
        sources: What is looked at.
        folders: Where files go; None for nowhere.
    """

    def __init__(self, sources: Iterable[Source], folders: Iterable[Path | None]) -> None:
        places = {folder.resolve() for folder in folders if folder is not None}
        paths = (Path(source.name) for source in sources)
        self._given = {
            path.stem
            for path in paths
            if path.suffix.lower() in _WRITTEN and path.parent.resolve() in places
        }

    def unused(self, stem: str) -> str:
        """The stem, with a number behind it where it has been given before."""
        name, count = stem, 1
        while name in self._given:
            count += 1
            name = f"{stem}-{count}"
        self._given.add(name)
        return name


def expanded(inputs: Sequence[str]) -> list[Source]:
    """The inputs, with the photos of a folder in its place. Raises DatasetError."""
    from atoll.data.names import PHOTO_SUFFIXES

    found: list[Source] = []
    for source in inputs:
        if not Path(source).is_dir():
            found.append(Source(source))
            continue
        inside = sorted(p for p in Path(source).iterdir() if p.suffix.lower() in PHOTO_SUFFIXES)
        if not inside:
            raise DatasetError(
                source, "a folder must hold photos", received="none", fix="Name another, or files"
            )
        found.extend(Source(str(path), in_folder=True) for path in inside)
    return found


def unreadable(source: Source, error: UnreadablePhoto) -> str:
    """Why a photo is skipped. Raises DatasetError where it must not be."""
    if source.in_folder:
        return str(error)
    raise DatasetError(
        source.name, "it must be a photo", received=error, fix="Name a JPEG or PNG file"
    ) from error


def _look_at_photo(
    vision: Vision[Any, Any],
    source: Source,
    request: Request,
    report: Report,
    output: Output,
    names: Names,
) -> None:
    from atoll.adapters.drawing import draw
    from atoll.adapters.results import to_json
    from atoll.data.decode import UnreadablePhoto, decode
    from atoll.files import replacing

    path = Path(source.name)
    try:
        # A classifier reads a file no larger than it must; all others need the whole photo.
        image: Image.Image | None = None if vision.task == "classify" else decode(path)
        seen = vision.see(path if image is None else image, request.wanted)
        if request.draw is not None and image is None:
            image = decode(path)
    except UnreadablePhoto as error:
        sys.stderr.write(f"{path}: skipped: {unreadable(source, error)}\n")
        return
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
