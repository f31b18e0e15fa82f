"""The files of a model's segments, by the names that Atoll and Google's compiler give them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from atoll.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

_NAME = re.compile(r"(?P<model>.+_segment_)(?P<number>\d+)(?P<of>_of_)(?P<count>\d+)(?P<end>\D.*)")


def all_segments(path: Path) -> list[Path]:
    """The files of all segments, from one of them.

    Args:
        path: A file such as X_segment_0_of_2_edgetpu.tflite.

    Returns:
        All of them, in order.

    Raises:
        ModelError: It is not named so, or one is missing.
    """
    match = _NAME.fullmatch(path.name)
    if match is None:
        raise ModelError(
            path,
            "a segment is named X_segment_0_of_2_edgetpu.tflite",
            received="another name",
            fix="Name all segments, as a list",
        )
    count = int(match["count"])
    # As many files as the largest pipeline could have: the number is the file's own claim.
    names = [f"{match['model']}{n}_of_{count}{match['end']}" for n in range(min(count, 1000))]
    paths = [path.with_name(name) for name in names]
    missing = next((each for each in paths if not each.is_file()), None)
    if missing is not None or path not in paths:
        raise ModelError(
            path,
            "all segments of a model must lie beside each other",
            received=f"no {(missing or path).name}",
            fix="Put it there, or name all segments, as a list",
        )
    return paths


def check_complete(paths: Sequence[object]) -> None:
    """Refuses a list of files whose own names say that they are not all, or in another order.

    Args:
        paths: The segments; what is no path with such a name is not looked at.

    Raises:
        ModelError: A number is missing, or not at its place.
    """
    matches = [
        _NAME.fullmatch(Path(path).name) if isinstance(path, (str, Path)) else None
        for path in paths
    ]
    said = [
        None if match is None else (int(match["number"]), int(match["count"])) for match in matches
    ]
    if None in said:
        return
    if said != [(number, len(paths)) for number in range(len(paths))]:
        raise ModelError(
            paths[0],
            "all segments of a model must be named, in order",
            received=", ".join(Path(str(path)).name for path in paths),
            fix="Name them all, from _segment_0_ on",
        )
