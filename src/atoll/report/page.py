"""The report as one HTML page that needs nothing else: no server, no network, no other file."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from typing import TYPE_CHECKING, Any

from atoll.errors import ExtraError
from atoll.files import write_text
from atoll.report import formats
from atoll.report.outline import INTERVAL_WIDTH, outline

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import jinja2
    import numpy as np

_FILTERS: tuple[Callable[..., str], ...] = (
    formats.percent,
    formats.points,
    formats.chance,
    formats.number,
    formats.counted,
    formats.size,
    formats.duration,
    formats.milliseconds,
    formats.value,
    formats.sentence,
    formats.pass_name,
)
# What HTML or UTF-8 has no place for, and what turns the order of the letters round. File names
# may hold it: they are bytes to Linux.
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)


def write_report(
    document: Mapping[str, Any], pictures: Mapping[str, np.ndarray], path: Path
) -> None:
    """Writes the page a person reads when the work is done.

    Every name in it (labels, files, warnings) is text to the page, whatever it holds; and a
    content security policy forbids the browser to load or run anything that is not the page's.
    The same document and pictures give the same bytes.

    Args:
        document: The report's plain data, as in report.json. A part that is missing or None
            leaves its section out; a field that is missing or None is said to be unknown.
        pictures: uint8 (height, width, 3) photos, RGB, by the key that a mistake names.
        path: The file to write.

    Raises:
        ExtraError: jinja2 is not installed.
        OutputError: The place cannot be written to, or is full.
    """
    write_text(path, render(document, pictures))


def render(document: Mapping[str, Any], pictures: Mapping[str, np.ndarray]) -> str:
    """The page's text; see `write_report`."""
    environment = _environment()
    style, script = (_source(environment, name) for name in ("report.css", "copy.js.j2"))
    text = environment.get_template("page.html.j2").render(
        outline(document, pictures),
        style=style,
        script=script,
        style_hash=_hash(style),
        script_hash=_hash(script),
        interval_width=INTERVAL_WIDTH,
        dimensions=formats.dimensions,
    )
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)


@cache
def _environment() -> jinja2.Environment:
    try:
        import jinja2
    except ModuleNotFoundError as error:
        raise ExtraError("the report", "train", error.name or "jinja2") from error

    def known(anything: Any) -> Any:
        return None if isinstance(anything, jinja2.Undefined) else anything

    def of_known(words: Callable[..., str]) -> Callable[..., str]:
        return lambda value, *more: words(known(value), *more)

    def spoken(anything: Any) -> Any:
        return formats.UNKNOWN if known(anything) is None else anything

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("atoll.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.ChainableUndefined,
        finalize=spoken,
    )
    environment.filters |= {words.__name__: of_known(words) for words in _FILTERS}
    return environment


def _source(environment: jinja2.Environment, name: str) -> str:
    loader = environment.loader
    assert loader is not None
    return loader.get_source(environment, name)[0]


def _hash(text: str) -> str:
    """The name a content security policy knows an inline style or script by."""
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
    return f"sha256-{digest}"
