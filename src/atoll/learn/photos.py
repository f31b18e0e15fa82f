"""The photos to learn from: found, split, and embedded once each, as a stream."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from atoll.data.arrays import load_pixels
from atoll.data.duplicates import drop_duplicates
from atoll.data.listing import Listing, Photo, Skipped
from atoll.data.names import PHOTO_SUFFIXES, is_plain
from atoll.data.scan import scan
from atoll.data.split import freeze
from atoll.errors import DatasetError

if TYPE_CHECKING:
    from pathlib import Path

    from atoll.data.preprocessing import Preprocessing
    from atoll.learn.base import Extractor
    from atoll.progress import Progress

# Photos whose pixels are in memory at the same time.
_AT_ONCE = 64


@dataclass(frozen=True)
class Embedded:
    """Photos with their embeddings.

    Attributes:
        photos: Those that could be read, each in its split: "" where the data set has none.
        stored: Their embeddings, as the model stores them, (n, ...).
        skipped: What was found and is not used, and why.
    """

    photos: list[Photo]
    stored: np.ndarray
    skipped: list[Skipped]

    @property
    def classes(self) -> list[str]:
        """The classes' names, sorted."""
        return sorted({photo.label for photo in self.photos})

    def where(self, *splits: str) -> np.ndarray:
        """The places of the photos of some splits: int64, ascending."""
        chosen = (i for i, photo in enumerate(self.photos) if photo.split in splits)
        return np.fromiter(chosen, np.int64)

    def labels(self, classes: list[str]) -> np.ndarray:
        """The class of each photo, as a place in `classes`: int64 (n,)."""
        places = {label: place for place, label in enumerate(classes)}
        return np.array([places[photo.label] for photo in self.photos], np.int64)


def find_photos(dataset: Path, *, one_class_will_do: bool = False) -> Listing:
    """Finds a data set's photos; of copies of a photo, one is kept.

    Args:
        dataset: A folder a class, or an AutoML CSV, as `atoll build` reads it.
        one_class_will_do: Whether there may be a single class, where others are known already.

    Raises:
        DatasetError: It is no data set, or all photos of a class are those of another, too.
    """
    alone = one_class(dataset) if one_class_will_do else None
    found = scan(dataset) if alone is None else alone
    kept = drop_duplicates(found)
    lost = sorted({photo.label for photo in found.photos} - {photo.label for photo in kept.photos})
    if lost:
        reasons = {each.path: each.reason for each in kept.skipped}
        first = next(photo.path for photo in found.photos if photo.label == lost[0])
        raise DatasetError(
            dataset,
            "every class needs a photo of its own",
            received=f"none of {lost[0]!r} ({first}: {reasons[first]})",
            fix="Remove each copy from the class that it does not belong to",
        )
    return kept


def embed_photos(
    listing: Listing, preprocessing: Preprocessing, extractor: Extractor, progress: Progress
) -> Embedded:
    """Embeds every photo once, a few in memory at a time.

    Args:
        listing: The photos.
        preprocessing: How one becomes the model's input.
        extractor: The model up to its embedding.
        progress: Who is told.

    Raises:
        DatasetError: None of a class's photos can be read.
    """
    photos, parts = [], []
    skipped = list(listing.skipped)
    total = len(listing.photos)
    progress.start("Embedding photos")
    for start in range(0, total, _AT_ONCE):
        chosen = listing.photos[start : start + _AT_ONCE]
        pixels, kept, unreadable = load_pixels(chosen, listing.root, preprocessing)
        skipped += unreadable
        photos += [chosen[i] for i in kept]
        parts.append(extractor.embed(pixels))
        progress.update(start + len(chosen), total)
    embedded = Embedded(photos, np.concatenate(parts), sorted(skipped))
    lost = sorted({photo.label for photo in listing.photos} - set(embedded.classes))
    if lost:
        reasons = {each.path: each.reason for each in skipped}
        first = next(photo.path for photo in listing.photos if photo.label == lost[0])
        raise DatasetError(
            listing.root,
            "every class needs a readable photo",
            received=f"none of {lost[0]!r} (the first, {first}: {reasons[first]})",
            fix="Replace the files that cannot be read, or remove the class's folder",
        )
    return embedded


def split_photos(embedded: Embedded, root: Path, seed: int) -> Embedded:
    """Draws train, val and test, as `atoll build` does, where the data set does not bring them."""
    listing = Listing(root, embedded.photos, [], "folder")
    return replace(embedded, photos=freeze(listing, seed=seed).photos)


def counted(photos: list[Photo]) -> dict[str, int]:
    """How many photos there are of each class, by its name."""
    return dict(sorted(Counter(photo.label for photo in photos).items()))


def one_class(dataset: Path) -> Listing | None:
    """A folder with a single class folder in it, which `scan` refuses; None for any other."""
    try:
        entries = sorted(each for each in dataset.iterdir() if not each.name.startswith("."))
        if len(entries) != 1 or not entries[0].is_dir() or not is_plain(entries[0].name):
            return None
        inside = sorted(entries[0].iterdir())
    except OSError:
        return None
    if any(each.is_dir() for each in inside):
        return None
    label = entries[0].name
    photos = [
        Photo(f"{label}/{each.name}", label.strip() or label)
        for each in inside
        if each.suffix.lower() in PHOTO_SUFFIXES and is_plain(each.name)
    ]
    return Listing(dataset, photos, [], "folder") if photos else None
