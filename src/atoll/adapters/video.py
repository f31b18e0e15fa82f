"""Video files and cameras, frame by frame: one is in memory at a time."""

from __future__ import annotations

import re
import threading
from collections import deque
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import numpy as np

from atoll.closing import Closing
from atoll.data.decode import MAX_PIXELS
from atoll.errors import DatasetError, ExtraError

if TYPE_CHECKING:
    from collections.abc import Iterator

VIDEO_SUFFIXES = frozenset(
    {
        *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".wmv", ".flv", ".3gp"),
        *(".ts", ".mts", ".m2ts", ".mpg", ".mpeg", ".h264", ".h265", ".hevc", ".mjpeg", ".mjpg"),
    }
)
# What comes whether it is read or not: here the newest frames count.
_LIVE = frozenset({"rtsp", "rtsps", "rtmp", "rtmps", "udp", "rtp", "srt", "tcp"})
_URL = re.compile(r"([a-z][a-z0-9+.-]+)://", re.IGNORECASE)
_PASSWORD = re.compile(r"(://[^/@:]*):[^/@]*@")
_DEVICE = re.compile(r"/dev/video\d+")

# Frames of a live source that may wait; beyond, the oldest is dropped.
_WAITING = 4
# Seconds without anything from a live source after which it is given up.
_TIMEOUT_S = 15.0
# Seconds that closing waits for a live source to give up.
_PATIENCE_S = 1.0
# Frames a second, where a source does not say.
_USUAL_RATE = 25.0


def is_video(source: str) -> bool:
    """Whether a name is that of a video file, a camera or a stream, and not of a photo."""
    suffix = PurePath(source).suffix.lower()
    return bool(_URL.match(source) or _DEVICE.fullmatch(source)) or suffix in VIDEO_SUFFIXES


def is_live(source: str) -> bool:
    """Whether a name is that of a camera or a live stream."""
    url = _URL.match(source)
    return bool(_DEVICE.fullmatch(source)) or (url is not None and url[1].lower() in _LIVE)


def shown_name(source: str) -> str:
    """A source's name for a message, without the password that a URL may hold."""
    return _PASSWORD.sub(r"\1:***@", source)


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame.

    Attributes:
        number: Its place among those that were decoded, from 0.
        time: Seconds since the first.
        native: PyAV's VideoFrame.
        turns: Quarter turns to the left that make it upright.
    """

    number: int
    time: float
    native: Any
    turns: int = 0

    def pixels(self) -> np.ndarray:
        """uint8 (height, width, 3), RGB, upright."""
        pixels: np.ndarray = self.native.to_ndarray(format="rgb24")
        return np.ascontiguousarray(np.rot90(pixels, self.turns)) if self.turns else pixels


class Video(Closing):
    """A video file, camera or stream that is open.

    Args:
        source: A file's path, a camera ("/dev/video0") or a URL ("rtsp://...").

    Attributes:
        source: As above.
        live: Whether frames come by themselves: then those that nobody took in time are dropped.
        rate: Frames a second, on average.
        damaged: Parts that could not be decoded, so far.
        dropped: Frames that nobody took in time, so far.

    Raises:
        DatasetError: It cannot be opened, or holds no picture of a usual size.
        ExtraError: PyAV is not installed.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        self.live = is_live(source)
        self.damaged = 0
        self.dropped = 0
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        av = load_av("reading video")
        self._failures = (av.error.FFmpegError, ValueError)
        try:
            # FFmpeg takes what stands before a colon for a protocol, but not after a slash.
            address = source if _URL.match(source) else str(Path(source).absolute())
            self._container = av.open(address, **_how(source))
        except self._failures as error:
            raise _unreadable(source, _reason(error)) from error
        if not self._container.streams.video:
            self._container.close()
            raise _unreadable(source, "no picture in it")
        self._stream = self._container.streams.video[0]
        if self._stream.codec_context is None:
            self._container.close()
            raise _unreadable(source, "pictures of a kind that is not known")
        size = self._stream.codec_context.width * self._stream.codec_context.height
        if size > MAX_PIXELS:
            self._container.close()
            raise _unreadable(source, f"{size / 1e6:,.0f} megapixels a frame")
        self._stream.thread_type = "AUTO"
        rate = self._stream.average_rate or self._stream.guessed_rate
        self.rate = float(rate) if rate else _USUAL_RATE

    def frames(self) -> Iterator[Frame]:
        """Its frames, in order, each once.

        Raises:
            DatasetError: Nothing of it could be decoded, or a live source fell silent.
        """
        return self._newest() if self.live else self._decoded()

    def close(self) -> None:
        """Lets go of it."""
        self._stopped.set()
        if self._thread is None:
            self._container.close()
        else:
            # It closes what it decodes from, which for a silent source may be a while from now.
            self._thread.join(_PATIENCE_S)

    def _decoded(self) -> Iterator[Frame]:
        number, start = 0, None
        last = -1.0
        for native in self._natives():
            time = native.time
            if time is None:
                time = last + 1 / self.rate if number else 0.0
            start = time if start is None else start
            last = time
            yield Frame(number, float(time - start), native, round(native.rotation / 90) % 4)
            number += 1
        if not number:
            raise _unreadable(self.source, "no frame that can be decoded")

    def _natives(self) -> Iterator[Any]:
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except self._failures as error:
                if self.live:
                    raise _unreadable(self.source, _reason(error)) from error
                self.damaged += 1
                return
            if packet is None:
                return
            try:
                decoded = packet.decode()
            except self._failures:
                # The rest may be sound.
                self.damaged += 1
                continue
            yield from decoded

    def _newest(self) -> Iterator[Frame]:
        """Frames decoded in a thread of their own, so that they are taken when they come."""
        waiting: deque[Frame] = deque()
        changed = threading.Condition()
        ended: list[BaseException | None] = []

        def fill() -> None:
            failure: BaseException | None = None
            try:
                for frame in self._decoded():
                    with changed:
                        if len(waiting) == _WAITING:
                            waiting.popleft()
                            self.dropped += 1
                        waiting.append(frame)
                        changed.notify()
                    if self._stopped.is_set():
                        break
            except BaseException as error:
                failure = error
            self._container.close()
            with changed:
                ended.append(failure)
                changed.notify()

        self._thread = threading.Thread(target=fill, name="frames", daemon=True)
        self._thread.start()
        while True:
            with changed:
                changed.wait_for(lambda: waiting or ended)
                if not waiting:
                    break
                frame = waiting.popleft()
            yield frame
        if ended[0] is not None:
            raise ended[0]


def load_av(purpose: str) -> Any:
    """PyAV, loaded when it is needed.

    Args:
        purpose: What for, for the message.

    Raises:
        ExtraError: It is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise ExtraError(purpose, "video", "av") from error
    return av


def _how(source: str) -> dict[str, Any]:
    """What PyAV is told of a source."""
    if _DEVICE.fullmatch(source):
        return {"format": "v4l2", "timeout": _TIMEOUT_S}
    if not _URL.match(source):
        # A file, such as a playlist, must not make it look elsewhere.
        return {"options": {"protocol_whitelist": "file"}}
    options = {"rtsp_transport": "tcp"} if source.lower().startswith("rtsp") else {}
    return {"timeout": _TIMEOUT_S, "options": options}


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _unreadable(source: str, received: str) -> DatasetError:
    fix = "Check that it is there and sends" if is_live(source) else "Name a video file or camera"
    return DatasetError(
        shown_name(source), "it must be a video that can be read", received=received, fix=fix
    )
