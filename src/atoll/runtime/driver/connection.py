"""One open device in one process of its own: from its start until it is lost or given back."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from atoll.errors import AtollError, DeviceError, DeviceLostError
from atoll.runtime.driver.arena import Arena, laid_out, unnamed_file
from atoll.runtime.driver.choosing import NotOpenedError
from atoll.runtime.driver.guard import preloading, without_guard
from atoll.runtime.driver.library import library_path
from atoll.runtime.driver.opening import explained
from atoll.runtime.driver.process import WorkerProcess
from atoll.runtime.driver.wire import BLIND, ConnectionLost, Kind, NoAnswer, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from atoll.runtime.driver.options import DriverOptions

_GRACE_S = 3.0
# How long a process that has closed its connection may take to end, and to say why.
_ENDING_S = 2.0


class Hosted:
    """A model that a process is to host.

    Args:
        number: Its number, one of its own for each model of a device.
        content: A .tflite file.
        inputs: The types and shapes of what it takes.
        outputs: The same of what it gives.
        body: What the process must know beside that.

    Attributes:
        number: The same.
        taken: Its inputs, in memory that is shared with the process.
        made: Its outputs, in the same.

    Raises:
        OSError: There is no memory for them.
    """

    def __init__(
        self,
        number: int,
        content: bytes,
        inputs: Sequence[tuple[np.dtype, tuple[int, ...]]],
        outputs: Sequence[tuple[np.dtype, tuple[int, ...]]],
        body: dict[str, Any],
    ) -> None:
        slots = laid_out([*inputs, *outputs])
        self.number = number
        self._content = content
        self._slots, self._inputs = slots, len(inputs)
        self._make()
        self._body = {
            **body,
            "size": len(content),
            "inputs": [slot.to_plain() for slot in slots[: len(inputs)]],
            "outputs": [slot.to_plain() for slot in slots[len(inputs) :]],
        }

    def own(self) -> None:
        """In a fork: has tensors of its own, as those that it inherited are its parent's still.

        Raises:
            DeviceError: There is no memory for them.
        """
        if self._process != os.getpid():
            try:
                self._make()
            except OSError as error:
                raise no_memory(str(self._body["source"]), error) from error

    def _make(self) -> None:
        self._arena = Arena.made(self._slots)
        self.taken = self._arena.arrays[: self._inputs]
        self.made = self._arena.arrays[self._inputs :]
        self._process = os.getpid()

    def sent_to(self, connection: Connection, timeout_s: float) -> None:
        """Has a process load it. Raises ConnectionLost or AtollError."""
        source = str(self._body["source"])
        try:
            content = unnamed_file(max(1, len(self._content)), self._content)
        except OSError as error:
            raise no_memory(source, error) from error
        try:
            files = content, self._arena.file
            connection.request(Kind.LOAD, self.number, self._body, files, timeout_s=timeout_s)
        finally:
            os.close(content)


def no_memory(source: str, error: OSError) -> DeviceError:
    """The error for a model whose tensors, or file, find no place in memory."""
    return DeviceError(
        source,
        "there must be memory for its tensors, and room among the open files",
        received=error.strerror or str(error),
        fix="Free some memory, or raise the number of open files (ulimit -n)",
    )


@dataclass(frozen=True)
class Opened:
    """What a process says of the device that it opened.

    Attributes:
        device: The device's name, with a number.
        version: What the driver says of itself; empty for a simulator.
        runtime: The driver's runtime version; None where it does not say.
        note: What a user should know; empty for nothing.
    """

    device: str
    version: str
    runtime: int | None
    note: str


class Connection:
    """A process that has opened a device.

    Args:
        device: The device: "sim", "sim:N", "edgetpu", "usb:N" or "pci:N".
        options: How it is to be opened.

    Attributes:
        opened: What it says of the device.
        blind: Whether the guard against surplus answers was found to see nothing.

    Raises:
        ConnectionLost: The process ended, or was silent.
        DeviceError: The device cannot be opened.
    """

    def __init__(self, device: str, options: DriverOptions) -> None:
        in_software = device.startswith("sim")
        environ = dict(os.environ)
        path = None if in_software else library_path(options.library)
        note = "" if in_software or device.startswith("pci") else preloading(environ)
        self.blind = False
        self._process = WorkerProcess(device, environ, heard=options.verbosity > 0)
        body = {"library": path, "extra": dict(options.extra), "verbosity": options.verbosity}
        try:
            told = self.request(Kind.OPEN, 0, body, timeout_s=options.start_s).body
        except NotOpenedError as error:
            raise explained(error, self._process.stop(0)) from None
        except BaseException:
            self._process.stop(0)
            raise
        runtime = told.get("runtime")
        named = shown(str(told.get("device", device)))
        if named.startswith("pci"):
            note = ""
        elif not in_software and not told.get("guarded"):
            note = note or without_guard("it did not come to be loaded")
        self.opened = Opened(
            device=named,
            version=shown(str(told.get("version", ""))),
            runtime=runtime if isinstance(runtime, int) else None,
            note=note,
        )

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def request(
        self,
        kind: Kind,
        value: int,
        body: dict[str, Any] | None = None,
        files: tuple[int, ...] = (),
        *,
        timeout_s: float,
    ) -> Any:
        """Asks for something and waits for the answer.

        Raises:
            ConnectionLost: There is none. The process has ended then, and the reason says how.
            AtollError: The process says why not.
        """
        try:
            return self._process.channel.request(kind, value, body, files, timeout_s=timeout_s)
        except ConnectionLost as error:
            ended = self._process.ended(0 if isinstance(error, NoAnswer) else _ENDING_S)
            raise ConnectionLost(ended or f"{error}; its process was ended") from None
        except DeviceLostError as error:
            self._process.kill()
            self._process.ended(_ENDING_S)
            raise ConnectionLost(error.received) from None

    def call(self, model: Hosted, timeout_s: float) -> None:
        """Runs a model once. Raises ConnectionLost or AtollError."""
        if self.request(Kind.CALL, model.number, timeout_s=timeout_s).value & BLIND:
            self.blind = True

    def drop(self, number: int, timeout_s: float) -> None:
        """Has the process forget a model. Raises ConnectionLost."""
        with contextlib.suppress(AtollError):
            self.request(Kind.DROP, number, timeout_s=timeout_s)

    def kill(self) -> None:
        """Ends the process at once, as if it had crashed."""
        self._process.kill()

    def close(self) -> None:
        """Gives the device back and ends the process."""
        self._process.stop(_GRACE_S)

    def forget(self) -> None:
        """For a fork of this process: lets go of what is not its own."""
        self._process.forget()
