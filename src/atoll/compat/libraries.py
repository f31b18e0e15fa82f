"""The delegate libraries that are not loaded: what they do, Atoll does."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from atoll.compat.hardware import NoEdgeTpuError, SeenDevice, choose
from atoll.compat.held import USUAL_DRIVER, Driver, HeldOpen
from atoll.compat.origins import twin_candidates
from atoll.edgetpu.simfile import EDGETPU_OP, SIM_OP
from atoll.errors import AtollError, ModelError
from atoll.runtime.custom_ops import custom_op_delegates
from atoll.runtime.delegates import delegate_for
from atoll.runtime.device_names import parse_device
from atoll.runtime.model_file import ModelFile, Options
from atoll.runtime.session import Holding
from atoll.runtime.simulator import in_process, simulator
from atoll.tflite.reader import parse_model

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from atoll.runtime.litert import Delegate


# What libedgetpu takes besides the device (edgetpu_context_direct.cc).
_DRIVER_OPTIONS = ("Performance", "Usb.AlwaysDfu", "Usb.MaxBulkInQueueLength")


@dataclass(frozen=True)
class Opened:
    """A model that is being opened, and how.

    Attributes:
        content: The .tflite file.
        path: Its path; None where there are bytes alone.
        threads: CPU threads; None for LiteRT's own choice.
        kernels: A name in `atoll.runtime.litert.KERNELS`, for what runs in software.
    """

    content: bytes
    path: str | None
    threads: int | None
    kernels: str

    @property
    def source(self) -> object:
        """What to call it in a message."""
        return self.path or "the model"

    @cached_property
    def file(self) -> ModelFile:
        """The model, read. Raises ModelError where it is damaged."""
        return ModelFile(self.content, parse_model(self.content, self.source), self.source)


class EdgeTpuLibrary:
    """libedgetpu: runs compiled operators on the Edge TPU that was asked for, or in software.

    Args:
        name: As given to `load_delegate`. Where it is the path of a file, that is the driver.
        options: Those of `load_delegate`: "device", and those that go to the driver.

    Attributes:
        device: The Edge TPU.

    Raises:
        NoEdgeTpuError: There is none, or it cannot be opened.
        OSError: There is an Edge TPU, and no driver.
    """

    def __init__(self, name: str, options: Mapping[str, object]) -> None:
        driver = Driver(
            # A name alone is searched in the loader's folders, and not in this one.
            name if os.path.dirname(name) and Path(name).is_file() else None,  # noqa: PTH120
            {key: str(options[key]) for key in _DRIVER_OPTIONS if key in options},
        )
        try:
            self.device = choose(str(options.get("device", "")))
            # As the original did, so that programs learn here what they can fall back from.
            self._held = None if self.device.simulated else HeldOpen(self.device.name, driver)
        except AtollError as error:
            raise NoEdgeTpuError(str(error)) from error
        self._driver = driver

    def delegates(self, opened: Opened) -> list[Delegate]:
        """What LiteRT is given for a model."""
        return edgetpu_delegates(opened, self.device, self._driver)


class PosenetLibrary:
    """The decoder of Google's project-posenet, posenet_decoder.so."""

    def __init__(self, name: str, options: Mapping[str, object]) -> None:
        del name, options

    def delegates(self, opened: Opened) -> list[Delegate]:
        """What LiteRT is given for a model."""
        return custom_op_delegates(opened.file.model)


class EngineLibrary:
    """What the old engines have built in: an Edge TPU, and the decoder.

    Args:
        device: The Edge TPU.
    """

    def __init__(self, device: SeenDevice) -> None:
        self.device = device

    def delegates(self, opened: Opened) -> list[Delegate]:
        """What LiteRT is given for a model."""
        return [
            *edgetpu_delegates(opened, self.device),
            *custom_op_delegates(opened.file.model),
        ]


class Library(Protocol):
    """What stands for a delegate library."""

    def delegates(self, opened: Opened) -> list[Delegate]:
        """What LiteRT is given for a model."""
        ...


_LIBRARIES: list[tuple[re.Pattern[str], Callable[[str, Mapping[str, object]], Library]]] = [
    (
        re.compile(r"(lib)?edgetpu(-max|-std)?(\.[\d.]+)?\.(so(\.[\d.]+)?|dylib|dll)"),
        EdgeTpuLibrary,
    ),
    (re.compile(r"posenet_decoder\.so"), PosenetLibrary),
]


def known_library(name: str, options: Mapping[str, object]) -> Library | None:
    """What stands for a delegate library; None where it is another one, to be loaded as it is.

    Args:
        name: As given to `load_delegate`: a file's name or path.
        options: Its options.

    Raises:
        NoEdgeTpuError: There is no such Edge TPU.
    """
    file = re.split(r"[/\\]", name)[-1]
    make = next((make for pattern, make in _LIBRARIES if pattern.fullmatch(file)), None)
    return None if make is None else make(name, options)


def edgetpu_delegates(
    opened: Opened, device: SeenDevice, driver: Driver = USUAL_DRIVER
) -> list[Delegate]:
    """What runs a model's compiled operators.

    Args:
        opened: The model.
        device: Where they run. What was compiled for the simulator runs there in any case.
        driver: The driver of a real one.

    Returns:
        The delegates; none where nothing in the model is compiled.

    Raises:
        ModelError: The file is damaged, or its twin is missing or not what it was made of.
        DeviceError: The device failed.
    """
    file = opened.file
    made: list[Delegate] = []
    if file.has(SIM_OP):
        made.append(simulator(in_process(opened.threads, opened.kernels)))
    if file.has(EDGETPU_OP):
        made.append(_compiled(opened, device, driver))
    return made


def _compiled(opened: Opened, device: SeenDevice, driver: Driver) -> Delegate:
    file = opened.file
    usual = Options(threads=opened.threads, library=driver.library, driver_options=driver.options)
    name = parse_device(device.name)
    candidates = twin_candidates(file.model, opened.path) if device.simulated else [None]
    for twin in candidates[:-1]:
        try:
            options = replace(usual, twin=twin)
            return delegate_for(file, name, options, opened.kernels, Holding())
        except ModelError:
            continue
    options = replace(usual, twin=candidates[-1])
    return delegate_for(file, name, options, opened.kernels, Holding())
