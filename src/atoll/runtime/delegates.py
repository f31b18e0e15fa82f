"""The delegates that run a compiled file's parts on a device: for LiteRT's own Interpreter."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from atoll.edgetpu.simfile import EDGETPU_OP
from atoll.errors import DeviceError, DeviceLostError
from atoll.runtime.delegate import PythonDelegate
from atoll.runtime.device_names import DeviceName, parse_device
from atoll.runtime.driver.backoff import Backoff
from atoll.runtime.litert import KERNELS
from atoll.runtime.model_file import ModelFile, Options
from atoll.runtime.parts import compiled_parts
from atoll.runtime.session import Holding
from atoll.runtime.simulator import Software, in_process, twin_kernel
from atoll.runtime.twin import open_twin
from atoll.tflite.reader import parse_model

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy as np

    from atoll.runtime.delegate import Kernel
    from atoll.runtime.driver.child import ChildDevice
    from atoll.runtime.litert import Delegate
    from atoll.tflite.graph import Subgraph


def compiled_delegate(
    content: bytes,
    source: object,
    device: str = "sim",
    *,
    twin: str | Path | bytes | None = None,
    fallback: str | None = None,
    threads: int | None = None,
) -> Delegate:
    """A delegate that runs what Google's compiler compiled.

    Give it to LiteRT's Interpreter in `experimental_delegates`, and keep it until after that is
    gone; where that raises, `failure()` tells why.

    Args:
        content: The compiled .tflite file.
        source: Its path, or what to call it in a message.
        device: "sim", "sim:N", "edgetpu", "usb:N" or "pci:N".
        twin: The model that it was compiled from: a path or content. None takes the one beside it.
        fallback: "sim" or "cpu": what answers where an Edge TPU is lost.
        threads: CPU threads of the simulator; None for LiteRT's own choice.

    Returns:
        The delegate.

    Raises:
        ModelError: The file is damaged, or its twin is missing or not what it was made of.
        DeviceError: There is no such device.
    """
    file = ModelFile(content, parse_model(content, source), source)
    options = Options(threads=threads, twin=twin, fallback=fallback)
    return delegate_for(file, parse_device(device), options, KERNELS[0], Holding())


def delegate_for(
    file: ModelFile, device: DeviceName, options: Options, kernels: str, holding: Holding
) -> Delegate:
    """The same for a file that was read, in a process that has chosen its kernels.

    Args:
        file: The compiled file.
        device: The device.
        options: How it is to be run.
        kernels: A name in `atoll.runtime.litert.KERNELS`, for what runs in software.
        holding: What the delegate notes and holds is added here.

    Returns:
        The delegate.

    Raises:
        ModelError, DeviceError: As above.
    """
    if device.kind == "sim":
        twin = open_twin(file.model, file.source, options.twin)
        software = software_for(device, options, kernels, holding)
        return PythonDelegate(EDGETPU_OP, lambda index, _: twin_kernel(twin.parts[index], software))
    from atoll.runtime.driver.check import check_for_driver
    from atoll.runtime.driver.child import ChildDevice, DriverOptions
    from atoll.runtime.driver.direct import direct_delegate

    driver = DriverOptions(
        library=options.library, timeout_s=options.timeout_s, extra=options.driver_options
    )
    parts = compiled_parts(file.model, file.source)
    if options.direct:
        for part in parts:
            check_for_driver(part, file.source, usb=device.kind == "usb")
        direct = direct_delegate(str(device), driver)
        holding.noted.append(direct.notes)
        holding.closers.append(direct.close)
        for part in parts:
            check_for_driver(part, file.source, usb=direct.device.startswith("usb"))
        return direct
    child = _held(ChildDevice.shared(str(device), driver), holding)
    if options.fallback is None:
        return PythonDelegate(EDGETPU_OP, lambda index, _: child.load(parts[index]))
    # Opened now: that there is no twin must not come out when the device is lost.
    twin = open_twin(file.model, file.source, options.twin)
    software = in_process(options.threads, kernels)
    losses: list[str] = []
    holding.noted.append(losses)

    def kernel(index: int, _payload: bytes) -> Kernel:
        return _FallbackKernel(
            load=lambda: child.load(parts[index]),
            other=twin_kernel(twin.parts[index], software),
            lost=lambda error: _note(losses, f"{error} Until then {options.fallback} answers."),
        )

    return PythonDelegate(EDGETPU_OP, kernel)


def software_for(device: DeviceName, options: Options, kernels: str, holding: Holding) -> Software:
    """What the simulator computes with: this process, or one of its own.

    Args:
        device: "sim" or "sim:N".
        options: How a model is to be run.
        kernels: A name in `atoll.runtime.litert.KERNELS`.
        holding: As above.
    """
    if not options.isolated:
        return in_process(options.threads, kernels)
    from atoll.runtime.driver.child import ChildDevice, DriverOptions

    driver = DriverOptions(timeout_s=options.timeout_s, threads=options.threads)
    child = _held(ChildDevice.shared(str(device), driver), holding)

    def make(content: bytes, graph: Subgraph, source: str) -> Kernel:
        inputs = [graph.tensors[t] for t in graph.inputs]
        outputs = [graph.tensors[t] for t in graph.outputs]
        return child.load_model(content, inputs, outputs, source, [kernels])

    return make


def _held(child: ChildDevice, holding: Holding) -> ChildDevice:
    holding.noted.append(child.notes)
    holding.closers.append(child.close)
    return child


class _FallbackKernel:
    """A part that runs on a device, and in software as long as the device is not there.

    Args:
        load: Puts the part on the device; raises DeviceError where it is not there.
        other: Computes the same.
        lost: Is told of each loss, once.
    """

    def __init__(
        self, load: Callable[[], Kernel], other: Kernel, lost: Callable[[DeviceError], None]
    ) -> None:
        self._load = load
        self._other = other
        self._lost = lost
        self._kernel: Kernel | None = None
        self._told = False
        # An attempt may take half a minute, and always takes a process.
        self._attempts = Backoff(time.monotonic)
        self._try()

    def __call__(self, taken: Sequence[np.ndarray], made: Sequence[np.ndarray]) -> None:
        kernel = self._kernel or self._try()
        if kernel is not None:
            try:
                kernel(taken, made)
            except DeviceLostError as error:
                self._tell(error)
            else:
                self._told = False
                return
        self._other(taken, made)

    def _try(self) -> Kernel | None:
        if self._attempts.left_s > 0:
            return None
        try:
            self._kernel = self._load()
        except DeviceError as error:
            self._attempts.lost()
            self._tell(error)
        return self._kernel

    def _tell(self, error: DeviceError) -> None:
        if not self._told:
            self._told = True
            self._lost(error)


_MOST_NOTES = 100


def _note(notes: list[str], text: str) -> None:
    if len(notes) < _MOST_NOTES:
        notes.append(text)
