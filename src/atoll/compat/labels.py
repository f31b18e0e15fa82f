"""Files of labels, as both old libraries read them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os

_BETWEEN = re.compile(r"[:\s]+")


def read_labels(path: str | os.PathLike[str], *, whole_line: bool) -> dict[int, str]:
    """Reads a file of labels.

    Args:
        path: A file in UTF-8: a line a class. Where a line is a number, a colon or white space, and
            a text, the text is that number's label.
        whole_line: Of any other line, whether all of it is the label of the line's own number, as
            in pycoral, or what is before its first colon or white space, as in edgetpu.

    Returns:
        The labels by their numbers.
    """
    labels = {}
    with Path(path).open(encoding="utf-8") as file:
        for row, line in enumerate(file):
            text = line.strip()
            first, *rest = _BETWEEN.split(text, maxsplit=1)
            if rest and first.isdigit():
                labels[int(first)] = rest[0].strip()
            else:
                labels[row] = text if whole_line else first
    return labels
