"""The old libraries' names, one by one: what is the same, what differs, what is absent.

The pages and the tests are made from these rows, so that none of them can be forgotten.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# What `atoll.compat` is put in front of.
PACKAGES = ("pycoral", "edgetpu", "tflite_runtime")


class State(StrEnum):
    """How a name is to be taken."""

    SAME = "same"
    DIFFERS = "differs"
    ABSENT = "absent"


@dataclass(frozen=True)
class Name:
    """A name of one of the old libraries.

    Attributes:
        name: It; "Class.method" for what a class has.
        signature: The original's parameters, such as "(interpreter, top_k=inf)"; empty for what is
            not called.
        state: How ours is to be taken.
        note: How it differs, or why it is absent; else what is worth knowing.
    """

    name: str
    signature: str = ""
    state: State = State.SAME
    note: str = ""


Rows = dict[str, tuple[Name, ...]]


def same(name: str, signature: str = "", note: str = "") -> Name:
    """A name that does what it did."""
    return Name(name, signature, State.SAME, note)


def differs(name: str, signature: str, note: str) -> Name:
    """A name that does something else in a case that the note tells."""
    return Name(name, signature, State.DIFFERS, note)


def absent(name: str, note: str) -> Name:
    """A name that is not there."""
    return Name(name, "", State.ABSENT, note)


def rows(package: str) -> Rows:
    """The names of a package, by module.

    Args:
        package: One of `PACKAGES`.
    """
    found: Rows = import_module(f"atoll.compat.names_{package}").ROWS
    return found


def all_rows() -> Iterator[tuple[str, Name]]:
    """Every name with its module, such as "pycoral.adapters.detect"."""
    for package in PACKAGES:
        for module, names in rows(package).items():
            yield from ((module, name) for name in names)


def missing(module: str, name: str) -> AttributeError:
    """The error for a name that a module does not have: with the reason, where the table has one.

    Args:
        module: The module, by its name in `atoll.compat`.
        name: The name.
    """
    module = module.removeprefix("atoll.compat.")
    listed = rows(module.partition(".")[0]).get(module, ())
    note = next((each.note for each in listed if each.name == name), "")
    reason = f": {note}" if note else ""
    return AttributeError(f"module {module!r} has no attribute {name!r}{reason}")


def table() -> str:
    """All rows as a page in markdown: a table a module."""
    parts = []
    for package in PACKAGES:
        parts.append(f"\n## {package}\n\n{_count(package)}\n")
        for module, names in rows(package).items():
            lines = "".join(map(_line, names))
            parts.append(f"\n### {module}\n\n| name | here | notes |\n| --- | --- | --- |\n{lines}")
    return "".join(parts)


def _line(name: Name) -> str:
    cells = (f"`{name.name}{name.signature}`", name.state, name.note)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n"


def _count(package: str) -> str:
    states = [name.state for names in rows(package).values() for name in names]
    told = ", ".join(f"{states.count(state)} {state}" for state in State)
    return f"{len(states)} names: {told}."
