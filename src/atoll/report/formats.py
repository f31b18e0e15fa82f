"""Numbers as a person reads them. What is not known is said to be, never shown as a number."""

from __future__ import annotations

import math
from typing import Any

UNKNOWN = "unknown"
UNDEFINED = "not defined"
_MINUS = "\N{MINUS SIGN}"
_TIMES = "\N{NO-BREAK SPACE}\N{MULTIPLICATION SIGN}\N{NO-BREAK SPACE}"

_PASSES = {
    "head": "head",
    "tail": "last blocks",
    "refit": "head, on validation photos too",
    "whole": "whole network",
}
_SPLITS = {"train": "training", "val": "validation"}


def percent(share: float | None) -> str:
    """A share from 0 to 1 as "96.1%"; "100%" only where nothing is missing."""
    if share is None or not math.isfinite(share):
        return UNDEFINED
    if share in (0, 1):
        return f"{share:.0%}"
    for digits in range(1, 6):
        text = f"{share:.{digits}%}"
        if 0 < float(text[:-1]) < 100:
            break
    return text


def points(change: float | None) -> str:
    """A change of a share, in percentage points, with its sign."""
    if change is None:
        return UNDEFINED
    size = f"{100 * abs(change):.1f}"
    if change and float(size) == 0:
        size = f"{100 * abs(change):.2g}"
    sign = "+" if change > 0 else _MINUS if change < 0 else ""
    return f"{sign}{size} points"


def chance(p: float | None) -> str:
    """A p-value: two digits of it, or that it is tiny."""
    if p is None:
        return UNDEFINED
    return "< 0.001" if p < 0.001 else f"{p:.2f}" if p >= 0.1 else f"{p:.2g}"


def number(value: float | None) -> str:
    """A whole number with its thousands apart, or any other to four decimals."""
    if value is None:
        return UNKNOWN
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4f}"


def counted(count: int | None, noun: str) -> str:
    """A number of things: "1 photo", "1,200 photos", "2 classes"."""
    if count is None:
        return f"an unknown number of {_plural(noun)}"
    return f"{count:,} {noun if count == 1 else _plural(noun)}"


def _plural(noun: str) -> str:
    return noun + ("es" if noun.endswith("s") else "s")


def size(count: float | None) -> str:
    """Bytes as "812 B", "3.4 kB" or "17 MB", in steps of 1000."""
    if count is None:
        return UNKNOWN
    for unit in ("B", "kB", "MB"):
        if count < 999.5:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 9.95 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:,.1f} GB"


def binary_size(count: float | None) -> str:
    """Bytes as "812 B", "3.40 KiB" or "4.21 MiB", in steps of 1024, as memory is counted."""
    if count is None:
        return UNKNOWN
    if count < 1024:
        return f"{count:.0f} B"
    count /= 1024
    return f"{count:.2f} KiB" if count < 1024 else f"{count / 1024:,.2f} MiB"


def duration(seconds: float | None) -> str:
    """A time as "0.4 s", "12 s", "4 min 12 s" or "1 h 3 min"."""
    if seconds is None:
        return UNKNOWN
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def milliseconds(ms: float | None) -> str:
    """A short time in milliseconds, to three digits."""
    if ms is None:
        return UNKNOWN
    return f"{ms:,.0f} ms" if ms >= 100 else f"{ms:.3g} ms"


def dimensions(width: int | None, height: int | None) -> str:
    """Pixels across and down."""
    return UNKNOWN if width is None or height is None else f"{width}{_TIMES}{height}"


def pass_name(name: str | None) -> str:
    """What a training pass trains."""
    return UNKNOWN if name is None else _PASSES.get(name, name)


def split_name(name: str | None) -> str:
    """A split, as an adjective before "photos"."""
    return UNKNOWN if name is None else _SPLITS.get(name, name)


def value(anything: Any) -> str:
    """A setting's value: flags as words, lists with commas."""
    if anything is None:
        return UNKNOWN
    if isinstance(anything, bool):
        return "yes" if anything else "no"
    if isinstance(anything, (list, tuple)):
        return ", ".join(value(one) for one in anything)
    return f"{anything:.6g}" if isinstance(anything, float) else str(anything)


def sentence(text: str | None) -> str:
    """With a capital letter at its start, the others left alone."""
    known = UNKNOWN if text is None else text
    return known[:1].upper() + known[1:]
