"""Keeps of a video only the clips in which something was seen."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from atoll.adapters.film import Film

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from atoll.adapters.video import Frame

# Of frames that wait to become a clip's beginning: a pre-roll longer than this is cut short.
_MOST_BYTES = 1 << 30


@dataclass(frozen=True)
class Clip:
    """One clip that was written.

    Attributes:
        path: The file.
        start: Seconds since the video's first frame, of the clip's first frame.
        end: Of its last frame.
        frames: How many it has.
    """

    path: Path
    start: float
    end: float
    frames: int


class ClipRecorder:
    """Writes clips: from some seconds before something is seen until some seconds after.

    Every frame of the video is in one clip at most, and a clip leaves none out: something seen
    again while a clip still runs makes it longer.

    Args:
        folder: Where clips go; it must exist. Each has its own name from the first, and is whole
            once it has it.
        name: What their names begin with; their first frame's time follows, in milliseconds.
        rate: Frames a second, on average.
        before_s: Seconds kept before what was seen.
        after_s: Seconds kept after it.

    Attributes:
        clips: Those that are written.

    Raises:
        OutputError: A clip cannot be written.
    """

    def __init__(
        self, folder: Path, name: str, rate: float, *, before_s: float = 2.0, after_s: float = 3.0
    ) -> None:
        self.clips: list[Clip] = []
        self._folder, self._name, self._rate = folder, name, rate
        self._before_s, self._after_s = before_s, after_s
        self._waiting: deque[tuple[Frame, np.ndarray | None, int]] = deque()
        self._bytes = 0
        self._film: Film | None = None
        self._start = self._end = self._until = 0.0

    def add(self, frame: Frame, seen: bool, pixels: np.ndarray | None = None) -> None:
        """Takes the next frame.

        Args:
            frame: The frame.
            seen: Whether what is looked for is on it.
            pixels: What to keep instead of the frame's own pixels.
        """
        if self._film is not None and frame.time > self._until and not seen:
            self._finish()
        if seen:
            self._until = frame.time + self._after_s
        if self._film is None and not seen:
            self._keep(frame, pixels)
            return
        if self._film is None:
            self._begin(frame)
        self._write(frame, pixels)

    def close(self) -> None:
        """Ends the clip that still runs."""
        if self._film is not None:
            self._finish()

    def _keep(self, frame: Frame, pixels: np.ndarray | None) -> None:
        native = frame.native
        size = (
            sum(plane.buffer_size for plane in native.planes) if pixels is None else pixels.nbytes
        )
        self._waiting.append((frame, pixels, size))
        self._bytes += size
        while self._waiting and (
            self._waiting[0][0].time < frame.time - self._before_s or self._bytes > _MOST_BYTES
        ):
            self._bytes -= self._waiting.popleft()[2]

    def _begin(self, frame: Frame) -> None:
        earliest = frame.time - self._before_s
        kept = [row for row in self._waiting if row[0].time >= earliest]
        self._waiting.clear()
        self._bytes = 0
        self._start = kept[0][0].time if kept else frame.time
        path = self._folder / f"{self._name}_{round(self._start * 1000):09d}.mp4"
        self._film = Film(path, self._rate)
        for earlier, pixels, _ in kept:
            self._write(earlier, pixels)

    def _write(self, frame: Frame, pixels: np.ndarray | None) -> None:
        assert self._film is not None
        try:
            self._film.write(frame, pixels)
        except BaseException:
            self._film = None
            raise
        self._end = frame.time

    def _finish(self) -> None:
        assert self._film is not None
        film, self._film = self._film, None
        film.close()
        self.clips.append(Clip(film.path, self._start, self._end, film.count))
