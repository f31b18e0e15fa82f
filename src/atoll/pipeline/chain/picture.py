"""A photo with all that a chain found drawn on it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from atoll.adapters import drawing
from atoll.adapters.results import Box, Class, Keypoint, Mask, Object, Pose

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from PIL import Image

    from atoll.pipeline.chain.results import ChainResult, Finding


def draw(photo: Image.Image, result: ChainResult) -> Image.Image:
    """Draws what was found, things within things too, in their places on the photo.

    Args:
        photo: The photo in RGB; one too small to write on is enlarged.
        result: What was found on it.

    Returns:
        Another RGB image.
    """
    findings = list(result.walk())
    image = photo
    mask = _one_mask(photo, findings)
    if mask is not None:
        image = drawing.draw(image, mask)
    scale = image.width / photo.width
    things: list[Class | Object | Pose] = []
    for finding in findings:
        if isinstance(finding.result, Object):
            label = f"{finding.result.label}{_classes_within(finding)}"
            things.append(
                replace(finding.result, label=label, box=_scaled(finding.result.box, scale))
            )
        elif isinstance(finding.result, Pose):
            points = tuple(_scaled_point(point, scale) for point in finding.result.keypoints)
            things.append(replace(finding.result, keypoints=points))
    if things:
        image = drawing.draw(image, things)
    classes = _classes(result.found)
    return drawing.label(image, [(c.label, c.score) for c in classes]) if classes else image


def _classes(found: Mapping[str, Sequence[Finding]]) -> list[Class]:
    return [
        finding.result
        for findings in found.values()
        for finding in findings
        if isinstance(finding.result, Class)
    ]


def _classes_within(finding: Finding) -> str:
    names = ", ".join(one.label for one in _classes(finding.found))
    return f": {names}" if names else ""


def _edges(box: Box) -> tuple[float, float, float, float]:
    return box.left, box.top, box.right, box.bottom


def _scaled(box: Box, scale: float) -> Box:
    return Box(*(edge * scale for edge in _edges(box)))


def _scaled_point(point: Keypoint, scale: float) -> Keypoint:
    return replace(point, x=point.x * scale, y=point.y * scale)


def _one_mask(photo: Image.Image, findings: Sequence[Finding]) -> Mask | None:
    """All masks as one over the photo, their classes by name; the later ones lie above."""
    classes = np.zeros((photo.height, photo.width), np.int32)
    numbers: dict[str, int] = {"": 0}
    for finding in findings:
        if not isinstance(finding.result, Mask):
            continue
        left, top, right, bottom = (
            round(edge) for edge in _edges(finding.box.clipped(photo.width, photo.height))
        )
        rows, columns = finding.result.classes.shape
        ys = np.arange(bottom - top) * rows // max(1, bottom - top)
        xs = np.arange(right - left) * columns // max(1, right - left)
        there = finding.result.classes[ys[:, None], xs[None, :]]
        part = classes[top:bottom, left:right]
        for share in finding.result.shares():
            number = numbers.setdefault(share.label, len(numbers))
            part[there == share.index] = number
    return Mask(classes, tuple(numbers)) if len(numbers) > 1 else None
