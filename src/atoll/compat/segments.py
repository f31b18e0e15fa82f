"""Segments in a line: a thread each, and queues between them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from atoll.compat.handles import fill, is_ready, run, tensor_view
from atoll.pipeline.pipe import Ended, Pipe

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from atoll.compat.tflite_runtime.interpreter import Interpreter

    Named = dict[str, np.ndarray]

# Between segments one is enough to keep all of them at work.
_BETWEEN = 1
_OFF = "Pipeline was turned off before."


class Line:
    """Interpreters in a line.

    Tensors travel by their names. Inputs and results may be any number, until a size is set.

    Args:
        interpreters: One a segment, in order.
    """

    def __init__(self, interpreters: Sequence[Interpreter]) -> None:
        sizes = [None, *[_BETWEEN] * (len(interpreters) - 1), None]
        self._pipes: list[Pipe[Named]] = [Pipe(size) for size in sizes]
        self._failures = _Failures(self._pipes)
        self._threads = [
            threading.Thread(
                target=segment.work,
                args=(*self._pipes[segment.number : segment.number + 2], self._failures),
                name=f"segment {segment.number}",
                daemon=True,
            )
            for segment in _segments(interpreters)
        ]
        for thread in self._threads:
            thread.start()

    def put(self, tensors: Named) -> None:
        """Gives the next input, once there is room for it.

        Raises:
            RuntimeError: A segment has failed, or it was ended.
        """
        try:
            self._pipes[0].put(tensors)
        except Ended:
            raise RuntimeError(self._failures.first or _OFF) from None

    def take(self) -> Named | None:
        """Takes the next result, once it is there; None behind the last.

        Raises:
            RuntimeError: A segment has failed; it is told once.
        """
        try:
            return self._pipes[-1].take()
        except Ended:
            self._failures.tell()
            return None

    def resize(self, *, inputs: int | None = None, outputs: int | None = None) -> None:
        """Sets how many inputs or results may wait."""
        for size, pipe in ((inputs, self._pipes[0]), (outputs, self._pipes[-1])):
            if size is not None:
                pipe.resize(size)

    def end(self) -> None:
        """Takes no more inputs, and waits until all segments are done.

        Raises:
            RuntimeError: A segment has failed, or it was ended before.
        """
        if not self._failures.ended.acquire(blocking=False):
            raise RuntimeError(self._failures.first or _OFF)
        self._pipes[0].end()
        for thread in self._threads:
            thread.join()
        if self._failures.first is not None:
            raise RuntimeError(self._failures.first)

    def drain(self) -> int:
        """Ends it, and takes what is left.

        Returns:
            How many results nobody had taken.
        """
        self._pipes[0].end()
        self._pipes[-1].resize(None)
        left = 0
        while True:
            try:
                self._pipes[-1].take()
            except Ended:
                return left
            left += 1


class _Failures:
    """What went wrong first, and who is told."""

    def __init__(self, pipes: Sequence[Pipe[Named]]) -> None:
        self.first: str | None = None
        self.ended = threading.Lock()
        self._told = False
        self._lock = threading.Lock()
        self._pipes = pipes

    def add(self, number: int, reason: Exception) -> None:
        with self._lock:
            self.first = self.first or f"Segment {number} runner error: {reason}"
        for pipe in self._pipes[:-1]:
            pipe.stop()
        self._pipes[-1].end()

    def tell(self) -> None:
        with self._lock:
            told, self._told = self._told, True
        if self.first is not None and not told:
            raise RuntimeError(self.first)


class _Segment:
    """One interpreter at work.

    Args:
        number: Its place in the line.
        interpreter: The interpreter.
        later: The names that segments behind it take; None for the last.
    """

    def __init__(self, number: int, interpreter: Interpreter, later: set[str] | None) -> None:
        self.number = number
        self._interpreter = interpreter
        self._later = later
        self._takes = _indices(interpreter.get_input_details())
        self._gives = _indices(interpreter.get_output_details())

    def work(self, taken: Pipe[Named], given: Pipe[Named], failures: _Failures) -> None:
        """Runs what comes, until nothing more does or it fails."""
        try:
            while True:
                given.put(self._run(taken.take()))
        except Ended:
            given.end()
        except Exception as error:
            failures.add(self.number, error)

    def _run(self, tensors: Named) -> Named:
        interpreter = self._interpreter
        if not is_ready(interpreter):
            run(interpreter)
        for name, index in self._takes.items():
            view = tensor_view(interpreter, index)
            if view.nbytes != tensors[name].nbytes:
                raise RuntimeError(
                    f"{tensors[name].nbytes} bytes for tensor {name!r} of {view.nbytes} bytes."
                )
            fill(view, tensors[name].ctypes.data)
            del view
        run(interpreter)
        results = {name: tensor_view(interpreter, i).copy() for name, i in self._gives.items()}
        if self._later is None:
            return results
        return {name: tensors[name] for name in self._later & tensors.keys()} | results


def _indices(details: Sequence[dict[str, Any]]) -> dict[str, int]:
    return {detail["name"]: int(detail["index"]) for detail in details}


def _segments(interpreters: Sequence[Interpreter]) -> list[_Segment]:
    segments: list[_Segment] = []
    later: set[str] | None = None
    for number in reversed(range(len(interpreters))):
        segments.insert(0, _Segment(number, interpreters[number], later))
        later = (later or set()) | _indices(interpreters[number].get_input_details()).keys()
    return segments
