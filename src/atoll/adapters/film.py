"""Writes video: H.264 in an MP4 file, whole or not at all."""

from __future__ import annotations

import contextlib
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from atoll.adapters.video import Frame, load_av
from atoll.errors import OutputError
from atoll.files import output_error, replacing

if TYPE_CHECKING:
    from pathlib import Path

# The best first; the last is in every build of FFmpeg.
_CODECS: tuple[tuple[str, dict[str, str]], ...] = (
    ("libx264", {"crf": "20", "preset": "veryfast"}),
    ("libopenh264", {}),
    ("mpeg4", {"qscale": "4"}),
)
# Of a second. MPEG-4 knows no finer one; times of 24, 25, 30 and 30000/1001 frames are whole.
_TICKS = 60_000


class Film:
    """A video file that is being written: under a temporary name, until it is closed.

    Args:
        path: The file; its folder must exist.
        rate: Frames a second, on average: what the encoder plans for. Each frame keeps its time.

    Attributes:
        path: As above.
        count: Frames written.

    Raises:
        OutputError: It cannot be written.
        ExtraError: PyAV is not installed.
    """

    def __init__(self, path: Path, rate: float) -> None:
        self.path = path
        self.count = 0
        self._av = load_av("writing video")
        self._rate = rate
        self._stack = contextlib.ExitStack()
        self._temporary = self._stack.enter_context(replacing(path))
        self._container: Any = None
        self._stream: Any = None
        self._first = 0.0
        self._last = -1

    def write(self, frame: Frame, pixels: np.ndarray | None = None) -> None:
        """Adds a frame.

        Args:
            frame: The frame; its time counts from that of the first frame written.
            pixels: What to show instead of the frame's own pixels, (height, width, 3), RGB.
        """
        if pixels is None and frame.turns:
            pixels = frame.pixels()
        native = frame.native
        if pixels is not None:
            native = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), "rgb24")
        with self._failing():
            if self._container is None:
                self._open(native.width, native.height)
                self._first = frame.time
            shown = native.reformat(self._stream.width, self._stream.height, "yuv420p")
            # Times never stand still or run back, whatever the source says.
            ticks = max(round((frame.time - self._first) * _TICKS), self._last + 1)
            shown.pts, shown.time_base = ticks, Fraction(1, _TICKS)
            shown.pict_type = self._av.video.frame.PictureType.NONE
            self._last = ticks
            self._container.mux(self._stream.encode(shown))
        self.count += 1

    def close(self) -> None:
        """Ends the file and gives it its name; without a frame there is none."""
        if self._container is None:
            self.discard()
            return
        with self._failing():
            self._container.mux(self._stream.encode())
            self._container.close()
        self._stack.close()

    def discard(self) -> None:
        """Leaves nothing of it."""
        if self._container is not None:
            with contextlib.suppress(*self._failures()):
                self._container.close()
        # What is raised in a context that replaces a file has it removed.
        with contextlib.suppress(_Discarded), self._stack:
            raise _Discarded

    def _open(self, width: int, height: int) -> None:
        codec, options = next(
            row for row in _CODECS if row[0] in self._av.codecs_available or row is _CODECS[-1]
        )
        self._container = self._av.open(str(self._temporary.absolute()), "w", format="mp4")
        rate = Fraction(self._rate).limit_denominator(1001)
        self._stream = self._container.add_stream(codec, rate=rate, options=dict(options))
        # Colours are told for blocks of 2x2 pixels.
        self._stream.width, self._stream.height = max(2, width // 2 * 2), max(2, height // 2 * 2)
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.time_base = Fraction(1, _TICKS)
        # A place that cannot be written to is met now, not when the encoder gives its first bytes.
        self._container.start_encoding()

    def _failures(self) -> tuple[type[Exception], ...]:
        return (self._av.error.FFmpegError, ValueError)

    @contextlib.contextmanager
    def _failing(self) -> Any:
        """Makes FFmpeg's errors ours, and removes what was written."""
        try:
            yield
        except self._failures() as error:
            failure = (
                output_error(self.path, error)
                if isinstance(error, OSError) and error.errno
                else OutputError(
                    self.path,
                    "the video cannot be encoded",
                    received=str(error),
                    fix="Check that its frames have a usual size",
                )
            )
            self.discard()
            raise failure from error


class _Discarded(Exception):  # noqa: N818 - it is no error, it ends a context
    """A film is given up."""
