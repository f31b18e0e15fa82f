"""The CSV of Google's AutoML Vision: `ML_USE,path,label` a row.

The format: https://cloud.google.com/vision/automl/docs/prepare
"""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from atoll.data.listing import Listing, Photo, Skipped
from atoll.data.names import NOT_PLAIN, PHOTO_SUFFIXES, is_plain
from atoll.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_BYTES = 1024**3
_ROWS = "Write each row as TRAIN,photos/cat.jpg,cat"
_ML_USES = {
    "train": "train",
    "training": "train",
    "validation": "val",
    "validate": "val",
    "valid": "val",
    "val": "val",
    "test": "test",
    "testing": "test",
    "unassigned": "",
    "": "",
}
_COLUMNS = {
    "ml_use": "use",
    "split": "use",
    "set": "use",
    "path": "path",
    "image_path": "path",
    "gcs_file_path": "path",
    "image": "path",
    "file": "path",
    "filename": "path",
    "uri": "path",
    "label": "label",
    "labels": "label",
    "class": "label",
}


@dataclass(frozen=True)
class _Row:
    use: str
    path: str
    labels: list[str]


def read_automl(path: Path) -> Listing:
    """Reads an AutoML Vision CSV.

    Paths start from the CSV's folder. They may lead out of it: the CSV is the user's own, and
    is trusted as far as naming photos goes; only regular files are taken. A gs:// path is
    looked for beside the CSV, with its bucket's name and without.

    Args:
        path: Rows of `ML_USE,path,label`, or of `path,label`; a header may come first, and
            may put the columns into another order. Commas, semicolons or tabs part them.

    Returns:
        The photos found; rows without exactly one label, or whose file is not there, are
        listed as skipped.

    Raises:
        DatasetError: It cannot be read, is no CSV, names an unknown ML_USE, or no row of it
            gives a photo.
    """
    photos: list[Photo] = []
    skipped: list[Skipped] = []
    for number, row in _rows(path):
        use = _ML_USES.get(row.use.casefold())
        if use is None:
            raise DatasetError(
                f"{path}, line {number}",
                "ML_USE must be TRAIN, VALIDATION, TEST or UNASSIGNED",
                received=repr(row.use[:80]),
                fix=_ROWS,
            )
        found, reason = _located(row.path, path.parent)
        if len(row.labels) != 1:
            reason = f"{len(row.labels)} labels, one is needed" if row.labels else "no label"
        if reason:
            skipped.append(Skipped(_one_line(row.path) or f"line {number}", reason))
        else:
            photos.append(Photo(found, row.labels[0], use))
    if not photos:
        first = f"; the first: {skipped[0].path}: {skipped[0].reason}" if skipped else ""
        raise DatasetError(
            path,
            "its rows must name photos",
            received=f"{len(skipped)} rows, none of them of use{first}",
            fix=_ROWS,
        )
    return Listing(path.parent, sorted(photos), sorted(skipped), "automl csv")


def _rows(path: Path) -> Iterator[tuple[int, _Row]]:
    """The rows that are not blank, with their line numbers. Raises DatasetError."""
    line = 0
    try:
        if path.stat().st_size > MAX_BYTES:
            raise _unreadable(path, f"over {MAX_BYTES} bytes")
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline(10_000)
            file.seek(0)
            delimiter = next((mark for mark in ",;\t" if mark in first), ",")
            reader = csv.reader(file, delimiter=delimiter)
            columns: list[str] | None = None
            for cells in reader:
                row = [cell.strip() for cell in cells]
                if not any(row):
                    continue
                if not line:
                    columns = _header(row)
                    line = reader.line_num
                    if columns:
                        continue
                line = reader.line_num
                yield line, _by_header(row, columns) if columns else _by_place(row)
    except (OSError, UnicodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        where = f" after line {line}" if line else ""
        raise _unreadable(path, reason + where) from error


def _header(row: Sequence[str]) -> list[str] | None:
    """What each column holds, where the row says it."""
    names = [_COLUMNS.get(cell.casefold().replace(" ", "_"), "") for cell in row]
    return names if all(names) and "path" in names else None


def _by_header(row: Sequence[str], columns: Sequence[str]) -> _Row:
    cells = list(zip(columns, row, strict=False))
    use = next((cell for name, cell in cells if name == "use"), "")
    path = next((cell for name, cell in cells if name == "path"), "")
    return _Row(use, path, [_one_line(cell) for name, cell in cells if name == "label" and cell])


def _by_place(row: Sequence[str]) -> _Row:
    """A row of `ML_USE,path,label...` or, where it starts with a path, of `path,label...`."""
    without = row[0].casefold() not in _ML_USES and _is_path(row[0])
    use, path, *labels = ["", *row] if without else [*row, ""]
    return _Row(use, path, [_one_line(label) for label in labels if label])


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _is_path(cell: str) -> bool:
    return "/" in cell or "\\" in cell or Path(cell).suffix.lower() in PHOTO_SUFFIXES


def _located(text: str, folder: Path) -> tuple[str, str]:
    """Where the photo lies, from the CSV's folder, and why not where it is nowhere."""
    if not is_plain(text):
        return "", NOT_PLAIN
    _, remote, address = text.partition("://")
    if remote:
        address = address.lstrip("/")
        candidates = [address, address.partition("/")[2]]
        reason = f"cloud paths are not fetched, and there is no {address} beside the CSV"
    else:
        candidates = [text, text.replace("\\", "/")]
        reason = "no such file"
    for candidate in candidates:
        if candidate and os.path.isfile(folder / candidate):  # noqa: PTH113 - takes any text
            return Path(candidate).as_posix(), ""
    return "", reason


def _unreadable(path: Path, received: str) -> DatasetError:
    return DatasetError(
        path,
        "the CSV must be UTF-8 text with a row a photo",
        received=received,
        fix=_ROWS,
    )
