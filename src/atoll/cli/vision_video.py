"""Looks at a video or camera: frame by frame, drawn and cut into clips as they come."""

from __future__ import annotations

import contextlib
import difflib
import re
import signal
import sys
import threading
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atoll.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from atoll.adapters.clips import ClipRecorder
    from atoll.adapters.film import Film
    from atoll.adapters.video import Frame, Video
    from atoll.adapters.vision import Vision
    from atoll.cli.vision import Names, Report, Request
    from atoll.cli.vision_output import Output


def check_recording(vision: Vision[Any, Any], request: Request, videos: bool) -> None:
    """Refuses options about clips that do not go together, or name what is never seen.

    Raises:
        UsageError: They do not.
    """
    if bool(request.record_on) != (request.clips is not None):
        missing = "--clips DIR" if request.record_on else "--record-on CLASS"
        raise UsageError(
            "--record-on", "it goes with --clips", received="one of them", fix=f"Add {missing}"
        )
    if request.record_on and not videos:
        raise UsageError(
            "--record-on",
            "clips are cut out of videos",
            received="photos alone",
            fix="Name a video file or a camera",
        )
    known = vision.names()
    for name in sorted(request.record_on):
        # A class without a label is named by its number.
        if known and name not in known and not re.fullmatch(r"class \d+", name):
            near = difflib.get_close_matches(name, known, 1)
            raise UsageError(
                "--record-on",
                "it must be a class that the model knows",
                received=name,
                fix=f"Write {near[0]!r}" if near else "Look into its labels file",
            )


def look_at_video(
    vision: Vision[Any, Any],
    source: str,
    request: Request,
    report: Report,
    output: Output,
    names: Names,
) -> None:
    """Looks at a video to its end, to `request.seconds`, or until it is interrupted.

    What was written until then is whole.

    Raises:
        DatasetError: It cannot be read.
        OutputError: A film or clip cannot be written.
        KeyboardInterrupt: It was interrupted.
    """
    from atoll.adapters.video import Video, shown_name

    with Video(source) as video, _terminated_as_interrupted():
        stem = names.unused(_stem(source, video.live))
        output.video({"video": shown_name(source)})
        film, recorder = _film(request, stem, video), _recorder(request, stem, video)
        started, count = time.monotonic(), 0
        tail: dict[str, Any] = {}
        try:
            for frame in _wanted_frames(video, request.seconds):
                count += 1
                looks = frame.number % request.every == 0 or count == 1
                if looks or film is not None:
                    pixels = frame.pixels()
                if looks:
                    seen = vision.see(pixels, request.wanted)
                _tell(frame, seen, report, output)
                if film is not None:
                    film.write(frame, _drawn(pixels, seen, request))
                if recorder is not None:
                    recorder.add(frame, _is_seen(seen, request))
        except BaseException:
            # What was seen so far may be what it was all about.
            with contextlib.suppress(Exception):
                tail = _ended(film, recorder)
            output.video_end(tail)
            raise
        tail = _ended(film, recorder)
        output.video_end(tail)
        _note(source, video, count, time.monotonic() - started)


def _wanted_frames(video: Video, seconds: float | None) -> Iterator[Frame]:
    for frame in video.frames():
        if seconds is not None and frame.time > seconds:
            return
        yield frame


def _tell(frame: Frame, seen: Any, report: Report, output: Output) -> None:
    from atoll.adapters.results import to_json

    document = {"frame": frame.number, "time": round(frame.time, 3), report.key: to_json(seen)}
    output.frame(document, report.brief(seen))


def _drawn(pixels: Any, seen: Any, request: Request) -> Any:
    """A frame's pixels with what was seen."""
    import numpy as np
    from PIL import Image

    from atoll.adapters.drawing import draw
    from atoll.adapters.results import Mask

    # A stream may change its size between the frames that are looked at.
    fits = not isinstance(seen, Mask) or seen.classes.shape == pixels.shape[:2]
    return np.asarray(draw(Image.fromarray(pixels), seen if fits else [], request.wanted.threshold))


def _is_seen(seen: Any, request: Request) -> bool:
    """Whether what clips are wanted of is there."""
    from atoll.adapters.results import labels_in

    told = request.wanted.threshold
    found = labels_in(seen, told) if told > 0 else labels_in(seen)
    return bool(found & request.record_on)


def _film(request: Request, stem: str, video: Video) -> Film | None:
    from atoll.adapters.film import Film

    return None if request.draw is None else Film(request.draw / f"{stem}.mp4", video.rate)


def _recorder(request: Request, stem: str, video: Video) -> ClipRecorder | None:
    from atoll.adapters.clips import ClipRecorder

    if request.clips is None:
        return None
    return ClipRecorder(
        request.clips, stem, video.rate, before_s=request.before_s, after_s=request.after_s
    )


def _ended(film: Film | None, recorder: ClipRecorder | None) -> dict[str, Any]:
    """Ends what is being written, and says what there is."""
    tail: dict[str, Any] = {}
    if recorder is not None:
        recorder.close()
        tail["clips"] = [
            {
                "path": str(clip.path),
                "start": round(clip.start, 3),
                "end": round(clip.end, 3),
                "frames": clip.frames,
            }
            for clip in recorder.clips
        ]
    if film is not None:
        film.close()
        if film.count:
            tail["drawn"] = str(film.path)
    return tail


def _stem(source: str, live: bool) -> str:
    """What files about a video are called; of a camera, with the time, as it never ends."""
    if not live:
        name = source.rpartition("/")[2] if "://" in source else Path(source).name
        return _plain(name.rpartition(".")[0] or name)
    # Not what stands before an @: it is a password.
    host = re.sub(r"^.*@", "", source.partition("://")[2] or source)
    now = datetime.now().astimezone()
    return f"{_plain(host.strip('/'))}_{now:%Y-%m-%dT%H-%M-%S}"


def _plain(name: str) -> str:
    """A name without what means something to FFmpeg, to a shell, or to a file system."""
    return re.sub(r"[^\w .-]+", "-", name).strip(" -.")[:80] or "video"


def _note(source: str, video: Video, count: int, seconds: float) -> None:
    from atoll.adapters.video import shown_name

    rate = f", {count / seconds:.1f} a second" if seconds > 0 else ""
    lost = f", {video.dropped} dropped, as the model is slower" if video.dropped else ""
    damaged = f", {video.damaged} damaged parts left out" if video.damaged else ""
    sys.stderr.write(f"{shown_name(source)}: {count} frames{rate}{lost}{damaged}\n")


@contextlib.contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """Makes a polite end by a service's manager the same as Ctrl-C: what is written is ended."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
