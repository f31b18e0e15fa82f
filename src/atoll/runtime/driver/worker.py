"""The process that hosts a driver: it opens a device, loads models, and answers one call at a time.

Started by `atoll.runtime.driver.process`, and by nobody else:

    python -m atoll.runtime.driver.worker NAME SOCKET
"""

from __future__ import annotations

import ctypes as c
import mmap
import os
import select
import signal
import socket
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from atoll.errors import AtollError, DeviceError, DeviceLostError, ModelError
from atoll.runtime.driver.arena import Arena, Slot
from atoll.runtime.driver.guard import Guard, SurplusError
from atoll.runtime.driver.library import words_of
from atoll.runtime.driver.opening import open_driver
from atoll.runtime.driver.wire import BLIND, Channel, Kind, Message, from_error

if TYPE_CHECKING:
    from collections.abc import Sequence

    from atoll.runtime.driver.library import DriverLibrary
    from atoll.runtime.driver.shim import ShimmedDelegate

# What LiteRT raises.
_FAILURES = (RuntimeError, ValueError, TypeError)
_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Answers until the program that started it closes the connection, or ends."""
    number = int(sys.argv[2])
    _end_with_parent(number)
    # A service manager ends all of a program's processes at once; but this one is needed until the
    # program itself has ended, which then ends this one.
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    channel = Channel(socket.socket(fileno=number))
    host = _Host()
    while (message := channel.receive()) is not None:
        try:
            kind, value, body = Kind.DONE, *host.answer(message)
        except AtollError as error:
            kind, value, body = Kind.FAILED, 0, from_error(error)
        channel.send(Message(kind, message.number, value, body))
    host.close()
    sys.stderr.flush()
    # The driver's library has threads: no destructors may run under them.
    os._exit(0)


class _Host:
    """A device, and the models that are loaded."""

    def __init__(self) -> None:
        self._name = sys.argv[1]
        self._library: DriverLibrary | None = None
        self._delegate: ShimmedDelegate | None = None
        self._guard: Guard | None = None
        self._models: dict[int, _Model] = {}

    def answer(self, message: Message) -> tuple[int, dict[str, Any]]:
        """Does what is asked. Returns the value and the body of the reply. Raises AtollError."""
        if message.kind == Kind.CALL:
            return self._call(self._models[message.value]), {}
        if message.kind == Kind.LOAD:
            self._models[message.value] = self._loaded(message)
            return 0, {}
        if message.kind == Kind.DROP:
            self._models.pop(message.value, None)
            return 0, {}
        return 0, self._opened(message.body)

    def close(self) -> None:
        """Gives all back: models before the delegate, which they call when they end."""
        self._models.clear()
        if self._delegate is not None:
            self._delegate.close()

    def _opened(self, asked: dict[str, Any]) -> dict[str, Any]:
        import ai_edge_litert.interpreter  # noqa: F401  (so that the first model need not wait)

        if asked["library"] is None:
            return {"device": self._name, "version": "", "runtime": None, "guarded": False}
        library, delegate = open_driver(
            asked["library"], self._name, asked["extra"], asked["verbosity"]
        )
        self._library, self._delegate = library, delegate
        if delegate.device.startswith("usb") and Guard.loaded():
            self._guard = Guard()
        return {
            "device": delegate.device,
            "version": library.version,
            "runtime": library.runtime,
            "guarded": self._guard is not None,
        }

    def _loaded(self, message: Message) -> _Model:
        asked = message.body
        if len(message.files) != 2:
            raise DeviceError(
                asked["source"],
                "there must be room for its tensors among the open files",
                received="too many open files",
                fix="Raise their number (ulimit -n)",
            )
        content, tensors = message.files
        with mmap.mmap(content, 0, access=mmap.ACCESS_READ) as memory:
            model = memory[: asked["size"]]
        os.close(content)
        inputs = [Slot.from_plain(plain) for plain in asked["inputs"]]
        outputs = [Slot.from_plain(plain) for plain in asked["outputs"]]
        arena = Arena(tensors, [*inputs, *outputs])
        litert = self._on_chip(model, asked) if asked["chip"] else _in_software(model, asked)
        arrays = arena.arrays[: len(inputs)], arena.arrays[len(inputs) :]
        arena.close()
        return _Model(litert, *arrays, asked["due"] if asked["chip"] else None, asked["source"])

    def _on_chip(self, model: bytes, asked: dict[str, Any]) -> Any:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        assert self._library is not None
        assert self._delegate is not None
        try:
            litert = Interpreter(
                model_content=model,
                num_threads=1,
                experimental_delegates=[self._delegate],
                # There is nothing in it but the chip's operator.
                experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            )
            litert.allocate_tensors()
        except _FAILURES as error:
            raise self._delegate.refusal(asked["source"], str(error)) from None
        return litert

    def _call(self, model: _Model) -> int:
        guard = self._guard
        try:
            if guard is None or model.due is None:
                model.run()
                return 0
            guard.before_call()
            model.run()
            guard.after_call(model.due)
        except SurplusError as error:
            raise _lost(self._name, str(error)) from None
        except _FAILURES as error:
            if model.due is None:
                raise ModelError(
                    model.source,
                    "LiteRT cannot run the model",
                    received=words_of(str(error)),
                    fix="Check that its operators are LiteRT's own, and that it fits into memory",
                ) from None
            raise _lost(self._name, f"the driver says: {words_of(str(error))}") from None
        return BLIND if guard.blind else 0


class _Model:
    """A model that is loaded.

    Args:
        litert: LiteRT's Interpreter, its tensors allocated.
        inputs: What it takes, in memory that is shared.
        outputs: What it gives, in the same.
        due: The bytes that the chip sends in one call; None for a model that runs in software.
        source: What to call it in a message.

    Raises:
        ModelError: It takes or gives something else.
    """

    def __init__(
        self,
        litert: Any,
        inputs: Sequence[np.ndarray],
        outputs: Sequence[np.ndarray],
        due: int | None,
        source: str,
    ) -> None:
        self.due = due
        self.source = source
        self._litert = litert
        self._inputs = _paired(litert.get_input_details(), inputs, source)
        self._outputs = _paired(litert.get_output_details(), outputs, source)

    def run(self) -> None:
        """Runs it once, from the shared memory to the shared memory."""
        litert = self._litert
        for index, array in self._inputs:
            # Before every call: the driver turns int8 inputs into uint8 where they stand.
            litert.set_tensor(index, array)
        litert.invoke()
        for index, array in self._outputs:
            np.copyto(array, litert.get_tensor(index), casting="no")


def _paired(
    details: list[dict[str, Any]], arrays: Sequence[np.ndarray], source: str
) -> list[tuple[int, np.ndarray]]:
    """LiteRT's tensors and the arrays that they are copied from or to."""
    found = [(np.dtype(detail["dtype"]), tuple(detail["shape"])) for detail in details]
    wanted = [(array.dtype, array.shape) for array in arrays]
    if found != wanted:
        raise ModelError(
            source,
            "it must have the tensors of the operator that it computes",
            received=f"{[(str(kind), list(map(int, shape))) for kind, shape in found]}",
            fix="Get the files again: a compiled model and its twin belong together",
        )
    return [(int(detail["index"]), array) for detail, array in zip(details, arrays, strict=True)]


def _in_software(model: bytes, asked: dict[str, Any]) -> Any:
    from atoll.runtime.litert import open_litert

    return open_litert(
        model, asked["source"], threads=asked["threads"], kernels=asked["kernels"]
    ).litert


def _lost(device: str, received: str) -> DeviceError:
    return DeviceLostError(device, "a call failed", received=received, fix="Call again")


def _end_with_parent(number: int) -> None:
    """Has the system end this process with the one that started it, whatever it is doing then.

    Args:
        number: The connection to that one.
    """
    if sys.platform.startswith("linux"):
        c.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    poll = select.poll()
    poll.register(number, 0)
    if poll.poll(0):  # it has hung up: it ended before it was asked to take this one along
        os._exit(0)


if __name__ == "__main__":
    main()
