"""Segmentation: a class a pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from atoll.adapters.found import probabilities
from atoll.adapters.results import Mask
from atoll.adapters.skeleton import KEYPOINTS
from atoll.adapters.table import Adapter, Raw, Wanted
from atoll.adapters.vision import Vision
from atoll.runtime.posenet_decoder import NAME

if TYPE_CHECKING:
    from collections.abc import Sequence

    from atoll.adapters.facts import Facts
    from atoll.adapters.placement import Placement
    from atoll.adapters.table import Decode

# BodyPix's parts, in the order of its part heatmaps. Source: google-coral/project-bodypix.
BODY_PARTS = (
    "left face",
    "right face",
    "left upper arm front",
    "left upper arm back",
    "right upper arm front",
    "right upper arm back",
    "left lower arm front",
    "left lower arm back",
    "right lower arm front",
    "right lower arm back",
    "left hand",
    "right hand",
    "torso front",
    "torso back",
    "left upper leg front",
    "left upper leg back",
    "right upper leg front",
    "right upper leg back",
    "left lower leg front",
    "left lower leg back",
    "right lower leg front",
    "right lower leg back",
    "left foot",
    "right foot",
)

# The depth of the maps of body parts by which a BodyPix is known.
_HEATMAPS = {len(KEYPOINTS)}


@dataclass(frozen=True, eq=False)
class Areas:
    """A class a cell.

    Attributes:
        classes: int (h, w) over the model's input.
        labels: The classes' names, where the model itself implies them; else None.
        background: The class that stands for nothing; None where there is none.
    """

    classes: np.ndarray
    labels: tuple[str, ...] | None = None
    background: int | None = 0


def _numbered(facts: Facts) -> Decode[Areas] | None:
    """[1, h, w] or [1, h, w, 1] of whole numbers."""
    if len(facts.outputs) != 1 or not facts.outputs[0].whole:
        return None
    shape = facts.shapes[0]
    if (
        len(shape) not in (3, 4)
        or shape[0] != 1
        or min(shape[1:3]) < 2
        or shape[3:] not in ((), (1,))
    ):
        return None
    return lambda raw, _wanted: Areas(raw[0].reshape(shape[1:3]))


def _scored(facts: Facts) -> Decode[Areas] | None:
    """[1, h, w, C]: a score a class and cell."""
    shape = facts.shapes[0] if len(facts.outputs) == 1 else ()
    if len(shape) != 4 or shape[0] != 1 or min(shape[1:]) < 2:
        return None
    return lambda raw, _wanted: Areas(raw[0][0].argmax(axis=2))


def _one_class(facts: Facts) -> Decode[Areas] | None:
    """[1, h, w, 1]: one score a cell. A BodyPix has it beside the maps or poses of people."""
    places = facts.maps().get(1, [])
    beside = len(_HEATMAPS & facts.maps().keys()) > 0 or facts.operator(NAME) is not None
    if len(places) != 1 or not (len(facts.outputs) == 1 or beside):
        return None
    (place,) = places
    if facts.outputs[place].whole:
        return None
    known = facts.are_probabilities(place)
    return lambda raw, wanted: Areas(
        (probabilities(raw[place][0, :, :, 0], known) >= wanted.threshold).astype(np.int32)
    )


def _body_parts(facts: Facts) -> Decode[Areas] | None:
    """BodyPix: a score a cell for a person, [1, h, w, 1], and one a part, [1, h, w, 24]."""
    maps = facts.maps()
    persons, parts = maps.get(1, []), maps.get(len(BODY_PARTS), [])
    if len(persons) != 1 or len(parts) != 1:
        return None
    person, part = persons[0], parts[0]
    if facts.shapes[person][:3] != facts.shapes[part][:3]:
        return None
    known = facts.are_probabilities(person)

    def decode(raw: Raw, wanted: Wanted) -> Areas:
        there = probabilities(raw[person][0, :, :, 0], known) >= wanted.threshold
        numbers = np.where(there, raw[part][0].argmax(axis=2) + 1, 0)
        return Areas(numbers, ("", *BODY_PARTS))

    return decode


def _persons(facts: Facts) -> Decode[Areas] | None:
    """BodyPix with its decoder: masks [1, N, h, w], one a person, and the count of them."""
    places = facts.places_of(NAME)
    if places is None or len(places) != 5:
        return None
    count, masks = places[3], places[4]

    def decode(raw: Raw, _wanted: Wanted) -> Areas:
        many = int(np.clip(np.nan_to_num(raw[count].reshape(-1)[0]), 0, len(raw[masks][0])))
        each = raw[masks][0, :many] > 0.5
        numbers = (each * np.arange(1, many + 1)[:, None, None]).sum(axis=0)
        labels = ("", *(f"person {i}" for i in range(1, many + 1)))
        return Areas(numbers.astype(np.int32), labels)

    return decode


SEGMENTERS: tuple[Adapter[Areas], ...] = (
    Adapter("classes", "[1,h,w] of class numbers", _numbered),
    Adapter("scores", "[1,h,w,C]", _scored),
    Adapter("bodypix-parts", "persons [1,h,w,1], parts [1,h,w,24]", _body_parts),
    Adapter("bodypix-persons", "poses and masks [1,N,h,w]", _persons),
    Adapter("one-class", "[1,h,w,1]", _one_class),
)


class Segmenter(Vision[Areas, Mask]):
    """A segmentation model, ready to look at photos.

    Example:
        >>> with Segmenter(Path("deeplab.tflite")) as segmenter:
        ...     for part in segmenter.see(Path("bird.jpg")).shares():
        ...         print(part.label, part.score)
    """

    task = "segment"
    usual = Wanted(threshold=0.5)

    @classmethod
    def adapters(cls) -> Sequence[Adapter[Areas]]:
        """The forms of output that are known."""
        return SEGMENTERS

    def names(self) -> Sequence[str]:
        """The names of its classes; a BodyPix has its own."""
        return list(BODY_PARTS) if self.kind == "bodypix-parts" else super().names()

    def _told(self, found: Areas, placement: Placement, wanted: Wanted) -> Mask:
        labels = tuple(self.labels) if found.labels is None else found.labels
        smallest = np.uint8 if found.classes.max(initial=0) < 256 else np.int32
        classes = placement.map_to_photo(found.classes.astype(smallest), found.background or 0)
        return Mask(classes, labels, found.background)
