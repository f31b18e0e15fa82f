"""The steps without a model: crop, filter, resize, tile, merge."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from atoll.adapters.boxes import nms
from atoll.adapters.placement import place
from atoll.adapters.results import Box, Object, Pose
from atoll.pipeline.chain.items import Sighting, View

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from atoll.pipeline.chain.steps import Crop, Filter, Merge, Resize, Tile


def crop(step: Crop, items: Sequence[Sighting]) -> list[View]:
    """Cuts each thing out of the photo.

    What has no place of its own, as classes have not, gives the image that it was found on, once.
    """
    views: list[View] = []
    whole: set[int] = set()
    for item in items:
        if not isinstance(item.result, Object | Pose):
            if id(item.view) in whole:
                continue
            whole.add(id(item.view))
        photo = item.view.photo
        left, top, right, bottom = _edges(item.box, step, photo)
        if min(right - left, bottom - top) >= step.smallest:
            part = photo.crop((left, top, right, bottom))
            views.append(View(part, photo, (float(left), float(top)), owner=item))
    return views


def _edges(box: Box, step: Crop, photo: Image.Image) -> tuple[int, int, int, int]:
    """A box with its margin, in whole pixels of the photo."""
    wide, high = (side * (1 + 2 * step.margin) for side in (box.width, box.height))
    if step.square:
        wide = high = max(wide, high)
    left, right = _span(box.left, box.right, wide, photo.width)
    top, bottom = _span(box.top, box.bottom, high, photo.height)
    return left, top, right, bottom


def _span(low: float, high: float, length: float, limit: int) -> tuple[int, int]:
    """A stretch around the middle of another, moved so that as much as can be is on the photo."""
    # What is a whole number but for a rounding error stays one.
    whole = min(math.ceil(length - 1e-6), limit)
    start = min(max(round((low + high - whole) / 2), 0), limit - whole)
    return start, start + whole


def filtered(step: Filter, items: Sequence[Sighting]) -> list[Sighting]:
    """Chooses from what was found; the order stays."""
    kept = [item for item in items if _is_wanted(step, item)]
    if step.most is None:
        return kept
    best: dict[int, list[Sighting]] = {}
    for item in sorted(kept, key=lambda item: -item.score):
        best.setdefault(id(item.view), []).append(item)
    chosen = {id(item) for group in best.values() for item in group[: step.most]}
    return [item for item in kept if id(item) in chosen]


def _is_wanted(step: Filter, item: Sighting) -> bool:
    sides = item.box.width, item.box.height
    return (
        (step.classes is None or item.label in step.classes)
        and (step.score is None or item.score >= step.score)
        and (step.smallest is None or min(sides) >= step.smallest)
    )


def resized(step: Resize, views: Sequence[View]) -> list[View]:
    """Makes images of another size."""
    made = []
    for view in views:
        pixels, placement = place(view.image, (step.width, step.height), step.resize)
        scale = (
            view.scale[0] / placement.scale[0],
            view.scale[1] / placement.scale[1],
        )
        origin = (
            view.origin[0] - placement.offset[0] * scale[0],
            view.origin[1] - placement.offset[1] * scale[1],
        )
        made.append(View(Image.fromarray(pixels), view.photo, origin, scale, view.owner))
    return made


def tiled(step: Tile, views: Sequence[View]) -> list[View]:
    """Cuts images into squares that overlap; one that is smaller than a square stays whole."""
    made = []
    for view in views:
        wide, high = (min(step.size, side) for side in view.image.size)
        for top in _starts(view.image.height, high, step.overlap):
            for left in _starts(view.image.width, wide, step.overlap):
                part = view.image.crop((left, top, left + wide, top + high))
                made.append(View(part, view.photo, view.point(left, top), view.scale, view.owner))
    return made


def _starts(length: int, side: int, overlap: float) -> list[int]:
    """Where squares begin, evenly spread, so that neighbours overlap by no less."""
    step = max(1.0, side * (1 - overlap))
    count = 1 + math.ceil((length - side) / step)
    return [round(i * (length - side) / max(1, count - 1)) for i in range(count)]


def merged(step: Merge, items: Sequence[Sighting]) -> list[Sighting]:
    """Of objects that overlap, keeps the surest, within each thing that they were found in."""
    groups: dict[int, list[Sighting]] = {}
    for item in items:
        groups.setdefault(id(item.owner), []).append(item)
    return [item for group in groups.values() for item in _surest(group, step.overlap)]


def _surest(items: Sequence[Sighting], overlap: float) -> Iterable[Sighting]:
    boxes = np.array([(i.box.left, i.box.top, i.box.right, i.box.bottom) for i in items])
    scores = np.array([item.score for item in items])
    # Classes by name: two models number them differently.
    names = {name: number for number, name in enumerate(sorted({i.label for i in items}))}
    classes = np.array([names[item.label] for item in items])
    return (items[i] for i in nms(boxes, scores, classes, overlap=overlap))
