"""Templates to a page that needs nothing else: no server, no network, no other file.

Every name in a page is text to it, whatever it holds; and a content security policy forbids the
browser to load or run anything that is not the page's.
"""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from typing import TYPE_CHECKING, Any

import jinja2

from atoll.report import formats

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_FILTERS: tuple[Callable[..., str], ...] = (
    formats.percent,
    formats.points,
    formats.chance,
    formats.number,
    formats.counted,
    formats.size,
    formats.binary_size,
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


def page(template: str, *, styles: Sequence[str], script: str, **variables: Any) -> str:
    """Renders a page.

    Args:
        template: The page's template.
        styles: Style sheets that go into it, in order.
        script: The script that goes into it.
        variables: What the template works with.

    Returns:
        The page's text: the same variables, the same text.
    """
    environment = _environment()
    style, code = (
        "".join(_source(environment, name) for name in styles),
        _source(environment, script),
    )
    text = environment.get_template(template).render(
        style=style,
        script=code,
        style_hash=_hash(style),
        script_hash=_hash(code),
        dimensions=formats.dimensions,
        **variables,
    )
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)


@cache
def _environment() -> jinja2.Environment:
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
