"""The page of a build: what was trained, how good it is, what became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from atoll.files import write_text
from atoll.report import templating
from atoll.report.outline import INTERVAL_WIDTH, outline

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np


def write_report(
    document: Mapping[str, Any], pictures: Mapping[str, np.ndarray], path: Path
) -> None:
    """Writes the page a person reads when the work is done.

    The same document and pictures give the same bytes.

    Args:
        document: The report's plain data, as in report.json. A part that is missing or None
            leaves its section out; a field that is missing or None is said to be unknown.
        pictures: uint8 (height, width, 3) photos, RGB, by the key that a mistake names.
        path: The file to write.

    Raises:
        OutputError: The place cannot be written to, or is full.
    """
    write_text(path, render(document, pictures))


def render(document: Mapping[str, Any], pictures: Mapping[str, np.ndarray]) -> str:
    """The page's text; see `write_report`."""
    return templating.page(
        "page.html.j2",
        styles=["report.css"],
        script="copy.js.j2",
        interval_width=INTERVAL_WIDTH,
        **outline(document, pictures),
    )
