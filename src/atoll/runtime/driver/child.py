"""Devices in a process of their own: a driver's faults end that process, and not this one."""

from __future__ import annotations

import time
import weakref
from functools import partial
from typing import TYPE_CHECKING

from atoll.closing import Closing
from atoll.edgetpu.package_check import sent_back
from atoll.errors import DeviceError, UsageError
from atoll.runtime.driver.check import check_for_driver, check_runtime
from atoll.runtime.driver.connection import Hosted, no_memory
from atoll.runtime.driver.hosts import hold, release
from atoll.runtime.driver.keeper import KEEPER
from atoll.runtime.driver.kernels import ChildKernel, faces
from atoll.runtime.driver.options import DriverOptions
from atoll.runtime.litert import KERNELS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from atoll.runtime.delegate import Kernel
    from atoll.runtime.driver.host import DeviceHost
    from atoll.runtime.parts import CompiledPart
    from atoll.tflite.graph import Tensor

__all__ = ["ChildDevice", "DriverOptions"]


class ChildDevice(Closing):
    """A device in a process of its own; all models of this process on it share one.

    The process is started when the first model is loaded, and ends when the last holder is closed
    or gone. A device that is lost is opened again at the first call after half a second, then after
    one, two, ... and at most 30 seconds; calls before that fail at once. What was loaded is loaded
    again. Calls may come from any thread; those to one device take turns.

    Attributes:
        device: The device's name.
        notes: What a user should know, a sentence each. More may come later.
    """

    def __init__(self, host: DeviceHost, options: DriverOptions) -> None:
        """See `shared`."""
        self.device = host.device
        self.notes = host.notes
        self._host = host
        self._options = options
        # Giving a device back waits for a process, which no finalizer may.
        self._finalizer = weakref.finalize(self, KEEPER.later, partial(release, host))
        self._finalizer.atexit = False

    @classmethod
    def shared(
        cls,
        device: str,
        options: DriverOptions | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> ChildDevice:
        """A holder of a device: one driver a device and process, counted.

        Nothing is started, and the device need not be there yet.

        Args:
            device: "edgetpu", "usb:N", "pci:N"; "sim" or "sim:N" for a process that computes in
                software.
            options: How it is to be opened. Holders may differ in their times alone.
            clock: Seconds that only grow, for when a lost device is tried again.

        Returns:
            The holder. Close it, or let go of it and its kernels.

        Raises:
            DeviceError: It is no such device, or is open with other options.
        """
        options = options or DriverOptions()
        kind, _, number = device.partition(":")
        if kind not in ("edgetpu", "usb", "pci", "sim") or (number and not number.isdecimal()):
            raise DeviceError(
                device,
                "a driver has devices edgetpu, usb:N and pci:N; sim and sim:N run in software",
                received=device,
                fix="Name one of these",
            )
        if kind in ("usb", "pci") and not number:
            device = f"{kind}:0"
        return cls(hold(device, options, clock), options)

    @property
    def pid(self) -> int | None:
        """The process that hosts the driver; None while there is none."""
        return self._host.pid

    def open(self) -> None:
        """Opens the device now, where it is not open, and not with the first model.

        Raises:
            DeviceError: It cannot be opened.
            DeviceLostError: It was lost, and it is not yet time to try again.
        """
        self._open_host().open()

    def load(self, part: CompiledPart) -> Kernel:
        """Puts a compiled part on the device.

        Args:
            part: The part. It is checked first.

        Returns:
            A kernel for the operator's own inputs and outputs.

        Raises:
            ModelError: The part is damaged, or the driver refuses it.
            DeviceError: The device cannot be opened.
            DeviceLostError: It was lost.
        """
        source = f"compiled part {part.index}"
        check_for_driver(part, source, usb=self.device.startswith("usb"))
        opened = self._open_host().open()
        if self.device == "edgetpu" and opened.device.startswith("usb"):
            check_for_driver(part, source, usb=True)
        check_runtime(part, source, opened.runtime)
        body = {"chip": True, "due": sent_back(part.package), "source": source}
        return self._hosted(part.content, part.inputs, part.outputs, source, body)

    def load_model(
        self,
        content: bytes,
        inputs: Sequence[Tensor],
        outputs: Sequence[Tensor],
        source: str,
        kernels: Sequence[str] = KERNELS,
    ) -> Kernel:
        """Puts a plain model on a device that computes in software.

        Args:
            content: A .tflite file that LiteRT runs.
            inputs: What it takes, in order.
            outputs: What it gives, in order.
            source: What to call it in a message.
            kernels: Names in `atoll.runtime.litert.KERNELS`, tried in this order.

        Returns:
            A kernel for these inputs and outputs.

        Raises:
            ModelError: LiteRT cannot run it.
            DeviceError: The process cannot be started.
            DeviceLostError: It was lost.
        """
        body = {
            "chip": False,
            "source": source,
            "threads": self._options.threads,
            "kernels": list(kernels),
        }
        return self._hosted(content, inputs, outputs, source, body)

    def kill(self) -> None:
        """Ends the driver's process at once, as if it had crashed: the device is lost."""
        self._host.kill()

    def close(self) -> None:
        """Lets go of the device; with its last holder it is given back. Kernels end with it."""
        if self._finalizer.detach() is not None:
            release(self._host)

    def _hosted(
        self,
        content: bytes,
        inputs: Sequence[Tensor],
        outputs: Sequence[Tensor],
        source: str,
        body: dict[str, object],
    ) -> Kernel:
        host = self._open_host()
        try:
            model = Hosted(
                host.number(), content, faces(inputs, source), faces(outputs, source), body
            )
        except OSError as error:
            raise no_memory(source, error) from error
        # The kernel holds on to this, so that the device stays as long as there is one.
        kernel = ChildKernel(model, self._call, host.drop)
        host.load(model, self._options)
        return kernel

    def _call(self, model: Hosted) -> None:
        self._open_host().call(model, self._options)

    def _open_host(self) -> DeviceHost:
        if not self._finalizer.alive:
            raise UsageError(
                self.device, "the device must be open", received="closed", fix="Open a new one"
            )
        return self._host
