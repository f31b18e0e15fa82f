"""A compiled file's twin: the model that it was compiled from, found by its name."""

from __future__ import annotations

import os
import re
from pathlib import Path

_COMPILED = re.compile(r"_edgetpu$")
# What Google's compiler puts into the names of the files that it makes of one or several models.
_PARTS = (re.compile(r"_cocompiled_with_.*$"), re.compile(r"_segment_\d+_of_\d+$"))


def twin_names(compiled: Path) -> list[Path]:
    """Where a compiled file's twin should lie, the likeliest first.

    Args:
        compiled: The compiled file: `X_edgetpu.tflite`, `X_cocompiled_with_Y_edgetpu.tflite` or
            `X_segment_0_of_2_edgetpu.tflite`.

    Returns:
        Paths, whether there is a file or not: in the same folder, and of files made of one or
        several models in the one above it, as segments are often kept in a folder of their own;
        none where the name does not end in `_edgetpu`.
    """
    if not _COMPILED.search(compiled.stem):
        return []
    whole = _COMPILED.sub("", compiled.stem)
    models: list[str] = []
    for part in _PARTS:
        models += [short for stem in (whole, *models) if (short := part.sub("", stem)) != stem]
    beside = [compiled.with_name(f"{stem}{compiled.suffix}") for stem in (whole, *models)]
    above = Path(os.path.normpath(compiled.parent / ".."))
    return beside + [above / path.name for path in beside[1:]]


def find_twin(compiled: Path) -> Path | None:
    """A compiled file's twin, where it should lie; None where there is none."""
    return next((path for path in twin_names(compiled) if path.is_file()), None)
