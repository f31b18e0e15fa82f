"""Several devices and several models at work together."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from atoll.pipeline.line import Backoff, DeviceState
    from atoll.pipeline.pool import Pool
    from atoll.pipeline.segmented import Segmented
    from atoll.pipeline.stage import SegmentStats
    from atoll.pipeline.stream import Stream

__all__ = ["Backoff", "DeviceState", "Pool", "SegmentStats", "Segmented", "Stream"]

_HOMES = {
    "Backoff": "line",
    "DeviceState": "line",
    "Pool": "pool",
    "SegmentStats": "stage",
    "Segmented": "segmented",
    "Stream": "stream",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"atoll.pipeline.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'atoll.pipeline' has no attribute {name!r}")
