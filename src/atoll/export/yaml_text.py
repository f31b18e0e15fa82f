"""YAML for settings files: mappings, lists, words, numbers. No parser is needed to write it."""

from __future__ import annotations

import re
from typing import TypeAlias

Value: TypeAlias = "str | int | float | bool | list[str] | dict[str, Value]"

# Words that need no quotes, and mean themselves alone: neither numbers nor what YAML 1.1 reads as
# true, false or nothing.
_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./:-]*[A-Za-z0-9_]|[A-Za-z]")
_MEANINGS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null", "none"}
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}
# What may stand in a quoted text as it is (YAML 1.1, section 5.1).
_PRINTABLE = re.compile("[\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd]")


def to_yaml(document: dict[str, Value], indent: int = 0) -> str:
    """A mapping as YAML.

    Args:
        document: What to write, in this order.
        indent: Of its first line, in levels of two spaces.

    Returns:
        Whole lines.
    """
    space, lines = "  " * indent, []
    for key, value in document.items():
        head = f"{space}{scalar(key)}:"
        if isinstance(value, dict):
            lines.append(f"{head}\n{to_yaml(value, indent + 1)}")
        elif isinstance(value, list):
            lines.append(f"{head}\n" + "".join(f"{space}  - {scalar(each)}\n" for each in value))
        else:
            lines.append(f"{head} {scalar(value)}\n")
    return "".join(lines)


def scalar(value: str | float) -> str:
    """A word, a number or a truth value as YAML; words in quotes where they need them."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if _PLAIN.fullmatch(value) and value.lower() not in _MEANINGS and not value.endswith(":"):
        return value
    return f'"{"".join(map(_quoted, value))}"'


def _quoted(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if _PRINTABLE.fullmatch(character):
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else character
