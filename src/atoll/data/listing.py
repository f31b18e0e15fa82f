"""What a data set holds before a photo of it is decoded: names, labels, splits, and what not."""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from atoll.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

SPLITS = ("train", "val", "test")


@dataclass(frozen=True, order=True)
class Photo:
    """One photo of a data set.

    Attributes:
        path: Relative to the data set's root, with forward slashes; absolute where a CSV
            gives it so.
        label: The name of its class.
        split: One of SPLITS, or "" while it is in none.
    """

    path: str
    label: str
    split: str = ""


@dataclass(frozen=True, order=True)
class Skipped:
    """Something in the data set that is not used, and why, for the report."""

    path: str
    reason: str


@dataclass
class Listing:
    """A data set as it lies on the disk.

    Attributes:
        root: The folder that the photos' paths start from.
        photos: In the order of their paths.
        skipped: In the order of their paths.
        source: The layout it was read from.
    """

    root: Path
    photos: list[Photo]
    skipped: list[Skipped]
    source: Literal["folder", "automl csv"]


def check_classes(photos: Iterable[Photo], dataset: Path) -> None:
    """Checks that there is something to tell apart.

    Raises:
        DatasetError: The photos are of fewer than two classes.
    """
    classes = {photo.label for photo in photos}
    if len(classes) < 2:
        raise DatasetError(
            dataset,
            "a classifier needs at least two classes",
            received=f"only {classes.pop()!r}" if classes else "no photos",
            fix="Add a folder with photos of another class, even if only of 'other'",
        )


def fingerprint(photos: Sequence[Photo], root: Path) -> str:
    """What tells one data set from another, without reading a photo.

    Args:
        photos: As `scan` lists them, in any order.
        root: The data set's root.

    Returns:
        The SHA-256, in hexadecimal, of every photo's path, label, split and size in bytes.
    """
    rows = sorted([p.path, p.label, p.split, file_size(root / p.path)] for p in photos)
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def file_size(path: Path) -> int:
    """The size of a file in bytes, -1 where there is none."""
    with contextlib.suppress(OSError, ValueError):
        return path.stat().st_size
    return -1
