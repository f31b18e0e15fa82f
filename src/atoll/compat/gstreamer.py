"""Frames of GStreamer's, which old programs pass on as they get them."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator


def is_buffer(value: object) -> bool:
    """Whether it is a Gst.Buffer: only a program that loaded GStreamer itself can have one."""
    gst: Any = sys.modules.get("gi.repository.Gst")
    return gst is not None and isinstance(value, gst.Buffer)


@contextmanager
def mapped(buffer: Any) -> Iterator[np.ndarray]:
    """The bytes of a Gst.Buffer, while they may be read.

    Raises:
        RuntimeError: GStreamer does not give them.
    """
    gst: Any = sys.modules["gi.repository.Gst"]
    success, info = buffer.map(gst.MapFlags.READ)
    if not success:
        raise RuntimeError("gst_buffer_map failed")
    try:
        yield np.frombuffer(info.data, np.uint8)
    finally:
        buffer.unmap(info)
