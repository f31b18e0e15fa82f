"""Which Edge TPU an engine has: without a path each takes one of its own, while there are some."""

from __future__ import annotations

import threading
from collections import Counter
from enum import IntEnum

from atoll.compat.hardware import SeenDevice, seen_devices, tell_once


class EdgeTpuState(IntEnum):
    """Which Edge TPUs are meant."""

    NONE = 0
    ASSIGNED = 1
    UNASSIGNED = 2


_engines: Counter[str] = Counter()
_lock = threading.Lock()


def assign(path: str) -> SeenDevice:
    """Gives an engine an Edge TPU. It must be given back with `release`.

    Args:
        path: The device's path; "" for any: where there are several, one that no engine has.

    Raises:
        RuntimeError: There is none, or no free one.
    """
    seen = seen_devices()
    with _lock:
        device = _at(path, seen) if path else _any(seen)
        _engines[device.path] += 1
    if device.simulated:
        tell_once()
    return device


def release(path: str) -> None:
    """An engine on the device with this path is gone."""
    with _lock:
        _engines[path] -= 1


def paths(state: int) -> tuple[str, ...]:
    """The paths of Edge TPUs.

    Args:
        state: A number of `EdgeTpuState`: all of them, those that engines have, or the others.
    """
    seen = seen_devices()
    if any(device.simulated for device in seen):
        tell_once()
    wanted = EdgeTpuState(state)
    with _lock:
        return tuple(
            device.path
            for device in seen
            if wanted is EdgeTpuState.NONE
            or (_engines[device.path] > 0) is (wanted is EdgeTpuState.ASSIGNED)
        )


def _at(path: str, seen: list[SeenDevice]) -> SeenDevice:
    for device in seen:
        if device.path == path:
            return device
    raise RuntimeError(f"Path {path} does not map to an Edge TPU device.")


def _any(seen: list[SeenDevice]) -> SeenDevice:
    if not seen:
        raise RuntimeError("No Edge TPU device detected!")
    if len(seen) == 1:
        return seen[0]
    for device in seen:
        if not _engines[device.path]:
            return device
    raise RuntimeError(
        "Multiple Edge TPUs detected and all have been mapped to at least one model. If you want "
        "to share one Edge TPU with multiple models, specify `device_path` name."
    )
