"""One model on several devices, called from any number of threads."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict

from atoll.errors import DeviceError, UsageError
from atoll.pipeline.desk import Desk
from atoll.pipeline.line import Backoff, Line
from atoll.pipeline.opening import check_stateless, opener, software_device
from atoll.pipeline.stream import Stream
from atoll.runtime.feeding import collect, feed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    import numpy as np

    from atoll.pipeline.line import DeviceState
    from atoll.pipeline.runner import OpenDevice, Runner
    from atoll.pipeline.stream import Answer, Call
    from atoll.runtime.interpreter import TensorInfo

_CLOSE_S = 30.0


class Pool:
    """A model on several devices: each call goes to one that is free.

    It is called as `atoll.Interpreter` is, from any number of threads. A device that is lost is
    taken out and its call repeated on another; it is opened again, after a wait that doubles each
    time, and then takes calls again. No call is lost that way, and each has one answer.

    Args:
        model: A .tflite file's path or content.
        devices: The devices' names, such as "usb:0" and "usb:1".
        fallback: A device that is used only while all others are out, such as "sim" or "cpu".
        queue_size: The most calls that wait for a device; `submit` waits for room.
        missing_ok: Whether devices that are not there yet are waited for; if not, it is an error.
        patience_s: While no device is left, calls wait this long for one to come back, in seconds.
            A driver whose process ended is opened again within one.
        attempts: A call with which so many devices were lost ends with an error, so that it does
            not take every device out.
        backoff: How long to wait before a lost device is opened again.
        open_device: Puts the model on the device of a name, in place of `atoll.Interpreter`.
        options: What `atoll.Interpreter` takes beside these, such as threads, twin or timeout_s.

    Attributes:
        name: What messages call it.

    Raises:
        DeviceError: A device is not there, or cannot run the model.
        ModelError: The model cannot be run, or keeps a state from call to call.

    Example:
        >>> with Pool("model_edgetpu.tflite", ["usb:0", "usb:1"], fallback="cpu") as pool:
        ...     for (scores,) in pool.map(frames):
        ...         print(scores.argmax())
    """

    def __init__(
        self,
        model: str | Path | bytes,
        devices: Sequence[str],
        *,
        fallback: str | None = None,
        queue_size: int = 16,
        missing_ok: bool = False,
        patience_s: float = 1.0,
        attempts: int = 3,
        backoff: Backoff | None = None,
        open_device: OpenDevice | None = None,
        **options: Any,
    ) -> None:
        _check_settings(devices, queue_size=queue_size, attempts=attempts)
        self.name = f"pool of {', '.join(devices)}"
        self._desk = Desk(
            self.name,
            devices=len(devices),
            reserve=fallback is not None,
            size=queue_size,
            patience_s=patience_s,
            reasons=self._reasons,
        )
        self._open_device = open_device or opener(model, options)
        self._first: _First | None = None
        how: _How = {"backoff": backoff or Backoff(), "attempts": attempts}
        self._lines = [Line(name, self._opened, self._desk, **how) for name in devices]
        if fallback is not None:
            own = open_device is not None
            name = fallback if own else software_device(model, fallback)
            self._lines.append(Line(name, self._opened, self._desk, reserve=True, **how))
        self._ahead = queue_size + len(devices)
        self._own = threading.local()
        self._threads = {line.thread for line in self._lines}
        for line in self._lines:
            line.thread.start()
        try:
            for error in [line.first_error() for line in self._lines]:
                if error is not None and not (missing_ok and isinstance(error, DeviceError)):
                    raise error
        except BaseException:
            # What went wrong first counts, not a device that does not come back.
            with contextlib.suppress(DeviceError):
                self.close(drop=True)
            raise

    @property
    def inputs(self) -> list[TensorInfo]:
        """What the model takes, in order."""
        return self._known().inputs

    @property
    def outputs(self) -> list[TensorInfo]:
        """What the model gives, in order."""
        return self._known().outputs

    def invoke(self, *arrays: np.ndarray) -> list[np.ndarray]:
        """Runs the model once, on a device that is free.

        Args:
            *arrays: As `atoll.Interpreter.invoke` takes them.

        Returns:
            One array an output.

        Raises:
            DeviceError: There is no device left.
            UsageError: The pool is closed, or the arrays do not fit the inputs.
        """
        if threading.current_thread() in self._threads:
            raise UsageError(
                self.name,
                "what a future calls when it is done must not wait for another call",
                received="invoke in a device's own thread",
                fix="Use submit there",
            )
        return self.submit(*arrays).result()

    def run(
        self, inputs: np.ndarray | Mapping[str, np.ndarray], *, quantized: bool = False
    ) -> dict[str, np.ndarray]:
        """Runs the model on named arrays, once or for a batch, which all devices share.

        Args:
            inputs: As `atoll.Interpreter.run` takes them.
            quantized: Whether outputs are given as the model stores them.

        Returns:
            An array for each output, by its name.

        Raises:
            DeviceError: There is no device left.
            UsageError: The pool is closed, or the arrays do not fit the inputs.
        """
        calls = (tuple(arrays) for arrays in feed(self.name, self.inputs, inputs))
        return collect(self.outputs, list(self.map(calls)), quantized)

    def submit(self, *arrays: np.ndarray) -> Answer:
        """Asks for one call; the futures of one thread are done in the order of its calls.

        Args:
            *arrays: As `atoll.Interpreter.invoke` takes them. They must stay as they are until
                the answer is there.

        Returns:
            A future of the outputs.

        Raises:
            DeviceError: There is no device left.
            UsageError: The pool is closed.
        """
        own: Stream | None = getattr(self._own, "stream", None)
        if own is None:
            own = self._own.stream = self.stream()
        return own.submit(*arrays)

    def map(
        self, items: Iterable[np.ndarray | tuple[np.ndarray, ...]]
    ) -> Iterator[list[np.ndarray]]:
        """Runs the model over a series of inputs on all devices; the answers come in order.

        Args:
            items: One array, or a tuple of one array an input, a call. They are taken a little
                ahead of the answers, as far as the queue goes.

        Yields:
            The outputs of each.

        Raises:
            DeviceError: There is no device left.
            UsageError: The pool is closed, or arrays do not fit the inputs.
        """
        return self.stream().map(items)

    def stream(self) -> Stream:
        """A line of calls with an order of its own, for one caller of many in a thread."""
        return Stream(self._submit, self._ahead)

    def states(self) -> list[DeviceState]:
        """What became of each device so far, the fallback last."""
        return [line.state() for line in self._lines]

    @property
    def waiting(self) -> int:
        """How many calls wait for a device now."""
        return self._desk.waiting

    def close(self, *, drop: bool = False, timeout_s: float = _CLOSE_S) -> None:
        """Ends it: no call is taken any longer, what was taken is finished, the devices are free.

        Args:
            drop: Whether calls that wait for a device end with an error instead.
            timeout_s: How long to wait for a device that does not come back from a call.

        Raises:
            DeviceError: A device did not come back in that time. Its thread is left behind.
        """
        self._desk.close(drop=drop)
        end = time.monotonic() + timeout_s
        for line in self._lines:
            if line.thread is not threading.current_thread():
                line.thread.join(max(0.0, end - time.monotonic()))
                if line.thread.is_alive():
                    raise DeviceError(
                        line.device,
                        f"it must come back from a call within {timeout_s:g} s to be closed",
                        received="no answer",
                        fix="Unplug it, or end the program",
                    )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close(drop=error is not None)

    def _submit(self, call: Call) -> None:
        self._desk.submit(call, bounded=threading.current_thread() not in self._threads)

    def _reasons(self) -> str:
        return "; ".join(f"{line.device}: {line.reason or 'not open yet'}" for line in self._lines)

    def _opened(self, name: str) -> Runner:
        runner = self._open_device(name)
        if self._first is None:
            model = getattr(runner, "model", None)
            if model is not None:
                check_stateless(model, self.name)
            self._first = _First(getattr(runner, "inputs", []), getattr(runner, "outputs", []))
        return runner

    def _known(self) -> _First:
        if self._first is None:
            raise self._desk.no_device()
        return self._first


@dataclass(frozen=True)
class _First:
    """What the first device that was opened says of the model."""

    inputs: list[TensorInfo]
    outputs: list[TensorInfo]


class _How(TypedDict):
    """What all lines have alike."""

    backoff: Backoff
    attempts: int


def _check_settings(devices: Sequence[str], **positive: int) -> None:
    if isinstance(devices, str) or not devices or len(set(devices)) < len(devices):
        raise UsageError(
            "devices",
            "a pool needs a list of devices, each named once",
            received=devices or "none",
            fix='Name them, as in ["usb:0", "usb:1"]',
        )
    for name, value in positive.items():
        if value < 1:
            raise UsageError(name, "it must be 1 or more", received=value, fix="Choose 1 or more")
