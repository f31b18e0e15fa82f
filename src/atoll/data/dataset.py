"""A data set made ready to train on and to measure with: found, decoded, split."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from atoll.data.arrays import load_pixels
from atoll.data.decode import UnreadablePhoto, decode
from atoll.data.duplicates import drop_duplicates
from atoll.data.listing import Listing, Photo, Skipped, check_classes, fingerprint
from atoll.data.scan import scan
from atoll.data.split import (
    RATIOS,
    freeze,
    held_out_note,
    read_split,
    warnings_about,
    write_split,
)
from atoll.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from atoll.data.preprocessing import Preprocessing


@dataclass
class Dataset:
    """Photos as numbers, each with its class and its split.

    Attributes:
        root: What the photos' paths start from.
        source: The layout it was read from.
        classes: The classes' names, sorted: class i is the model's output i.
        photos: Every photo that is used.
        pixels: uint8 of shape (len(photos), height, width, 3), RGB; possibly mapped from a file.
        skipped: What was found and is not used, and why.
        warnings: What a person should know about these photos, a sentence each.
        note: What the test photos are, for the report.
        fingerprint: What `fingerprint` says of the data set as it was found.
    """

    root: Path
    source: str
    classes: list[str]
    photos: list[Photo]
    pixels: np.ndarray
    skipped: list[Skipped]
    warnings: list[str]
    note: str
    fingerprint: str

    @cached_property
    def labels(self) -> np.ndarray:
        """The class of each photo, as a place in `classes`: int64 of shape (len(photos),)."""
        places = {label: place for place, label in enumerate(self.classes)}
        return np.array([places[photo.label] for photo in self.photos], np.int64)

    def indices(self, split: str) -> np.ndarray:
        """The places of a split's photos: int64, ascending."""
        chosen = (index for index, photo in enumerate(self.photos) if photo.split == split)
        return np.fromiter(chosen, np.int64)


def prepare(
    dataset: Path,
    preprocessing: Preprocessing,
    *,
    seed: int,
    ratios: tuple[float, float, float] = RATIOS,
    split_file: Path | None = None,
    cache: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Dataset:
    """Finds, decodes and splits the photos of a data set.

    They are decoded before they are split, so that the split is drawn among photos that can
    be read, and no class is left without one in test.

    Args:
        dataset: A folder or an AutoML CSV, as `scan` reads it.
        preprocessing: The model's.
        seed: For the draw of the split.
        ratios: The shares of train, val and test, where the data set brings no split.
        split_file: A frozen split, as `write_split` writes it. Where it exists it is used as
            it is; otherwise the split drawn is written to it.
        cache: A .npy file for the pixels, for data sets larger than memory.
        progress: Called with the photos decoded and their number.

    Returns:
        The data set.

    Raises:
        DatasetError: It is no data set, too little of it can be read, or a photo of the
            frozen split is missing or unreadable.
        OutputError: The split or the cache cannot be written.
    """
    found = scan(dataset)
    unique = drop_duplicates(found)
    if split_file is not None and split_file.exists():
        return _as_frozen(found, unique, split_file, preprocessing, cache, progress)
    pixels, kept, unreadable = load_pixels(
        unique.photos, unique.root, preprocessing, cache, progress
    )
    usable = replace(
        unique,
        photos=[unique.photos[place] for place in kept],
        skipped=sorted([*unique.skipped, *unreadable]),
    )
    lost = _lost_classes(dataset, found, usable)
    split = freeze(usable, seed=seed, ratios=ratios)
    if split_file is not None:
        write_split(split_file, split.photos)
    return Dataset(
        root=found.root,
        source=found.source,
        classes=sorted({photo.label for photo in split.photos}),
        photos=split.photos,
        pixels=pixels,
        skipped=usable.skipped,
        warnings=[*lost, *warnings_about(split.photos)],
        note=split.note,
        fingerprint=fingerprint(found.photos, found.root),
    )


def _lost_classes(dataset: Path, found: Listing, usable: Listing) -> list[str]:
    """A warning for each class of which no photo is left.

    Raises:
        DatasetError: Fewer than two are left.
    """
    sizes = Counter(photo.label for photo in found.photos)
    left = {photo.label for photo in usable.photos}
    reasons = {entry.path: entry.reason for entry in reversed(usable.skipped)}
    losses = []
    for label in sorted(set(sizes) - left):
        first = next(photo.path for photo in found.photos if photo.label == label)
        losses.append(
            f"none of the {sizes[label]} files of {label!r} can be used "
            f"(the first, {first}: {reasons[first]})"
        )
    if len(left) >= 2:
        return [f"{loss[:1].upper()}{loss[1:]}: it is left out" for loss in losses]
    if not left:
        first = found.photos[0].path
        reason = _unreadable(found.root / first) or reasons[first]
        losses = [
            f"none of {len(found.photos)} files is a readable photo (the first, {first}: {reason})"
        ]
    raise DatasetError(
        dataset,
        "a classifier needs readable photos of at least two classes",
        received=losses[0],
        fix="Replace the files that cannot be read",
    )


def _unreadable(path: Path) -> str:
    """Why a file is no photo; copies of it may have been left out before it was opened."""
    try:
        decode(path)
    except UnreadablePhoto as error:
        return str(error)
    return ""


def _as_frozen(
    found: Listing,
    unique: Listing,
    split_file: Path,
    preprocessing: Preprocessing,
    cache: Path | None,
    progress: Callable[[int, int], None] | None,
) -> Dataset:
    """The data set with the split that an earlier run froze. Raises DatasetError."""
    photos = read_split(split_file)
    check_classes(photos, split_file)
    there = {photo.path for photo in found.photos}
    gone = [Skipped(photo.path, "missing") for photo in photos if photo.path not in there]
    if gone:
        raise _changed(found, split_file, gone)
    pixels, _, unreadable = load_pixels(photos, found.root, preprocessing, cache, progress)
    if unreadable:
        raise _changed(found, split_file, unreadable)
    frozen = {photo.path for photo in photos}
    new = (Skipped(p.path, "not in the frozen split") for p in unique.photos)
    skipped = {entry for entry in (*unique.skipped, *new) if entry.path not in frozen}
    return Dataset(
        root=found.root,
        source=found.source,
        classes=sorted({photo.label for photo in photos}),
        photos=photos,
        pixels=pixels,
        skipped=sorted(skipped),
        warnings=warnings_about(photos),
        note=held_out_note(found, photos),
        fingerprint=fingerprint(found.photos, found.root),
    )


def _changed(found: Listing, split_file: Path, lost: list[Skipped]) -> DatasetError:
    return DatasetError(
        found.root,
        f"every photo of the frozen split {split_file} must still be readable",
        received=f"{len(lost)} are not; the first, {lost[0].path}: {lost[0].reason}",
        fix="Put them back, or give another output folder to draw the split anew",
    )
