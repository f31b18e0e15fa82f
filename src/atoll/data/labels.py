"""labels.txt: the names of a model's classes, in the order of its outputs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from atoll import files
from atoll.errors import ModelError, OutputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MAX_BYTES = 16 * 1024 * 1024
MAX_LABELS = 100_000
_INDEXED = re.compile(r"\s*([0-9]{1,9})(?:\s*:\s*|\s+)(\S.*)")


def read_labels(path: Path) -> list[str]:
    """The names of a model's classes.

    Three forms are read: `0 cat`, `0:cat` and `cat`. The file is taken as numbered only when
    every line that is not empty starts with a number of its own, so that a plain list may hold
    `3 doors` beside `cat`.

    Args:
        path: A UTF-8 text file, one label a line.

    Returns:
        The label of class i at place i. A number that a numbered file leaves out (COCO's
        lists do), and an empty line between plain labels, give the empty string.

    Raises:
        ModelError: The file cannot be read, is no text, holds no label, or numbers a class
            beyond MAX_LABELS.
    """
    lines = _lines(path)
    matches = [_INDEXED.fullmatch(line) for line in lines if line.strip()]
    pairs = [(int(match[1]), match[2].strip()) for match in matches if match]
    indices = {index for index, _ in pairs}
    if len(indices) < len(matches):
        return [line.strip() for line in lines]
    if max(indices) >= MAX_LABELS:
        raise _bad(path, f"its numbers must stay below {MAX_LABELS}", max(indices))
    labels = [""] * (max(indices) + 1)
    for index, label in pairs:
        labels[index] = label
    return labels


def write_labels(path: Path, labels: Sequence[str]) -> None:
    """Writes labels.txt, one label a line, so that `read_labels` gives them back.

    Plain labels that would be taken for numbered ones (`1 euro`, `2 euro`) are numbered.

    Args:
        path: The file to write.
        labels: The label of class i at place i. White space around a label is not kept.

    Raises:
        OutputError: A label holds a line break, or the place cannot be written to.
    """
    for label in labels:
        if "\n" in label or "\r" in label:
            raise OutputError(
                path,
                "a label must be one line",
                received=repr(label),
                fix="Rename the class",
            )
    numbered = all(_INDEXED.fullmatch(label) for label in labels if label.strip())
    lines = labels
    if numbered:
        lines = [f"{index} {label}" for index, label in enumerate(labels) if label.strip()]
    files.write_text(path, "".join(f"{line}\n" for line in lines))


def _lines(path: Path) -> list[str]:
    """The lines of the file, without the empty ones at its end. Raises ModelError."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise _bad(path, "the labels cannot be read", reason) from error
    if len(data) > MAX_BYTES:
        raise _bad(path, "a list of labels must be a small text file", f"over {MAX_BYTES} bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _bad(path, "the labels must be UTF-8 text", error) from error
    if "\0" in text:
        raise _bad(path, "the labels must be UTF-8 text", "a file with zero bytes")
    # Not str.splitlines: it also cuts at characters that a label may hold.
    text = text.replace("\r\n", "\n").replace("\r", "\n").rstrip()
    if not text:
        raise _bad(path, "there must be a label", "an empty file")
    lines = text.split("\n")
    if len(lines) > MAX_LABELS:
        raise _bad(path, f"there can be at most {MAX_LABELS} labels", f"{len(lines)} lines")
    return lines


def _bad(path: Path, rule: str, received: object) -> ModelError:
    return ModelError(
        path, rule, received=received, fix="Give a text file with one label a line, as `cat`"
    )
