"""A model that is cut into segments, each on a device and a thread of its own."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from atoll.closing import Closing
from atoll.errors import DeviceError, UsageError
from atoll.pipeline.pipe import Ended, Pipe
from atoll.pipeline.segment_files import all_segments, check_complete
from atoll.pipeline.segment_plan import Faces, plan
from atoll.pipeline.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import TypeAlias

    from atoll.pipeline.runner import OpenModel
    from atoll.pipeline.stage import SegmentStats, Tensors
    from atoll.runtime.tensor_info import TensorInfo

    Segment: TypeAlias = str | Path | bytes | OpenModel

_CLOSE_S = 30.0


class Segmented(Closing):
    """A pipeline of a model's segments: while one input is in the second, the next is in the first.

    Results come in the order of the inputs. Tensors go from segment to segment by their names; a
    segment may take what any earlier one gives, or the model's inputs.

    What is pushed must stay as it is until its result is there. A program with one thread that
    pushes before it pops needs room for what it pushes: `results_size` is unlimited, unless it is
    set.

    Args:
        segments: In the order in which they run: .tflite files, contents, or interpreters, which
            stay the caller's own to close. Or one file, such as X_segment_0_of_2_edgetpu.tflite:
            the others are found beside it.
        devices: The device of each; None for "auto".
        queue_size: The most inputs that wait for a segment; None for any number.
        results_size: The most results that wait for `pop`, before the last segment waits too.
        options: What `atoll.Interpreter` takes beside these, such as threads or fallback.

    Attributes:
        inputs: What the whole takes, in order.
        outputs: What the whole gives, in order.

    Raises:
        ModelError: A segment cannot be run, or they do not belong together.
        DeviceError: A device is not there.

    Example:
        >>> with Segmented("m_segment_0_of_2_edgetpu.tflite", ["usb:0", "usb:1"]) as pipeline:
        ...     for result in pipeline.map(frames):
        ...         print(result["scores"].argmax())
    """

    def __init__(
        self,
        segments: Sequence[Segment] | str | Path,
        devices: Sequence[str] | None = None,
        *,
        queue_size: int | None = 2,
        results_size: int | None = None,
        **options: Any,
    ) -> None:
        if isinstance(segments, (str, Path)):
            segments = all_segments(Path(segments))
        _check_settings(segments, devices, queue_size, results_size)
        check_complete(segments)
        self._owned: list[OpenModel] = []
        self._stages: list[Stage] = []
        try:
            models = [
                self._opened(segment, "auto" if devices is None else devices[number], options)
                for number, segment in enumerate(segments)
            ]
            faces = [
                Faces(_name(segment, number), model.inputs, model.outputs)
                for number, (segment, model) in enumerate(zip(segments, models, strict=True))
            ]
            found = plan(faces)
        except BaseException:
            self._close_owned()
            raise
        self.inputs: list[TensorInfo] = list(found.inputs)
        self.outputs: list[TensorInfo] = list(found.outputs)
        sizes = [*[queue_size] * len(models), results_size]
        self._pipes: list[Pipe[Tensors]] = [Pipe(size) for size in sizes]
        self._error: BaseException | None = None
        self._lock = threading.Lock()
        self._closed = False
        self._stages = [
            Stage(
                str(face.name),
                model,
                kept,
                self._pipes[number],
                self._pipes[number + 1],
                partial(self._fail, number),
            )
            for number, (face, model, kept) in enumerate(
                zip(faces, models, found.kept, strict=True)
            )
        ]
        for stage in self._stages:
            stage.thread.start()

    def push(self, *arrays: np.ndarray | Mapping[str, np.ndarray]) -> None:
        """Gives the next input, once there is room for it.

        Args:
            *arrays: One a model input, in order, as the model takes it: quantised numbers for a
                quantised model. Or one dict of them, by name.

        Raises:
            UsageError: The arrays do not fit the inputs, or it was ended or closed.
            AtollError: A segment failed: its error.
        """
        given = self._named(arrays)
        try:
            self._pipes[0].put(given)
        except Ended:
            raise self._error or UsageError(
                self._stages[0].name,
                "the pipeline must be open for inputs",
                received="an ended or closed one",
                fix="Open a new one",
            ) from None

    def pop(self) -> dict[str, np.ndarray] | None:
        """Takes the next result, once it is there.

        Returns:
            The last segment's outputs by name; None where it was ended and all are taken, or was
            closed.

        Raises:
            AtollError: A segment failed: its error, once the results before it are taken.
        """
        try:
            return self._pipes[-1].take()
        except Ended:
            if self._error is not None:
                raise self._error from None
            return None

    def end(self) -> None:
        """Takes no more inputs; what is under way is finished, and `pop` gives None behind it."""
        self._pipes[0].end()

    def map(
        self, items: Iterable[np.ndarray | tuple[np.ndarray, ...] | Mapping[str, np.ndarray]]
    ) -> Iterator[dict[str, np.ndarray]]:
        """Runs it over a series of inputs, a few of them ahead of what is taken.

        Nobody else may push or pop meanwhile. If it is left early, what is under way is dropped.

        Args:
            items: One array, a tuple of one a model input, or a dict, each.

        Yields:
            The result of each, in order.

        Raises:
            UsageError: Arrays do not fit the inputs, or it was closed.
            AtollError: A segment failed: its error.
        """
        # One in each segment, and one waiting for each.
        most, under_way = 2 * len(self._stages), 0
        try:
            for item in items:
                try:
                    self.push(*(item if isinstance(item, tuple) else (item,)))
                except BaseException as error:
                    if error is not self._error:
                        raise
                    break  # the results before it come first
                under_way += 1
                while under_way >= most or (under_way and len(self._pipes[-1])):
                    under_way -= 1
                    yield self._popped()
            while under_way or self._error is not None:
                under_way -= 1
                yield self._popped()
        finally:
            with contextlib.suppress(Exception):
                while under_way > 0 and self.pop() is not None:
                    under_way -= 1

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        """The results that another thread's inputs give, up to the end."""
        while (result := self.pop()) is not None:
            yield result

    def stats(self) -> list[SegmentStats]:
        """What each segment did so far."""
        return [stage.stats() for stage in self._stages]

    def close(self, timeout_s: float = _CLOSE_S) -> None:
        """Stops it at once, from any thread: what is under way is dropped, the devices are free.

        Args:
            timeout_s: How long to wait for a device that does not come back from a call.

        Raises:
            DeviceError: A device did not come back in that time. Its thread is left behind.
        """
        self._closed = True
        for pipe in self._pipes:
            pipe.stop()
        end = time.monotonic() + timeout_s
        for stage in self._stages:
            if stage.thread is threading.current_thread():
                continue
            stage.thread.join(max(0.0, end - time.monotonic()))
            if stage.thread.is_alive():
                raise DeviceError(
                    stage.name,
                    f"a device must come back from a call within {timeout_s:g} s to be closed",
                    received="no answer",
                    fix="Unplug it, or end the program",
                )
        self._close_owned()

    def _popped(self) -> dict[str, np.ndarray]:
        result = self.pop()
        if result is None:
            raise UsageError(
                self._stages[0].name,
                "the pipeline must be open",
                received="closed",
                fix="Open a new one",
            )
        return result

    def _opened(self, segment: Segment, device: str, options: dict[str, Any]) -> OpenModel:
        from atoll.runtime.interpreter import Interpreter

        if not isinstance(segment, (str, Path, bytes)):
            return segment
        self._owned.append(Interpreter(segment, device, **options))
        return self._owned[-1]

    def _close_owned(self) -> None:
        while self._owned:
            self._owned.pop().close()

    def _fail(self, number: int, error: BaseException) -> None:
        """A segment failed: those before it stop, those behind it finish, and all end."""
        with self._lock:
            self._error = self._error or error
        for pipe in self._pipes[: number + 1]:
            pipe.stop()
        self._pipes[number + 1].end()

    def _named(self, arrays: tuple[np.ndarray | Mapping[str, np.ndarray], ...]) -> Tensors:
        """Arrays by the names of the inputs that they are for, checked."""
        names = [info.name for info in self.inputs]
        given: Tensors = {}
        if len(arrays) == 1 and isinstance(arrays[0], Mapping):
            given = dict(arrays[0])
        elif len(arrays) == len(names):
            given = dict(zip(names, arrays, strict=True))  # type: ignore[arg-type]
        if set(given) != set(names):
            raise UsageError(
                self._stages[0].name,
                f"the model takes {', '.join(names)}",
                received=", ".join(map(str, given)) or f"{len(arrays)} arrays",
                fix="Give one array for each",
            )
        for info in self.inputs:
            array = np.asarray(given[info.name])
            if array.dtype != info.dtype or array.shape != info.shape:
                raise UsageError(
                    self._stages[0].name,
                    f"input {info.name!r} takes {info.dtype} of shape {list(info.shape)}",
                    received=f"{array.dtype} of shape {list(array.shape)}",
                    fix="Resize and quantise it first",
                )
        return given


def _name(segment: Segment, number: int) -> object:
    if isinstance(segment, (str, Path)):
        return segment
    return getattr(segment, "name", f"segment {number}")


def _check_settings(
    segments: Sequence[Segment],
    devices: Sequence[str] | None,
    queue_size: int | None,
    results_size: int | None,
) -> None:
    if not segments:
        raise UsageError(
            "segments", "there must be at least one", received="none", fix="Name the segments"
        )
    if devices is not None and (isinstance(devices, str) or len(devices) != len(segments)):
        raise UsageError(
            "devices",
            "each segment has one device",
            received=f"{len(segments)} segments, {devices}",
            fix='Name as many, as in ["usb:0", "usb:1"]',
        )
    for name, size in (("queue_size", queue_size), ("results_size", results_size)):
        if size is not None and size < 1:
            raise UsageError(name, "it must be 1 or more", received=size, fix="Choose 1 or more")
