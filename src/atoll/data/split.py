"""Which photos are trained on, which stop the training, and which measure it: once and for all."""

from __future__ import annotations

import csv
import hashlib
import io
import math
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from atoll import files
from atoll.data.listing import SPLITS, Listing, Photo, check_classes
from atoll.errors import DatasetError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

RATIOS = (0.8, 0.1, 0.1)
"""The shares of train, val and test where they are drawn here."""

MAX_BYTES = 1024**3
FEW = 10
"""Photos a class, below which it is warned of."""
IMBALANCE = 100
"""Times as many photos of one class as of another, above which it is warned of."""

_HEADER = ["path", "label", "split"]
# Who gets a photo first where a class has fewer than there are splits.
_NEEDED = ("train", "test", "val")


@dataclass(frozen=True)
class Split:
    """Every photo in train, val or test.

    Attributes:
        photos: In the order of the listing they were split from.
        note: What the test photos are, for the report.
    """

    photos: list[Photo]
    note: str


@dataclass(frozen=True)
class _Plan:
    """What becomes of the splits that a data set brings.

    Attributes:
        renamed: Own splits that take another's place.
        drawn: The split whose photos are drawn lots for; None where all is settled.
        shares: The share of the drawn photos that each split gets.
    """

    renamed: Mapping[str, str]
    drawn: str | None
    shares: Mapping[str, float]


def freeze(listing: Listing, *, seed: int, ratios: tuple[float, float, float] = RATIOS) -> Split:
    """Gives every photo its split, class by class; the same paths and seed give the same.

    What the data set brings is kept. Where it has train and val but no test, its val is held
    out as test, and a part of its train takes the place of val, so that no photo that chose
    the model measures it too. Where it has train and test, the same part of train becomes
    val. Where it has train alone or nothing, all is drawn by the ratios; so are UNASSIGNED
    photos beside others, which stay where they are.

    Args:
        listing: The photos, each with its split or "".
        seed: Another seed, another draw.
        ratios: The shares of train, val and test.

    Returns:
        The photos with their splits. Of what is drawn here, every class has a photo in train,
        and one in val and in test wherever it has three or more.

    Raises:
        DatasetError: There are fewer than two classes, or a class has nothing to train on.
        UsageError: The ratios are not three shares of a whole.
    """
    if min(ratios) <= 0 or not math.isclose(sum(ratios), 1, abs_tol=1e-6):
        raise UsageError(
            "split ratios",
            "three positive shares that make 1",
            received=ratios,
            fix="Give for example 0.8, 0.1 and 0.1",
        )
    check_classes(listing.photos, listing.root)
    _check_trainable(listing)
    plan = _plan({photo.split for photo in listing.photos}, ratios)
    photos = [replace(p, split=plan.renamed.get(p.split, p.split)) for p in listing.photos]
    classes: defaultdict[str, list[int]] = defaultdict(list)
    for index, photo in enumerate(photos):
        classes[photo.label].append(index)
    for members in classes.values():
        drawn = [index for index in members if photos[index].split == plan.drawn]
        drawn.sort(key=lambda index: _lot(photos[index].path, seed))
        settled = Counter(photos[i].split for i in members if photos[i].split != plan.drawn)
        counts = allot(len(drawn), plan.shares, settled)
        given = (split for split in SPLITS for _ in range(counts[split]))
        for index, split in zip(drawn, given, strict=True):
            photos[index] = replace(photos[index], split=split)
    return Split(photos, held_out_note(listing, photos))


def _plan(own: set[str], ratios: tuple[float, float, float]) -> _Plan:
    train, val, _ = ratios
    by_ratio = dict(zip(SPLITS, ratios, strict=True))
    val_of_train = {"train": train / (train + val), "val": val / (train + val), "test": 0.0}
    if "" in own:
        return _Plan({}, "", by_ratio)
    if own == {"train"}:
        return _Plan({}, "train", by_ratio)
    if own == {"train", "val"}:
        return _Plan({"val": "test"}, "train", val_of_train)
    if own == {"train", "test"}:
        return _Plan({}, "train", val_of_train)
    return _Plan({}, None, by_ratio)


def allot(count: int, shares: Mapping[str, float], settled: Mapping[str, int]) -> dict[str, int]:
    """How many photos of a class each split gets, by largest remainder.

    A split with a share that would have none of the class takes one from the largest, so long
    as that keeps one itself.

    Args:
        count: The photos to give.
        shares: The share of each split, 1 in all.
        settled: The photos of the class that each split has already.

    Returns:
        The number for each split, `count` in all.
    """
    counts = {split: math.floor(count * shares[split]) for split in SPLITS}
    by_remainder = sorted(_NEEDED, key=lambda split: counts[split] - count * shares[split])
    for split in by_remainder[: count - sum(counts.values())]:
        counts[split] += 1
    for split in _NEEDED:
        if shares[split] == 0 or counts[split] or settled.get(split):
            continue
        donors = [s for s in SPLITS if counts[s] and counts[s] + settled.get(s, 0) > 1]
        if donors:
            counts[max(donors, key=lambda donor: counts[donor])] -= 1
            counts[split] += 1
    return counts


def _lot(path: str, seed: int) -> bytes:
    """A photo's place in the draw: its own, so that other photos coming or going leave it."""
    return hashlib.sha256(f"{seed}:{path}".encode()).digest()


def _check_trainable(listing: Listing) -> None:
    trainable = {photo.label for photo in listing.photos if photo.split in ("train", "")}
    held = sorted({photo.label for photo in listing.photos} - trainable)
    if not held:
        return
    where = sorted({photo.split for photo in listing.photos if photo.label in held})
    raise DatasetError(
        listing.root,
        "every class needs photos to train on",
        received=f"photos in {' and '.join(where)} only, of {_names(held)}",
        fix="Add photos to train, or give the data set without its split folders",
    )


def held_out_note(listing: Listing, photos: Sequence[Photo]) -> str:
    """What the test photos are, for the report.

    Args:
        listing: The data set as it came.
        photos: The same photos, each with its split.
    """
    own = {photo.split for photo in listing.photos}
    count = sum(photo.split == "test" for photo in photos)
    if "test" in own and "" in own:
        origin = f"the data set's own test split and a share of its unassigned photos ({count})"
    elif "test" in own:
        origin = f"the data set's own test split ({count} photos)"
    elif own == {"train", "val"}:
        origin = f"the data set's own val split ({count} photos)"
    else:
        origin = f"{count} photos drawn class by class"
    return f"{origin}, never seen in training"


def warnings_about(photos: Sequence[Photo]) -> list[str]:
    """What makes the accuracy of a model trained on this split less than it seems.

    Args:
        photos: Each with its split.

    Returns:
        A sentence for each: classes of few photos, classes that are not measured, and
        classes far larger than others.
    """
    sizes = Counter(photo.label for photo in photos)
    tested = Counter(photo.label for photo in photos if photo.split == "test")
    few = [f"{name} ({count})" for name, count in sorted(sizes.items()) if count < FEW]
    untested = [name for name in sorted(sizes) if not tested[name]]
    small = min(sizes, key=lambda name: (sizes[name], name), default="")
    large = min(sizes, key=lambda name: (-sizes[name], name), default="")
    warnings = []
    if few:
        warnings.append(f"Fewer than {FEW} photos in {_names(few)}: expect little of them")
    if untested:
        warnings.append(f"No test photo of {_names(untested)}: how well they do is not measured")
    if sizes[large] > IMBALANCE * sizes[small]:
        warnings.append(
            f"{large} has {sizes[large]} photos and {small} has {sizes[small]}: a network that "
            f"never says {small} would seem good"
        )
    return warnings


def _names(names: Sequence[str], most: int = 10) -> str:
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest


def write_split(path: Path, photos: Sequence[Photo]) -> None:
    """Writes which photo is in which split, a row a photo. Raises OutputError."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_HEADER)
    writer.writerows((photo.path, photo.label, photo.split) for photo in photos)
    files.write_text(path, text.getvalue())


def read_split(path: Path) -> list[Photo]:
    """Reads what `write_split` wrote.

    Raises:
        DatasetError: It cannot be read, or is something else.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise _bad_split(path, f"over {MAX_BYTES} bytes")
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.reader(file)
            header = next(rows, None)
            if header != _HEADER:
                raise _bad_split(path, f"first row {','.join(header or [])[:80]!r}")
            photos = [_photo(path, rows.line_num, row) for row in rows]
    except (OSError, UnicodeError, csv.Error) as error:
        raise _bad_split(path, getattr(error, "strerror", None) or str(error)) from error
    if len({photo.path for photo in photos}) < len(photos):
        raise _bad_split(path, "a photo named twice")
    return photos


def _photo(path: Path, line: int, row: list[str]) -> Photo:
    if len(row) != len(_HEADER) or not all(row) or row[2] not in SPLITS:
        raise _bad_split(path, f"line {line}: {','.join(row)[:80]!r}")
    return Photo(*row)


def _bad_split(path: Path, received: str) -> DatasetError:
    return DatasetError(
        path,
        "a frozen split has the columns path, label and split (train, val or test)",
        received=received,
        fix="Remove the file to draw the split anew",
    )
