"""Poses: people as the points of their bodies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from atoll.adapters.boxes import from_centers, nms
from atoll.adapters.found import People
from atoll.adapters.posenet import POSENET
from atoll.adapters.results import Keypoint, Pose
from atoll.adapters.skeleton import KEYPOINTS
from atoll.adapters.table import Adapter, Raw, Wanted
from atoll.adapters.vision import Vision
from atoll.adapters.yolo import strides_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from atoll.adapters.facts import Facts
    from atoll.adapters.placement import Placement
    from atoll.adapters.table import Decode

_PARTS = len(KEYPOINTS)
# MoveNet for many people: 17 points of three numbers, a box of four and a score.
_MANY = 3 * _PARTS + 5
# YOLO's: a box of four, a score, and 17 points of three numbers.
_YOLO = 5 + 3 * _PARTS


def _movenet(facts: Facts) -> Decode[People] | None:
    """[1, 1, 17, 3]: y, x and score of each point, from 0 to 1."""
    if len(facts.outputs) != 1 or facts.shapes[0] != (1, 1, _PARTS, 3):
        return None
    return lambda raw, wanted: _from_triples(raw[0].reshape(1, _PARTS, 3)).chosen(wanted)


def _movenet_many(facts: Facts) -> Decode[People] | None:
    """[1, N, 56]: the same for N people, each with a box and a score behind it."""
    shape = facts.shapes[0] if len(facts.outputs) == 1 else ()
    if len(shape) != 3 or shape[0] != 1 or shape[2] != _MANY or strides_of(facts, shape[1], 1):
        return None

    def decode(raw: Raw, wanted: Wanted) -> People:
        table = raw[0].reshape(-1, _MANY)
        people = _from_triples(table[:, : 3 * _PARTS].reshape(-1, _PARTS, 3))
        return People(people.points, people.part_scores, table[:, -1]).chosen(wanted)

    return decode


def _from_triples(triples: np.ndarray) -> People:
    scores = triples[..., 2]
    return People(triples[..., 1::-1], scores, scores.mean(axis=1))


def _yolo(facts: Facts) -> Decode[People] | None:
    """[1, 56, N] or [1, N, 56]: x, y, width, height, score, then x, y and score of each point."""
    shape = facts.shapes[0] if len(facts.outputs) == 1 else ()
    if len(shape) != 3 or shape[0] != 1 or _YOLO not in shape[1:]:
        return None
    turned = shape[1] == _YOLO
    if strides_of(facts, shape[2] if turned else shape[1], 1) is None:
        return None
    size = np.array([facts.width, facts.height])

    def decode(raw: Raw, wanted: Wanted) -> People:
        table = raw[0][0].T if turned else raw[0][0]
        far = bool(table[:, :4].max(initial=0) > 2.0)
        table = table[table[:, 4] >= wanted.threshold]
        boxes = from_centers(table[:, :4].astype(np.float64))
        kept = nms(boxes, table[:, 4], overlap=wanted.overlap, most=wanted.most)
        triples = table[kept, 5:].reshape(-1, _PARTS, 3)
        points = triples[..., :2] / (size if far else 1.0)
        return People(points, triples[..., 2], table[kept, 4])

    return decode


POSES: tuple[Adapter[People], ...] = (
    *POSENET,
    Adapter("movenet", "[1,1,17,3]", _movenet, resize="letterbox", assumed=(0.0, 1.0)),
    Adapter("movenet-many", "[1,N,56]", _movenet_many, resize="letterbox", assumed=(0.0, 1.0)),
    Adapter(
        "yolov8-pose",
        "[1,56,N] or [1,N,56], one box a cell",
        _yolo,
        resize="letterbox",
        assumed=(0.0, 255.0),
    ),
)


class PoseEstimator(Vision[People, list[Pose]]):
    """A pose model, ready to look at photos.

    Example:
        >>> with PoseEstimator(Path("movenet.tflite")) as estimator:
        ...     for pose in estimator.see(Path("dancer.jpg")):
        ...         print(pose.score, pose.keypoints[0])
    """

    task = "pose"
    usual = Wanted(threshold=0.25, most=20)

    @classmethod
    def adapters(cls) -> Sequence[Adapter[People]]:
        """The forms of output that are known."""
        return POSES

    def names(self) -> Sequence[str]:
        """All that it can see is people."""
        return ["person"]

    def _told(self, found: People, placement: Placement, wanted: Wanted) -> list[Pose]:
        return poses(found, placement)


def poses(found: People, placement: Placement) -> list[Pose]:
    """Points over a model's input as poses on the photo.

    Args:
        found: What a pose model's adapter decoded.
        placement: Where the photo lies in the input.

    Returns:
        In the order given.
    """
    points = placement.to_photo(found.points)
    return [
        Pose(
            tuple(
                Keypoint(name, float(x), float(y), float(rated))
                for name, (x, y), rated in zip(KEYPOINTS, person, parts, strict=True)
            ),
            float(score),
        )
        for person, parts, score in zip(points, found.part_scores, found.scores, strict=True)
    ]
