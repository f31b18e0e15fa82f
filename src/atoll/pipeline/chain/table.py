"""The kinds of steps: one table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from atoll.pipeline.chain import steps

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

IMAGES, OBJECTS, CLASSES, MASKS, POSES, TENSORS = (
    "images",
    "objects",
    "classes",
    "masks",
    "poses",
    "tensors",
)


class Worker(Protocol):
    """A step that is ready: from what it takes to what it gives. Any thread may call it."""

    def __call__(self, items: Sequence[Any], /) -> list[Any]:
        """Works on what its inputs gave for one photo."""


@dataclass(frozen=True)
class StepType:
    """One row of the table.

    Attributes:
        name: As users write it.
        step: Its configuration.
        takes: What it can take.
        gives: What it gives; None for what it takes.
        open: Makes it ready, given its name and configuration. What has a `close` is closed.
    """

    name: str
    step: type[steps.Step]
    takes: tuple[str, ...]
    gives: str | None
    open: Callable[[str, Any], Worker]

    @property
    def what(self) -> str:
        """What it does, for a list."""
        return (self.step.__doc__ or "").strip()


def _looking(name: str, step: Any) -> Worker:
    from atoll.pipeline.chain.looking import Looking

    return Looking(name, step)


def _shaping(function: str) -> Callable[[str, Any], Worker]:
    """A step without a model, by the name of its function."""

    def open_step(_name: str, step: Any) -> Worker:
        from atoll.pipeline.chain import shaping

        work: Callable[[Any, Sequence[Any]], list[Any]] = getattr(shaping, function)
        return lambda items: work(step, items)

    return open_step


STEP_TYPES = {
    row.name: row
    for row in (
        StepType("classify", steps.Classify, (IMAGES,), CLASSES, _looking),
        StepType("detect", steps.Detect, (IMAGES,), OBJECTS, _looking),
        StepType("segment", steps.Segment, (IMAGES,), MASKS, _looking),
        StepType("pose", steps.Pose, (IMAGES,), POSES, _looking),
        StepType("raw", steps.Raw, (IMAGES,), TENSORS, _looking),
        StepType("crop", steps.Crop, (OBJECTS, CLASSES, POSES), IMAGES, _shaping("crop")),
        StepType("filter", steps.Filter, (OBJECTS, CLASSES, POSES), None, _shaping("filtered")),
        StepType("resize", steps.Resize, (IMAGES,), IMAGES, _shaping("resized")),
        StepType("tile", steps.Tile, (IMAGES,), IMAGES, _shaping("tiled")),
        StepType("merge", steps.Merge, (OBJECTS,), OBJECTS, _shaping("merged")),
    )
}

_OF_STEP = {row.step: row for row in STEP_TYPES.values()}


def type_of(step: steps.Step) -> StepType:
    """A step's row."""
    return _OF_STEP[type(step)]
