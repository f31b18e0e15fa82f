"""The steps with a model: each a pool of its devices, on which the model looks at images."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from atoll.adapters.classify import Classifier
from atoll.adapters.detect import Detector
from atoll.adapters.facts import real_numbers
from atoll.adapters.placement import place
from atoll.adapters.pose import PoseEstimator
from atoll.adapters.segment import Segmenter
from atoll.adapters.vision import model_input
from atoll.pipeline.chain import steps
from atoll.pipeline.chain.items import Sighting, View, sightings
from atoll.pipeline.opening import software_device
from atoll.pipeline.pool import Pool
from atoll.runtime.interpreter import Interpreter
from atoll.runtime.model_input import preprocessing_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeAlias

    import numpy as np
    from PIL import Image

    from atoll.adapters.vision import Vision
    from atoll.pipeline.line import DeviceState
    from atoll.pipeline.runner import Runner

    Seer: TypeAlias = type[Vision[Any, Any]]

_SEERS: dict[type[steps.Step], Seer] = {
    steps.Classify: Classifier,
    steps.Detect: Detector,
    steps.Segment: Segmenter,
    steps.Pose: PoseEstimator,
}


class Looking:
    """A model step that is open.

    Args:
        name: The step's name.
        step: The step.

    Raises:
        ModelError: The model cannot be run, or its outputs are not such as the step needs.
        DeviceError: A device is not there, or cannot run the model.
        UsageError: There is no such adapter.
    """

    def __init__(self, name: str, step: Any) -> None:
        self._name = name
        self._step = step
        self._names: Sequence[str] = ()
        self._interpreters: dict[str, Interpreter] = {}
        fallback = None if step.fallback is None else software_device(step.model, step.fallback)
        devices = list(step.device)
        self._pool = Pool(
            step.model,
            devices,
            fallback=None if fallback in devices else fallback,
            queue_size=4 * len(devices),
            open_device=self._open,
        )

    def __call__(self, views: Sequence[View]) -> list[Sighting]:
        """Looks at images, on all its devices at once.

        Args:
            views: The images.

        Returns:
            What was found, image by image.
        """
        seen = self._pool.stream().map((view.image,) for view in views)
        return [
            sighting
            for view, told in zip(views, seen, strict=True)
            for sighting in sightings(self._name, view, told)
        ]

    def names(self) -> Sequence[str]:
        """The names of what it can find, as far as they are known."""
        return self._names

    def states(self) -> list[DeviceState]:
        """What became of each device so far."""
        return self._pool.states()

    def notes(self) -> list[str]:
        """What a user should know of how it ran so far, a sentence each: devices that were lost."""
        told = [note for opened in list(self._interpreters.values()) for note in opened.notes]
        return told + [
            f"{state.device} was lost (now {state.state}, losses: {state.losses}): {state.reason}"
            for state in self._pool.states()
            if state.losses
        ]

    def close(self) -> None:
        """Gives its devices back."""
        self._pool.close(drop=True)

    def _open(self, device: str) -> Runner:
        step = self._step
        interpreter = Interpreter(step.model, device, step.threads, twin=step.twin)
        self._interpreters[device] = interpreter
        seer = _SEERS.get(type(step))
        if seer is None:
            return _RawEye(interpreter, step.resize or "stretch")
        eye = _Eye(interpreter, seer, step)
        self._names = eye.names
        return eye


class _Eye:
    """A model with its adapter, on one device."""

    def __init__(self, interpreter: Interpreter, seer: Seer, step: Any) -> None:
        self._interpreter = interpreter
        self.model = interpreter.model
        self.device = interpreter.device
        try:
            self._vision = seer(interpreter, labels=step.labels, kind=step.kind, resize=step.resize)
        except BaseException:
            interpreter.close()
            raise
        self.names = self._vision.names()
        usual = self._vision.usual
        given = {field.name: getattr(step, field.name, None) for field in fields(usual)}
        self._wanted = replace(usual, **{k: v for k, v in given.items() if v is not None})

    def invoke(self, image: Image.Image) -> Any:
        return self._vision.see(image, self._wanted)

    def close(self) -> None:
        self._interpreter.close()


class _RawEye:
    """A model whose outputs are given as they are."""

    def __init__(self, interpreter: Interpreter, resize: str) -> None:
        self._interpreter = interpreter
        self.model = interpreter.model
        self.device = interpreter.device
        self._resize = resize
        try:
            self._preprocessing = preprocessing_of(interpreter.model, interpreter.name)
        except BaseException:
            interpreter.close()
            raise

    def invoke(self, image: Image.Image) -> dict[str, np.ndarray]:
        size = self._preprocessing.width, self._preprocessing.height
        pixels, _ = place(image, size, self._resize)
        info = self._interpreter.inputs[0]
        raw = self._interpreter.invoke(model_input(info, self._preprocessing, pixels)[None])
        return {
            output.name: real_numbers(output, values)
            for output, values in zip(self._interpreter.outputs, raw, strict=True)
        }

    def close(self) -> None:
        self._interpreter.close()
