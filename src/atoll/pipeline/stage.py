"""One segment of a pipeline: its thread, between the queue before it and the one behind it."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from atoll.pipeline.pipe import Ended

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    import numpy as np

    from atoll.pipeline.pipe import Pipe
    from atoll.pipeline.runner import OpenModel

    Tensors: TypeAlias = dict[str, np.ndarray]


@dataclass(frozen=True)
class SegmentStats:
    """What one segment did so far: where a pipeline is slow, and why.

    Attributes:
        name: The segment's file, or "segment 0".
        device: Where it runs; empty where that is unknown.
        count: How many inputs it has run.
        mean_ms: How long each took, on average; 0 without any.
        waiting: How many inputs wait for it now.
        starved_ms: How long it waited for each input, on average.
        blocked_ms: How long it waited for room behind it each time, on average.
    """

    name: str
    device: str
    count: int
    mean_ms: float
    waiting: int
    starved_ms: float
    blocked_ms: float


class Stage:
    """A segment, running.

    Args:
        name: What to call it.
        model: The segment on its device.
        kept: The names of the tensors that are needed behind it.
        before: Where its inputs come from.
        behind: Where its outputs go.
        failed: Is told of an error, in the segment's own thread.

    Attributes:
        name: As above.
        thread: Its thread.
    """

    def __init__(
        self,
        name: str,
        model: OpenModel,
        kept: frozenset[str],
        before: Pipe[Tensors],
        behind: Pipe[Tensors],
        failed: Callable[[BaseException], None],
    ) -> None:
        self.name = name
        self.thread = threading.Thread(target=self._run, name=f"atoll {name}", daemon=True)
        self._model = model
        self._takes = [info.name for info in model.inputs]
        self._gives = [info.name for info in model.outputs]
        self._kept = kept
        self._before = before
        self._behind = behind
        self._failed = failed
        self._count = 0
        self._seconds = self._starved = self._blocked = 0.0

    def stats(self) -> SegmentStats:
        """What it did so far."""
        mean = 1000 / self._count if self._count else 0.0
        return SegmentStats(
            self.name,
            getattr(self._model, "device", ""),
            self._count,
            mean * self._seconds,
            len(self._before),
            mean * self._starved,
            mean * self._blocked,
        )

    def _run(self) -> None:
        try:
            while True:
                self._step()
        except Ended:
            self._behind.end()
        except BaseException as error:
            self._failed(error)

    def _step(self) -> None:
        began = time.perf_counter()
        tensors = self._before.take()
        taken = time.perf_counter()
        results = self._model.invoke(*(tensors[name] for name in self._takes))
        run = time.perf_counter()
        tensors.update(zip(self._gives, results, strict=True))
        self._behind.put({name: tensors[name] for name in tensors if name in self._kept})
        self._count += 1
        self._starved += taken - began
        self._seconds += run - taken
        self._blocked += time.perf_counter() - run
