"""Adapters: what a model's outputs mean, as typed results on the photo that it was given.

Each of `Classifier`, `Detector`, `Segmenter` and `PoseEstimator` is a model with what it wants of a
photo; `Wanted` says what to tell. Their modules hold the pure functions that they are made of.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from atoll.adapters.classify import Classifier
    from atoll.adapters.detect import Detector
    from atoll.adapters.pose import PoseEstimator
    from atoll.adapters.results import Box, Class, Keypoint, Mask, Object, Pose
    from atoll.adapters.segment import Segmenter
    from atoll.adapters.table import Wanted

__all__ = [
    "Box",
    "Class",
    "Classifier",
    "Detector",
    "Keypoint",
    "Mask",
    "Object",
    "Pose",
    "PoseEstimator",
    "Segmenter",
    "Wanted",
]

_HOMES = {
    "Classifier": "classify",
    "Detector": "detect",
    "PoseEstimator": "pose",
    "Segmenter": "segment",
    "Wanted": "table",
    **dict.fromkeys(("Box", "Class", "Keypoint", "Mask", "Object", "Pose"), "results"),
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"atoll.adapters.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'atoll.adapters' has no attribute {name!r}")
