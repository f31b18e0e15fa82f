"""The devices that a model can run on: one table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from atoll.edgetpu.simfile import EDGETPU_OP, SIM_OP, compile_for_sim
from atoll.errors import DeviceError
from atoll.runtime.custom_ops import custom_op_delegates
from atoll.runtime.delegates import delegate_for, software_for
from atoll.runtime.device_names import DeviceName, parse_device
from atoll.runtime.litert import Delegate, check_litert, open_litert
from atoll.runtime.session import Holding
from atoll.runtime.simulator import simulator
from atoll.tflite.writer import write_model

if TYPE_CHECKING:
    from collections.abc import Callable

    from atoll.runtime.litert import LitertSession
    from atoll.runtime.model_file import ModelFile, Options
    from atoll.runtime.session import Session


@dataclass(frozen=True)
class Device:
    """One row of the table.

    Attributes:
        name: As users write it; N and X stand for what they choose.
        what: What it is, for a list.
        open: Puts a model on it.
    """

    name: str
    what: str
    open: Callable[[ModelFile, DeviceName, Options], Session]


def open_on(name: str, file: ModelFile, options: Options) -> tuple[DeviceName, Session]:
    """Puts a model on a device.

    Args:
        name: A device's name, or "auto".
        file: The model.
        options: How it is to be run.

    Returns:
        The device that was chosen, and the model on it.

    Raises:
        DeviceError: There is no such device, or it cannot run such a file.
        ModelError: The model cannot be run.
    """
    device = parse_device(name)
    if device.kind == "auto":
        device = _auto(file)
    return device, DEVICES[device.kind].open(file, device, options)


def edgetpu_found() -> bool:
    """Whether this machine has an Edge TPU, or a virtual one is plugged in."""
    from atoll.host.found import found_devices
    from atoll.host.virtual import sticks_plugged_in

    return sticks_plugged_in() or bool(found_devices())


def _auto(file: ModelFile) -> DeviceName:
    if file.has(SIM_OP):
        return DeviceName("sim")
    if file.has(EDGETPU_OP):
        return DeviceName("edgetpu" if edgetpu_found() else "sim")
    return DeviceName("cpu")


def _open_cpu(file: ModelFile, device: DeviceName, options: Options) -> LitertSession:
    _refuse_compiled(file, device)
    return _litert(file, file.content, options, lambda _kernels, _holding: [])


def _open_sim(file: ModelFile, device: DeviceName, options: Options) -> LitertSession:
    if file.has(EDGETPU_OP):
        return _compiled(file, device, options)
    content = file.content
    if not file.has(SIM_OP):
        # What is written anew is sound by form: a file that LiteRT refuses must not pass as such.
        check_litert(content, file.source)
        content = write_model(compile_for_sim(file.model))
    return _litert(
        file,
        content,
        options,
        lambda kernels, holding: [simulator(software_for(device, options, kernels, holding))],
    )


def _open_edgetpu(file: ModelFile, device: DeviceName, options: Options) -> LitertSession:
    if not file.has(EDGETPU_OP):
        raise DeviceError(
            file.source,
            "an Edge TPU runs what Google's compiler has compiled, X_edgetpu.tflite",
            received=f"a model without {EDGETPU_OP}, for the device {device}",
            fix="Compile it (atoll compile), or use the device sim or cpu",
        )
    return _compiled(file, device, options)


def _open_openvino(file: ModelFile, device: DeviceName, options: Options) -> Session:
    from atoll.runtime.openvino import OpenVinoSession

    _refuse_compiled(file, device)
    return OpenVinoSession(file, device.which, options.threads)


def _compiled(file: ModelFile, device: DeviceName, options: Options) -> LitertSession:
    """What Google's compiler made, its compiled parts on a device."""
    return _litert(
        file,
        file.content,
        options,
        lambda kernels, holding: [delegate_for(file, device, options, kernels, holding)],
    )


def _litert(
    file: ModelFile,
    content: bytes,
    options: Options,
    delegates: Callable[[str, Holding], list[Delegate]],
) -> LitertSession:
    """A model in LiteRT, with what it does not have itself."""
    holding = Holding()
    try:
        session = open_litert(
            content,
            file.source,
            threads=options.threads,
            delegates=lambda kernels: [
                *delegates(kernels, holding),
                *custom_op_delegates(file.model),
            ],
        )
    except BaseException:
        # A traceback that somebody keeps, as notebooks do, must not keep the device too.
        holding.close()
        raise
    session.holding = holding
    return session


def _refuse_compiled(file: ModelFile, device: DeviceName) -> None:
    for name, fix in (
        (SIM_OP, "Name the device sim, or auto"),
        (EDGETPU_OP, "Name the device edgetpu, or sim, or run the model that it was made of"),
    ):
        if file.has(name):
            raise DeviceError(
                file.source,
                f"a file with {name} does not run on {device}",
                received=f"device {device}",
                fix=fix,
            )


DEVICES = {
    "cpu": Device("cpu", "LiteRT on this machine's processor", _open_cpu),
    "sim": Device("sim, sim:N", "the Edge TPU in software", _open_sim),
    "edgetpu": Device("edgetpu", "the first Edge TPU that the driver finds", _open_edgetpu),
    "usb": Device("usb:N", "an Edge TPU on USB", _open_edgetpu),
    "pci": Device("pci:N", "an Edge TPU on PCI Express", _open_edgetpu),
    "openvino": Device(
        "openvino:X", "Intel's CPU, GPU or NPU, by OpenVINO's name of it", _open_openvino
    ),
}
