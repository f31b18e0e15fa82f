"""Copies of a photo: one that is both trained on and measured with makes the measurement lie."""

from __future__ import annotations

import contextlib
import hashlib
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from atoll.data.listing import Listing, Photo, Skipped, file_size

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

_HEAD_BYTES = 4096
_PREFERENCE = {"test": 0, "val": 1, "train": 2, "": 3}


def drop_duplicates(listing: Listing) -> Listing:
    """Keeps one of the photos that are the same file, byte for byte.

    Kept is the one held out furthest: in test, then val, then train, then the first path. Where
    copies have different labels nobody can tell which is right, and none is kept. A file that
    cannot be read is kept, for whoever decodes it to tell.

    Args:
        listing: As `scan` gives it.

    Returns:
        The listing with the copies moved to `skipped`.
    """
    photos = listing.photos
    dropped: dict[int, str] = {}
    for copies in _same_bytes(listing):
        copies.sort(key=lambda index: (_PREFERENCE[photos[index].split], photos[index]))
        kept = photos[copies[0]]
        others = [index for index in copies if photos[index].label != kept.label]
        if others:
            dropped[copies[0]] = _reason(kept, photos[others[0]])
        dropped |= {index: _reason(photos[index], kept) for index in copies[1:]}
    skipped = [Skipped(photos[index].path, reason) for index, reason in dropped.items()]
    return replace(
        listing,
        photos=[photo for index, photo in enumerate(photos) if index not in dropped],
        skipped=sorted([*listing.skipped, *skipped]),
    )


def _reason(photo: Photo, other: Photo) -> str:
    copy = "named twice" if photo.path == other.path else f"same bytes as {other.path}"
    if photo.label != other.label:
        return f"{copy}, labelled {photo.label!r} and {other.label!r}"
    return f"{copy}, in {other.split}" if photo.split != other.split else copy


def _same_bytes(listing: Listing) -> list[list[int]]:
    """The places, in the listing, of photos that are equal: each pass reads more of fewer."""
    groups = [list(range(len(listing.photos)))]
    paths = [listing.root / photo.path for photo in listing.photos]
    for key in (file_size, _head, _digest):
        groups = [part for group in groups for part in _parted(group, paths, key)]
    return groups


def _parted(
    group: list[int], paths: Sequence[Path], key: Callable[[Path], int | bytes | None]
) -> list[list[int]]:
    parts: defaultdict[int | bytes, list[int]] = defaultdict(list)
    for index in group:
        value = key(paths[index])
        if value:  # an empty file is no photo's copy
            parts[value].append(index)
    return [part for part in parts.values() if len(part) > 1]


def _head(path: Path) -> bytes | None:
    with contextlib.suppress(OSError, ValueError), path.open("rb") as file:
        return file.read(_HEAD_BYTES)
    return None


def _digest(path: Path) -> bytes | None:
    with contextlib.suppress(OSError, ValueError), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
    return None
