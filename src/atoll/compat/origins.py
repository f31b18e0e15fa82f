"""Where compiled models come from: for those that a program has only in memory.

Software runs a compiled model by its twin, which lies beside its file. Old programs also hand over
a model's bytes, or a model that was made of one: an embedding extractor, a retrained classifier.
The compiled part in those is still that of the file, and by that it is recognised.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections import OrderedDict
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atoll.edgetpu.simfile import EDGETPU_OP
from atoll.edgetpu.twins import find_twin
from atoll.errors import ModelError
from atoll.tflite.reader import parse_model

if TYPE_CHECKING:
    from collections.abc import Mapping

    from atoll.tflite.graph import Model

# Uncompiled models to try as twins, where no other is found.
TWIN_VARIABLE = "ATOLL_TWIN"

_MOST_SEEN = 256
_SUFFIX = ".tflite"

_seen: OrderedDict[str, None] = OrderedDict()
_watching = False


def saw(path: str | os.PathLike[str]) -> None:
    """Notes that this process has read a model's file."""
    name = os.path.abspath(path)  # noqa: PTH100  a name, whether there is a file or not
    _seen[name] = None
    _seen.move_to_end(name)
    if len(_seen) > _MOST_SEEN:
        _seen.popitem(last=False)


def watch() -> None:
    """Notes every model that the program opens by itself. It cannot be ended."""
    global _watching
    if not _watching:
        _watching = True
        sys.addaudithook(_on_event)


def twin_candidates(
    model: Model, path: str | os.PathLike[str] | None, environ: Mapping[str, str] = os.environ
) -> list[Path | None]:
    """The uncompiled models that may be what a compiled model was made of, the likeliest first.

    Args:
        model: The compiled model.
        path: Its file; None where there are bytes alone.
        environ: The environment: $ATOLL_TWIN names models.

    Returns:
        Paths; None, at the end, where there are none: the runtime then says what is missing.
    """
    if path is not None:
        saw(path)
        beside = find_twin(Path(path))
        if beside is not None:
            return [beside]
    candidates: list[Path | None] = [
        twin for origin in _origins(model) if (twin := find_twin(origin)) is not None
    ]
    candidates += [Path(name) for name in environ.get(TWIN_VARIABLE, "").split(os.pathsep) if name]
    return candidates or [None]


def _origins(model: Model) -> list[Path]:
    """The files that this process has read, the newest first, that hold a compiled part of this."""
    wanted = _fingerprints(model)
    found = []
    for name in reversed(list(_seen)):
        path = Path(name)
        try:
            facts = path.stat()
        except OSError:
            continue
        if wanted & _fingerprints_of(path, facts.st_mtime_ns, facts.st_size):
            found.append(path)
    return found


@lru_cache(_MOST_SEEN)
def _fingerprints_of(path: Path, _changed: int, _size: int) -> frozenset[bytes]:
    """Those of a file; none, where it is no model."""
    try:
        return _fingerprints(parse_model(path.read_bytes(), path))
    except (ModelError, OSError):
        return frozenset()


def _fingerprints(model: Model) -> frozenset[bytes]:
    return frozenset(
        hashlib.sha256(op.custom_options or b"").digest()
        for op in model.main.operators
        if op.custom_name == EDGETPU_OP
    )


def _on_event(event: str, arguments: tuple[Any, ...]) -> None:
    if event != "open":
        return
    path = arguments[0]
    if isinstance(path, bytes):
        path = os.fsdecode(path)
    if isinstance(path, str) and path.endswith(_SUFFIX):
        saw(path)
