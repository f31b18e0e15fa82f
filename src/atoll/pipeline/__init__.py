"""Several devices and several models at work together.

`Pool` is one model on several devices, `Segmented` one model cut over several devices, `Chain` a
graph of several models.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from atoll.pipeline.chain.chain import Chain, StepStats
    from atoll.pipeline.chain.reading import read_chain
    from atoll.pipeline.chain.results import ChainResult, Finding
    from atoll.pipeline.chain.steps import (
        Classify,
        Crop,
        Detect,
        Filter,
        Merge,
        Pose,
        Raw,
        Resize,
        Segment,
        Tile,
    )
    from atoll.pipeline.line import Backoff, DeviceState
    from atoll.pipeline.pool import Pool
    from atoll.pipeline.segmented import Segmented
    from atoll.pipeline.stage import SegmentStats
    from atoll.pipeline.stream import Stream

__all__ = [
    "Backoff",
    "Chain",
    "ChainResult",
    "Classify",
    "Crop",
    "Detect",
    "DeviceState",
    "Filter",
    "Finding",
    "Merge",
    "Pool",
    "Pose",
    "Raw",
    "Resize",
    "Segment",
    "SegmentStats",
    "Segmented",
    "StepStats",
    "Stream",
    "Tile",
    "read_chain",
]

_STEPS = (
    *("Classify", "Crop", "Detect", "Filter", "Merge"),
    *("Pose", "Raw", "Resize", "Segment", "Tile"),
)
_HOMES = {
    "Backoff": "line",
    "Chain": "chain.chain",
    "ChainResult": "chain.results",
    "DeviceState": "line",
    "Finding": "chain.results",
    "Pool": "pool",
    "SegmentStats": "stage",
    "Segmented": "segmented",
    "StepStats": "chain.chain",
    "Stream": "stream",
    "read_chain": "chain.reading",
    **dict.fromkeys(_STEPS, "chain.steps"),
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"atoll.pipeline.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'atoll.pipeline' has no attribute {name!r}")
