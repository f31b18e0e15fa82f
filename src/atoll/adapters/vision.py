"""A model with its adapter: from a photo to what is on it."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

import numpy as np
from PIL import Image

from atoll.adapters.facts import facts_of, real_numbers
from atoll.adapters.placement import RESIZES, place
from atoll.adapters.table import Found, Wanted, choose
from atoll.closing import Closing
from atoll.data.decode import decode, to_rgb
from atoll.data.labels import read_labels
from atoll.edgetpu.simfile import EDGETPU_OP
from atoll.errors import ModelError, UsageError
from atoll.quiet import quiet
from atoll.runtime.interpreter import Interpreter
from atoll.runtime.model_input import input_spec
from atoll.tflite.metadata import read_label_file

if TYPE_CHECKING:
    from collections.abc import Sequence

    from atoll.adapters.facts import Facts
    from atoll.adapters.placement import Placement
    from atoll.adapters.table import Adapter
    from atoll.data.preprocessing import Preprocessing
    from atoll.runtime.interpreter import TensorInfo

Seen = TypeVar("Seen")

# A photo: a file, one that is open, an image, or uint8 pixels (height, width, 3) in RGB order.
Photo = Path | str | IO[bytes] | Image.Image | np.ndarray

# What a RUN holds, the best to run first.
_IN_RUN = ("model_quant_sim.tflite", "model_quant.tflite")


class Vision(Closing, Generic[Found, Seen]):
    """A model with what it wants of a photo and what its outputs mean.

    Calls from several threads take turns at the model, as at the Interpreter that it holds.

    Args:
        source: A .tflite file, a folder that `atoll build` made, a file's content, or an
            Interpreter, which stays the caller's own to close.
        device: Where it runs, as in `atoll.Interpreter`; of no meaning for an Interpreter.
        labels: A labels file, or the labels themselves; None takes those in the model.
        kind: An adapter's name; None for the one that recognises the model.
        resize: How a photo is laid into the input, a key of `placement.RESIZES`; None for what
            the file says, or is usual for such models.
        anchors: In place of the usual ones, for a detector whose boxes are not computed inside
            the model: see `Facts.anchors`.
        options: What an Interpreter takes beside these, such as threads.

    Attributes:
        labels: The class names.
        device: The name of the device that it runs on.
        facts: What is known of the model.
        kind: The name of the adapter that was chosen.
        resize: As above, what was chosen.
        preprocessing: What the input wants of a photo.
        simulated: Whether the simulator stands for an Edge TPU that the file was compiled for and
            that is not there, and was not asked for.

    Raises:
        ModelError: There is no such model, it takes no photo, or no adapter knows its outputs.
        DeviceError: The device is not there.
        UsageError: There is no such adapter or way to resize.
    """

    task: ClassVar[str]
    usual: ClassVar[Wanted]
    facts: Facts
    preprocessing: Preprocessing

    def __init__(
        self,
        source: Path | str | bytes | Interpreter,
        *,
        device: str = "auto",
        labels: Path | str | Sequence[str] | None = None,
        kind: str | None = None,
        resize: str | None = None,
        anchors: np.ndarray | None = None,
        **options: Any,
    ) -> None:
        if resize is not None and resize not in RESIZES:
            raise UsageError(
                "--resize",
                f"there are {', '.join(RESIZES)}",
                received=resize,
                fix="Name one of these, or leave it out",
            )
        if isinstance(labels, str | Path):
            labels = read_labels(Path(labels))
        self._owned = isinstance(source, str | bytes | Path)
        self._interpreter = (
            _opened(source, device, options) if isinstance(source, str | bytes | Path) else source
        )
        self.device = self._interpreter.device
        operators = self._interpreter.model.main.operators
        compiled = any(op.custom_name == EDGETPU_OP for op in operators)
        self.simulated = self._owned and compiled and (device, self.device) == ("auto", "sim")
        spec = input_spec(self._interpreter.model, self._interpreter.name)
        known = list(labels or ()) or read_label_file(self._interpreter.model) or []
        self.labels = self._labels_for(known)
        self.facts = facts_of(self._interpreter, self.labels, anchors)
        adapter, self._decode = choose(self.adapters(), self.facts, self.task, kind)
        self.kind = adapter.name
        said = spec.preprocessing.resize if spec.basis == "atoll" else adapter.resize
        self.resize = resize or said
        self.preprocessing = spec.preprocessing
        if spec.basis == "assumed":
            mean, std = adapter.assumed
            self.preprocessing = replace(spec.preprocessing, mean=(mean,) * 3, std=(std,) * 3)

    @classmethod
    @abstractmethod
    def adapters(cls) -> Sequence[Adapter[Found]]:
        """The task's table."""

    @classmethod
    def _labels_for(cls, known: list[str]) -> list[str]:
        """The label of class i at place i, of the lines of a labels file."""
        return known

    @abstractmethod
    def _told(self, found: Found, placement: Placement, wanted: Wanted) -> Seen:
        """What was decoded, in the photo's coordinates and with the classes' names."""

    def see(self, photo: Photo, wanted: Wanted | None = None) -> Seen:
        """What is on a photo.

        Args:
            photo: A photo.
            wanted: What to tell of it; None for what is usual for the task.

        Raises:
            UnreadablePhoto: The file is no photo.
            ModelError: The model failed, or gave other shapes than it declared.
            DeviceError: The device failed.
        """
        wanted = wanted or self.usual
        pixels, placement = self._placed(photo)
        return self._told(self._found(pixels, wanted), placement, wanted)

    def names(self) -> Sequence[str]:
        """The names of what it can see, as far as they are known."""
        return [label for label in self.labels if label]

    def remarks(self) -> list[str]:
        """What a user should know before it looks at anything, a sentence each."""
        if not self.simulated:
            return []
        return ["No Edge TPU is plugged in: the simulator stands for it, in software."]

    def _placed(self, photo: Photo) -> tuple[np.ndarray, Placement]:
        """The pixels that the model takes, and where the photo lies in them."""
        size = self.preprocessing.width, self.preprocessing.height
        return place(opened_photo(photo), size, self.resize)

    def _found(self, pixels: np.ndarray, wanted: Wanted) -> Found:
        info = self._interpreter.inputs[0]
        raw = self._interpreter.invoke(model_input(info, self.preprocessing, pixels)[None])
        shapes = [values.shape for values in raw]
        if shapes != self.facts.shapes:
            raise ModelError(
                self.facts.source,
                f"its outputs must have the shapes that it declares, {self.facts.shapes}",
                received=shapes,
                fix="Convert it again with fixed shapes",
            )
        pairs = zip(self._interpreter.outputs, raw, strict=True)
        return self._decode([real_numbers(output, values) for output, values in pairs], wanted)

    @property
    def notes(self) -> list[str]:
        """What a user should know of how the model ran so far: a device that was lost."""
        return self._interpreter.notes

    def close(self) -> None:
        """Gives the model's memory back; an Interpreter that was given stays open."""
        if self._owned:
            self._interpreter.close()


def opened_photo(photo: Photo) -> Image.Image:
    """A photo as an image in RGB. Raises UnreadablePhoto, or UsageError for other arrays."""
    if isinstance(photo, Image.Image):
        return to_rgb(photo)
    if isinstance(photo, np.ndarray):
        if photo.dtype != np.uint8 or photo.ndim != 3 or photo.shape[2] != 3 or not photo.size:
            raise UsageError(
                "photo",
                "pixels are uint8 of shape [height, width, 3], in RGB order",
                received=f"{photo.dtype} of shape {list(photo.shape)}",
                fix="Convert them first",
            )
        return Image.fromarray(photo)
    return decode(Path(photo) if isinstance(photo, str) else photo)


def model_input(info: TensorInfo, preprocessing: Preprocessing, pixels: np.ndarray) -> np.ndarray:
    """Pixels as an input takes them.

    Args:
        info: The input.
        preprocessing: What it wants.
        pixels: uint8 (height, width, 3), RGB, at the input's size.

    Returns:
        The input's type, (height, width, 3).
    """
    if np.dtype(info.dtype).kind in "iu":
        # Integers without a scale stand for themselves.
        return preprocessing.quantize(pixels, info.scale or 1.0, info.zero_point, info.dtype)
    return preprocessing.normalize(pixels).astype(info.dtype)


def _opened(source: Path | str | bytes, device: str, options: dict[str, Any]) -> Interpreter:
    if not isinstance(source, bytes):
        source = _model_in(Path(source))
    with quiet():  # LiteRT announces its kernels on standard error
        return Interpreter(source, device=device, **options)


def _model_in(source: Path) -> Path:
    if not source.is_dir():
        return source
    for name in _IN_RUN:
        if (source / name).is_file():
            return source / name
    raise ModelError(
        source,
        "a RUN folder holds model_quant.tflite",
        received="a folder without it",
        fix="Finish it with atoll build, or name a .tflite file",
    )
