"""The steps of a chain, as they are configured: the same in TOML and in Python."""
# ruff: noqa: RUF009 - `key` makes a dataclass field

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from atoll.adapters.placement import RESIZES
from atoll.pipeline.chain.keys import (
    DEVICES,
    FILE,
    FLAG,
    LABELS,
    MODEL,
    TEXT,
    WORDS,
    check_keys,
    choice,
    key,
    number,
    whole,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# The name of what every chain begins with.
IMAGE = "image"

_MOST_PIXELS = 16_384
_SHARE = number(0, 1)
_SCORE = number(-1e9, 1e9)
_MOST = whole(1, 1_000_000)


@dataclass(frozen=True)
class Step:
    """What all steps have.

    Attributes:
        input: The step, or steps, that it takes from; "image" is the photo itself.
    """

    input: str | Sequence[str] = key(WORDS, "the steps it takes from; image is the photo", (IMAGE,))

    def __post_init__(self) -> None:
        check_keys(self, f"{type(self).__name__.lower()} step")


@dataclass(frozen=True)
class _Finding(Step):
    """A step that finds something, and does not only prepare images.

    Attributes:
        show: Whether what it finds is a part of the result. By default, it is, unless another step
            chooses from it.
    """

    show: bool | None = key(FLAG, "whether it is a part of the result", None)


@dataclass(frozen=True)
class _Model(_Finding):
    """A model, and where it runs."""

    model: str | Path = key(MODEL, "the .tflite file", named=False)
    device: str | Sequence[str] = key(DEVICES, "where it runs; several share the work", ("auto",))
    fallback: str | None = key(
        choice(("sim", "cpu")), "what answers where an Edge TPU is lost", None
    )
    twin: str | Path | None = key(FILE, "the model that a compiled file was made of", None)
    threads: int | None = key(whole(1, 1024), "CPU threads", None)
    resize: str | None = key(choice(RESIZES), "how an image is laid into the input", None)


@dataclass(frozen=True)
class _Seeing(_Model):
    """A model with an adapter, which says what its outputs mean."""

    labels: str | Path | Sequence[str] | None = key(
        LABELS, "the class names; those in the model, if left out", None
    )
    kind: str | None = key(
        TEXT, "the adapter; the one that recognises the model, if left out", None
    )
    threshold: float | None = key(_SCORE, "what is less sure than this is left out", None)


@dataclass(frozen=True)
class _FindingMany(_Seeing):
    """A model that may find several things on an image."""

    most: int | None = key(_MOST, "how many are told at most, of one image", None)


@dataclass(frozen=True)
class Classify(_FindingMany):
    """Names what is on each image: gives classes."""


@dataclass(frozen=True)
class Detect(_FindingMany):
    """Finds objects on each image: gives objects, with boxes on the photo."""

    overlap: float | None = key(_SHARE, "of boxes that overlap by more, one is kept", None)


@dataclass(frozen=True)
class Segment(_Seeing):
    """Tells the class of each pixel: gives masks."""


@dataclass(frozen=True)
class Pose(_FindingMany):
    """Finds people as points: gives poses."""

    overlap: float | None = key(_SHARE, "of people that overlap by more, one is kept", None)


@dataclass(frozen=True)
class Raw(_Model):
    """Gives a model's outputs as they are, in real numbers."""


@dataclass(frozen=True)
class Crop(Step):
    """Cuts what was found out of the photo, in the photo's own pixels: gives images."""

    margin: float = key(number(0, 10), "added on each side, as a share of the box", 0.0)
    square: bool = key(FLAG, "whether the shorter side is widened to the longer", False)
    smallest: int = key(whole(1, _MOST_PIXELS), "what has a shorter side is left out, in pixels", 1)


@dataclass(frozen=True)
class Filter(_Finding):
    """Chooses from what was found."""

    classes: Sequence[str] | str | None = key(WORDS, "only these", None)
    score: float | None = key(_SCORE, "only what is at least as sure", None)
    smallest: int | None = key(
        whole(1, _MOST_PIXELS), "only boxes whose sides are as long, in pixels", None
    )
    most: int | None = key(_MOST, "the surest, so many of one image", None)


@dataclass(frozen=True)
class Resize(Step):
    """Makes images of another size: gives images."""

    width: int = key(whole(1, _MOST_PIXELS), "in pixels")
    height: int = key(whole(1, _MOST_PIXELS), "in pixels")
    resize: str = key(choice(RESIZES), "how an image is laid into it", "stretch")


@dataclass(frozen=True)
class Tile(Step):
    """Cuts images into squares that overlap, for objects too small to be seen on the whole."""

    size: int = key(whole(16, _MOST_PIXELS), "the side of a square, in pixels")
    overlap: float = key(number(0, 0.9), "of neighbours, as a share of the side", 0.25)


@dataclass(frozen=True)
class Merge(_Finding):
    """Of objects that overlap, found twice on tiles or by two models, keeps the surest."""

    overlap: float = key(_SHARE, "of boxes of one class that overlap by more, one is kept", 0.5)
