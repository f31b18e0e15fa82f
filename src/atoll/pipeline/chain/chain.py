"""A chain that is open: its models on their devices, ready for photos from any thread."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping
from concurrent.futures import (
    FIRST_COMPLETED,
    CancelledError,
    Future,
    ThreadPoolExecutor,
    wait,
)
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from atoll.adapters.vision import opened_photo
from atoll.closing import Closing
from atoll.errors import AtollError, DeviceError, ModelError, UsageError
from atoll.pipeline.chain.class_names import check_class_names
from atoll.pipeline.chain.graph import graph
from atoll.pipeline.chain.items import View
from atoll.pipeline.chain.reading import read_chain
from atoll.pipeline.chain.results import ChainResult, assemble
from atoll.pipeline.chain.steps import IMAGE
from atoll.pipeline.chain.table import type_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from atoll.adapters.vision import Photo
    from atoll.pipeline.chain.steps import Step
    from atoll.pipeline.chain.table import Worker
    from atoll.pipeline.line import DeviceState


@dataclass(frozen=True)
class StepStats:
    """What one step did so far.

    Attributes:
        name: Its name.
        type: Its type, such as "detect".
        count: How many photos it has worked on.
        given: How many images or findings it gave.
        mean_ms: How long it took a photo, on average; 0 without any.
        devices: What became of each of its devices; empty for a step without a model.
    """

    name: str
    type: str
    count: int
    given: int
    mean_ms: float
    devices: tuple[DeviceState, ...]


class Chain(Closing):
    """Steps that a photo goes through: what one finds, the next looks at more closely.

    Steps that do not wait for each other run at once, as do photos of `map`; any thread may call
    it. Images of one photo that go to a model on several devices are shared among these.

    Args:
        steps: The steps by their names; or a TOML file that tells them.
        name: What messages call it; the file by default.

    Attributes:
        steps: The steps.
        name: As above.

    Raises:
        UsageError: A step cannot be as it is told; the message names it, and the key.
        ModelError: A model cannot be run, or its outputs are not such as its step needs.
        DeviceError: A device is not there, or cannot run its model.

    Example:
        >>> steps = {
        ...     "cars": Detect("ssd.tflite", device="usb:0", threshold=0.4),
        ...     "car photos": Crop(input="cars", margin=0.1),
        ...     "colour": Classify("colours.tflite", input="car photos", device="cpu", most=1),
        ... }
        >>> with Chain(steps) as chain:
        ...     for car in chain.run("street.jpg").found["cars"]:
        ...         print(car.box, car.found["colour"][0].result.label)
    """

    def __init__(self, steps: Mapping[str, Step] | str | Path, name: object = None) -> None:
        self.name = name if name is not None else "chain" if isinstance(steps, Mapping) else steps
        self.steps = dict(steps) if isinstance(steps, Mapping) else read_chain(steps)
        self._graph = graph(self.steps, self.name)
        self._workers: dict[str, Worker] = {}
        self._lock = threading.Lock()
        self._tallies = {name: [0, 0, 0.0] for name in self.steps}
        # A photo's thread waits for its steps' threads, these for none.
        self._photo_threads = ThreadPoolExecutor(len(self.steps) + 1, "atoll photo")
        self._step_threads = ThreadPoolExecutor(
            len(self.steps) * (len(self.steps) + 1), "atoll step"
        )
        self._closed = False
        try:
            for each, step in self.steps.items():
                self._workers[each] = self._opened(each, step)
            check_class_names(self.steps, self._graph, self._workers, self.name)
        except BaseException:
            self.close()
            raise

    def run(self, photo: Photo) -> ChainResult:
        """What is on a photo.

        Args:
            photo: A file, an image, or uint8 pixels (height, width, 3) in RGB order.

        Returns:
            What was found.

        Raises:
            UnreadablePhoto: The file is no photo.
            DeviceError: A device failed, and no other is left.
            UsageError: The chain is closed.
        """
        image = opened_photo(photo)
        values: dict[str, list[Any]] = {IMAGE: [View(image, image)]}
        waiting = dict(self._graph.takes)
        running: dict[Future[list[Any]], str] = {}
        try:
            while waiting or running:
                ready = [
                    name
                    for name in self._graph.order
                    if name in waiting and all(given in values for given in waiting[name])
                ]
                alone = len(ready) == 1 and not running
                for name in ready:
                    items = [item for given in waiting.pop(name) for item in values[given]]
                    if alone:
                        values[name] = self._work(name, items)
                    else:
                        running[self._step_threads.submit(self._work, name, items)] = name
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    values[running.pop(future)] = future.result()
        except RuntimeError as error:
            if self._closed:
                raise self._closed_error() from error
            raise
        finally:
            wait(running)
        return assemble(image.size, self._graph, values)

    def map(self, photos: Iterable[Photo]) -> Iterator[ChainResult]:
        """What is on each of many photos, or a camera's frames: a few at once, in order.

        Args:
            photos: As `run` takes them. They are taken a little ahead of the results.

        Yields:
            What was found.

        Raises:
            UnreadablePhoto: A file is no photo.
            DeviceError: A device failed, and no other is left.
        """
        under_way: deque[Future[ChainResult]] = deque()
        try:
            for photo in photos:
                under_way.append(self._photo_threads.submit(self.run, photo))
                while under_way and (len(under_way) > len(self.steps) or under_way[0].done()):
                    yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()
        except (CancelledError, RuntimeError) as error:
            if self._closed:
                raise self._closed_error() from error
            raise
        finally:
            for future in under_way:
                future.cancel()

    def stats(self) -> list[StepStats]:
        """What each step did so far."""
        stats = []
        for name, step in self.steps.items():
            count, given, seconds = self._tallies[name]
            states = getattr(self._workers[name], "states", tuple)
            stats.append(
                StepStats(
                    name,
                    type_of(step).name,
                    int(count),
                    int(given),
                    1000 * seconds / count if count else 0.0,
                    tuple(states()),
                )
            )
        return stats

    @property
    def notes(self) -> list[str]:
        """What a user should know of how it ran so far, a sentence each: devices that were lost."""
        return [
            f"{self.name}, step {name!r}: {note}"
            for name, worker in self._workers.items()
            for note in (worker.notes() if hasattr(worker, "notes") else ())
        ]

    def close(self) -> None:
        """Finishes the photos that are under way, and gives all devices back."""
        self._closed = True
        self._photo_threads.shutdown(cancel_futures=True)
        self._step_threads.shutdown()
        for worker in self._workers.values():
            close = getattr(worker, "close", None)
            if close is not None:
                close()

    def _opened(self, name: str, step: Step) -> Worker:
        try:
            return type_of(step).open(name, step)
        except AtollError as error:
            raise self._located(name, error) from error

    def _work(self, name: str, items: list[Any]) -> list[Any]:
        began = time.perf_counter()
        try:
            given = self._workers[name](items)
        except AtollError as error:
            raise self._located(name, error) from error
        with self._lock:
            tally = self._tallies[name]
            tally[0] += 1
            tally[1] += len(given)
            tally[2] += time.perf_counter() - began
        return given

    def _located(self, name: str, error: AtollError) -> AtollError:
        """The same error, which says whose step it is."""
        if self._closed and isinstance(error, UsageError):
            return self._closed_error()
        known = next(
            (k for k in (DeviceError, ModelError, UsageError) if isinstance(error, k)), None
        )
        if known is None:
            return error
        where = f"{self.name}, step {name!r}: {error.thing}"
        return known(where, error.rule, received=error.received, fix=error.fix)

    def _closed_error(self) -> UsageError:
        return UsageError(
            self.name, "the chain must be open", received="closed", fix="Open a new one"
        )
