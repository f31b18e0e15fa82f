"""A device of this process: opened when it is first needed, lost, and opened again."""

from __future__ import annotations

import collections
import itertools
import threading
from typing import TYPE_CHECKING

from atoll.errors import AtollError, DeviceError, DeviceLostError
from atoll.runtime.driver.backoff import Backoff
from atoll.runtime.driver.connection import Connection
from atoll.runtime.driver.guard import without_guard
from atoll.runtime.driver.wire import ConnectionLost

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from atoll.runtime.driver.connection import Hosted, Opened
    from atoll.runtime.driver.options import DriverOptions

_BLIND = without_guard("the driver's calls of libusb do not come to it")


class DeviceHost:
    """A device of this process, which all models on it share. Calls take turns.

    Args:
        device: The device's name.
        options: How it is to be opened.
        clock: Seconds that only grow.
        before: Devices that are about to be given back, of which one may be the same.

    Attributes:
        device: The same.
        options: The same.
        holders: How many hold it. `atoll.runtime.driver.hosts` counts them.
        notes: What a user should know, a sentence each.
    """

    def __init__(
        self,
        device: str,
        options: DriverOptions,
        clock: Callable[[], float],
        before: Sequence[DeviceHost] = (),
    ) -> None:
        self.device = device
        self.options = options
        self.holders = 0
        self._before = list(before)
        self._closed = threading.Event()
        self.notes: list[str] = []
        self._backoff = Backoff(clock)
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._opened_before = False
        self._reason = ""
        # Of each model that is loaded, whether it has been called.
        self._loaded: dict[int, bool] = {}
        self._dropped: collections.deque[int] = collections.deque()
        self._numbers = itertools.count(1)

    @property
    def pid(self) -> int | None:
        """The process that hosts the driver; None while there is none."""
        connection = self._connection
        return None if connection is None else connection.pid

    @property
    def opened_as(self) -> str:
        """The name, with a number, of the device that is open; empty where none is."""
        connection = self._connection
        return "" if connection is None else connection.opened.device

    def takes(self, options: DriverOptions) -> bool:
        """Whether it is open with such options, or can be: until it is open, it takes any."""
        if self.options.same_driver(options):
            return True
        if not self._lock.acquire(blocking=False):
            return False
        try:
            if self._connection is None:
                self.options = options
            return self._connection is None
        finally:
            self._lock.release()

    def open(self) -> Opened:
        """Opens the device, where it is not open.

        Raises:
            DeviceError: It cannot be opened.
            DeviceLostError: It was lost, and it is not yet time to try again.
        """
        with self._lock:
            return self._ready().opened

    def number(self) -> int:
        """A number for a new model."""
        return next(self._numbers)

    def load(self, model: Hosted, options: DriverOptions) -> None:
        """Loads a model. Raises DeviceError, or ModelError where the driver refuses it."""
        with self._lock:
            self._with(model, self._ready(), options)

    def call(self, model: Hosted, options: DriverOptions) -> None:
        """Runs a model once.

        Raises:
            DeviceLostError: The device was lost.
            ModelError: A model that runs in software cannot be run.
        """
        with self._lock:
            connection = self._ready()
            self._with(model, connection, options)
            called = self._loaded[model.number]
            try:
                connection.call(model, options.call_s if called else options.start_s)
            except ConnectionLost as error:
                raise self._lost(str(error)) from None
            self._loaded[model.number] = True
            self._backoff.worked()
            if connection.blind:
                self._note(_BLIND)

    def drop(self, number: int) -> None:
        """Has the device forget a model, at the next call. It may be called from a finalizer."""
        self._dropped.append(number)

    def kill(self) -> None:
        """Ends the driver's process at once, as if it had crashed."""
        connection = self._connection
        if connection is not None:
            connection.kill()

    def close(self) -> None:
        """Gives the device back."""
        with self._lock:
            self._give_back()
        self._closed.set()

    def end(self, patience_s: float) -> None:
        """Gives the device back at the end of the program, which must not wait for a silent one.

        Args:
            patience_s: How long a call may still take; then it is cut off.
        """
        if not self._lock.acquire(timeout=patience_s):
            self.kill()
            return
        try:
            self._give_back()
        finally:
            self._lock.release()

    def forget(self) -> None:
        """For a fork of this process: the device is its parent's."""
        self._lock = threading.Lock()
        self._before = []
        connection, self._connection = self._connection, None
        self._loaded = {}
        if connection is not None:
            connection.forget()

    def _give_back(self) -> None:
        connection, self._connection = self._connection, None
        self._loaded.clear()
        if connection is not None:
            connection.close()

    def _ready(self) -> Connection:
        """The open device; it is opened again where it was lost and enough time has passed."""
        if self._connection is None:
            left = self._backoff.left_s
            if left > 0:
                raise DeviceLostError(
                    self.device,
                    "the device was lost, and is not yet tried again",
                    received=self._reason,
                    fix=f"It is opened again at the first call after {_seconds(left)}",
                )
            while self._before:
                self._before.pop()._closed.wait(self.options.start_s)
            try:
                self._connection = Connection(self.device, self.options)
            except ConnectionLost as error:
                raise self._lost(str(error)) from None
            except DeviceError as error:
                if not self._opened_before:
                    raise
                raise self._lost(f"{error.rule}: {error.received}") from None
            self._opened_before = True
            if self._connection.opened.note:
                self._note(self._connection.opened.note)
        while self._dropped:
            self._forget_model(self._connection, self._dropped.popleft())
        return self._connection

    def _with(self, model: Hosted, connection: Connection, options: DriverOptions) -> None:
        if model.number in self._loaded:
            return
        try:
            model.sent_to(connection, options.start_s)
        except ConnectionLost as error:
            raise self._lost(str(error)) from None
        self._loaded[model.number] = False

    def _forget_model(self, connection: Connection, number: int) -> None:
        if self._loaded.pop(number, None) is None:
            return
        try:
            connection.drop(number, self.options.start_s)
        except ConnectionLost as error:
            raise self._lost(str(error)) from None

    def _lost(self, reason: str) -> AtollError:
        """Notes that the device is gone. Returns the error that says so."""
        self._connection = None
        self._loaded.clear()
        self._reason = reason
        delay = self._backoff.lost()
        return DeviceLostError(
            self.device,
            "the device was lost",
            received=reason,
            fix=f"{_cure(self.device)}; it is opened again at the first call after "
            f"{_seconds(delay)}",
        )

    def _note(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)


def _cure(device: str) -> str:
    kind = device.partition(":")[0]
    cures = {"sim": "Call again", "pci": "Check that it is not too hot (atoll doctor)"}
    return cures.get(kind, "Check the stick, its cable and its power (atoll doctor)")


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s"
