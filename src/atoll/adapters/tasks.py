"""The tasks, each with its table of adapters: what a model might be good for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from atoll.adapters.facts import Facts
    from atoll.adapters.table import Adapter


def tables() -> dict[str, Sequence[Adapter[Any]]]:
    """Each task's adapters."""
    from atoll.adapters.classify import CLASSIFIERS
    from atoll.adapters.detect import DETECTORS
    from atoll.adapters.pose import POSES
    from atoll.adapters.segment import SEGMENTERS

    return {
        "classify": CLASSIFIERS,
        "detect": DETECTORS,
        "segment": SEGMENTERS,
        "pose": POSES,
    }


def fitting(facts: Facts) -> list[str]:
    """The tasks of which an adapter recognises a model."""
    return [
        task
        for task, adapters in tables().items()
        if any(row.recognise(facts) is not None for row in adapters)
    ]
