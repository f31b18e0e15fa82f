"""The devices that a model can run on: one table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from atoll.edgetpu.simfile import EDGETPU_OP, SIM_OP, compile_for_sim
from atoll.errors import DeviceError
from atoll.runtime.litert import check_litert, open_litert
from atoll.runtime.simulator import simulator
from atoll.tflite.writer import write_model

if TYPE_CHECKING:
    from collections.abc import Callable

    from atoll.runtime.litert import Session
    from atoll.tflite.graph import Model


@dataclass(frozen=True)
class ModelFile:
    """A model that is to be run.

    Attributes:
        content: The .tflite file.
        model: What was read from it.
        source: What to call it in a message.
    """

    content: bytes
    model: Model
    source: object

    def has(self, name: str) -> bool:
        """Whether there is a custom operator of this name."""
        return any(op.custom_name == name for g in self.model.subgraphs for op in g.operators)


@dataclass(frozen=True)
class Device:
    """One row of the table.

    Attributes:
        name: As users write it.
        what: What it is, for a list.
        open: Puts a model on it, with so many CPU threads.
    """

    name: str
    what: str
    open: Callable[[ModelFile, int | None], Session]


def open_on(name: str, file: ModelFile, threads: int | None) -> tuple[Device, Session]:
    """Puts a model on a device.

    Args:
        name: A device's name, or "auto".
        file: The model.
        threads: CPU threads; None for LiteRT's own choice.

    Returns:
        The device that was chosen, and the model on it.

    Raises:
        DeviceError: There is no such device, or it cannot run such a file.
        ModelError: LiteRT cannot run the model.
    """
    device = _device(_auto(file) if name == "auto" else name)
    if file.has(EDGETPU_OP):
        raise DeviceError(
            file.source,
            f"a file with {EDGETPU_OP} needs a real Edge TPU, which this version cannot drive",
            received=f"device {name}",
            fix="Run the model that it was compiled from",
        )
    return device, device.open(file, threads)


def _auto(file: ModelFile) -> str:
    return "sim" if file.has(SIM_OP) else "cpu"


def _device(name: str) -> Device:
    if name not in DEVICES:
        raise DeviceError(
            "device",
            f"this version has {', '.join(DEVICES)} and auto",
            received=name,
            fix="Name one of these",
        )
    return DEVICES[name]


def _open_cpu(file: ModelFile, threads: int | None) -> Session:
    if file.has(SIM_OP):
        raise DeviceError(
            file.source,
            f"a file with {SIM_OP} runs on the simulator alone",
            received="device cpu",
            fix="Name the device sim, or auto",
        )
    return open_litert(file.content, file.source, threads=threads)


def _open_sim(file: ModelFile, threads: int | None) -> Session:
    content = file.content
    if not file.has(SIM_OP):
        # What is written anew is sound by form: a file that LiteRT refuses must not pass as such.
        check_litert(content, file.source)
        content = write_model(compile_for_sim(file.model))
    return open_litert(
        content,
        file.source,
        threads=threads,
        delegate=lambda kernels: simulator(threads, kernels),
    )


DEVICES = {
    device.name: device
    for device in (
        Device("cpu", "LiteRT on this machine's processor", _open_cpu),
        Device("sim", "the Edge TPU in software", _open_sim),
    )
}
