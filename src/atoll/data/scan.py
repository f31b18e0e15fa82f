"""A data set's folder to a list of photos with their labels and splits."""

from __future__ import annotations

import os
from collections import Counter, deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from atoll.data.automl import read_automl
from atoll.data.listing import Listing, Photo, Skipped, check_classes
from atoll.data.names import NOT_PLAIN, PHOTO_SUFFIXES, is_plain, suffix_reason
from atoll.errors import DatasetError

Parts: TypeAlias = tuple[str, ...]
"""A path below the data set's folder, name by name."""

SPLIT_FOLDERS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
_LITTER = {"__macosx", "thumbs.db", "desktop.ini", "@eadir"}
_LAYOUT = "Put the photos of each class into a folder of its own, as DATASET/cat/1.jpg"


def scan(dataset: Path) -> Listing:
    """Finds the photos of a data set.

    Read are a folder a class; split folders (train, val, test and their longer names, in any
    case) that each hold a folder a class; either of them inside one wrapping folder, as
    unpacking an archive leaves it; and an AutoML CSV, named itself or alone in a folder
    without class folders. A class has its name from its folder, and owns the folders below
    it. No photo is opened.

    Args:
        dataset: The folder or the CSV file.

    Returns:
        The photos, and whatever lies among them and is not used, with the reason. Hidden files
        and what operating systems leave behind are passed over without a word.

    Raises:
        DatasetError: It does not exist, cannot be read, holds no photo, has photos but no
            class folders, or fewer than two classes.
    """
    # Not Path.is_file and Path.is_dir: those let some errors out, as for a name too long.
    if os.path.isfile(dataset):  # noqa: PTH113
        return _csv_listing(dataset)
    if not os.path.isdir(dataset):  # noqa: PTH112
        raise DatasetError(
            dataset, "the data set must exist", received="no such folder", fix="Check the path"
        )
    tree = _walk(dataset)
    base = _unwrapped(tree)
    csvs = [parts for parts in tree.files if parts[:-1] == base and _suffix(parts) == ".csv"]
    homes = _homes(dataset, tree, base)
    listing = _by_folder(dataset, tree, homes)
    classes = {photo.label for photo in listing.photos}
    if csvs and len(classes) < 2 and homes == {base: ""}:
        if len(csvs) > 1:
            raise DatasetError(
                dataset,
                "a folder without class folders may hold one CSV",
                received=", ".join(parts[-1] for parts in csvs[:5]),
                fix="Name the CSV itself instead of the folder",
            )
        return _csv_listing(dataset.joinpath(*csvs[0]))
    if not listing.photos:
        raise _no_photos(dataset, tree)
    check_classes(listing.photos, dataset)
    return listing


def _csv_listing(path: Path) -> Listing:
    if path.suffix.lower() != ".csv":
        packed = path.suffix.lower() in (".zip", ".tar", ".gz", ".tgz", ".7z", ".rar")
        raise DatasetError(
            path,
            "a data set is a folder or an AutoML CSV",
            received=f"a file {path.suffix or 'without a suffix'}",
            fix="Unpack it and give its folder" if packed else _LAYOUT,
        )
    listing = read_automl(path)
    check_classes(listing.photos, path)
    return listing


@dataclass
class _Tree:
    """Everything below a folder that could matter, a level at a time, by name within a folder."""

    files: list[Parts] = field(default_factory=list)
    photos: list[Parts] = field(default_factory=list)
    folders: list[Parts] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)

    def skip(self, parts: Parts, reason: str) -> None:
        path = "/".join(parts).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        self.skipped.append(Skipped(path, reason))


def _walk(root: Path) -> _Tree:
    tree = _Tree()
    top = root.resolve()
    waiting: deque[Parts] = deque([()])
    seen: set[tuple[int, int]] = set()
    while waiting:
        parts = waiting.popleft()
        folder = root.joinpath(*parts)
        try:
            status = folder.stat()
            with os.scandir(folder) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            reason = error.strerror or str(error)
            if not parts:
                raise DatasetError(
                    root,
                    "the data set must be readable",
                    received=reason,
                    fix="Check its permissions",
                ) from error
            tree.skip(parts, f"it cannot be opened: {reason}")
            continue
        if (status.st_dev, status.st_ino) in seen:
            tree.skip(parts, "a link to a folder that is read already")
            continue
        seen.add((status.st_dev, status.st_ino))
        if parts:
            tree.folders.append(parts)
        for entry in entries:
            if entry.name.startswith(".") or entry.name.lower() in _LITTER:
                continue
            below = (*parts, entry.name)
            try:
                reason = _reason_to_skip(entry, top)
            except OSError as error:  # a link to itself, for one
                reason = f"it cannot be opened: {error.strerror}"
            if reason:
                tree.skip(below, reason)
            elif entry.is_dir():
                waiting.append(below)
            else:
                tree.files.append(below)
    tree.photos = [parts for parts in tree.files if _suffix(parts) in PHOTO_SUFFIXES]
    return tree


def _reason_to_skip(entry: os.DirEntry[str], top: Path) -> str:
    if not is_plain(entry.name):
        return NOT_PLAIN
    if entry.is_dir():
        # Such a folder is read under its own name.
        inside = entry.is_symlink() and Path(entry.path).resolve().is_relative_to(top)
        return "a link to another folder of the data set" if inside else ""
    if entry.is_file():
        return ""
    return "a broken link" if entry.is_symlink() else "not a regular file"


def _suffix(parts: Parts) -> str:
    return Path(parts[-1]).suffix.lower()


def _unwrapped(tree: _Tree) -> Parts:
    """The folder that the layout starts in: below those that hold nothing but one other."""
    base: Parts = ()
    while True:
        inner = [parts for parts in tree.folders if parts[:-1] == base]
        loose = any(parts[:-1] == base for parts in tree.photos)
        if len(inner) != 1 or loose or inner[0][-1].casefold() in SPLIT_FOLDERS:
            return base
        below = any(parts[:-1] == inner[0] for parts in tree.folders)
        csv = any(parts[:-1] == inner[0] and _suffix(parts) == ".csv" for parts in tree.files)
        if not below and not csv:
            return base
        base = inner[0]


def _homes(dataset: Path, tree: _Tree, base: Parts) -> dict[Parts, str]:
    """The folders that hold the class folders, each with its split.

    A folder called train is a split where it holds class folders, or where nothing but such
    names lies beside it; among other classes, with photos right inside, it is one that shows
    trains.
    """
    depth = len(base)
    tops = {parts[: depth + 1] for parts in tree.photos if len(parts) > depth + 1}
    named = {top: SPLIT_FOLDERS.get(top[-1].casefold(), "") for top in sorted(tops)}
    splits = {top: split for top, split in named.items() if split}
    if len(splits) == len(tops):
        return splits or {base: ""}
    flat = {parts[:-1] for parts in tree.photos}
    structured = {top: split for top, split in splits.items() if top not in flat}
    if not structured:
        return {base: ""}
    if len(set(structured.values())) > 1:
        return structured
    other = next(top for top, split in named.items() if not split)
    raise DatasetError(
        dataset,
        "a split folder may not lie beside class folders",
        received=f"{'/'.join(next(iter(structured)))}/ beside {'/'.join(other)}/",
        fix="Move the class folders into train/, or the photos of a class right into its folder",
    )


def _by_folder(dataset: Path, tree: _Tree, homes: dict[Parts, str]) -> Listing:
    photos: list[Photo] = []
    depth = len(next(iter(homes)))
    photo_set = set(tree.photos)
    for parts in tree.files:
        home = parts[:depth]
        if parts not in photo_set:
            tree.skip(parts, suffix_reason(_suffix(parts)))
        elif home not in homes:
            tree.skip(parts, "it lies beside the split folders, not inside one")
        elif len(parts) < depth + 2:
            tree.skip(parts, "it lies beside the class folders, not inside one")
        else:
            label = parts[depth].strip() or parts[depth]
            photos.append(Photo("/".join(parts), label, homes[home]))
    filled = {parts[:end] for parts in tree.photos for end in (depth, depth + 1)}
    parents = set(homes) | {home[:-1] for home, split in homes.items() if split}
    for parts in tree.folders:
        if parts[:-1] in parents and parts not in filled:
            tree.skip(parts, "a folder without photos")
    photos.sort()
    return Listing(dataset, photos, sorted(tree.skipped), "folder")


def _no_photos(dataset: Path, tree: _Tree) -> DatasetError:
    if tree.photos:
        return DatasetError(
            dataset,
            "the photos must lie in class folders",
            received=f"{len(tree.photos)} photos and no class folders",
            fix=_LAYOUT,
        )
    suffixes = Counter(_suffix(parts) or "no suffix" for parts in tree.files)
    kinds = ", ".join(f"{count} {suffix}" for suffix, count in suffixes.most_common(4))
    return DatasetError(
        dataset,
        "there must be photos in it",
        received=f"no photo among its files ({kinds})" if suffixes else "an empty folder",
        fix=_LAYOUT,
    )
