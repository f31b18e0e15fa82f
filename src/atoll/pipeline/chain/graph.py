"""The graph of a chain's steps: every reference leads somewhere, none in a circle."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from atoll.errors import UsageError
from atoll.pipeline.chain.keys import BadKeyError
from atoll.pipeline.chain.steps import IMAGE
from atoll.pipeline.chain.table import IMAGES, MASKS, TENSORS, type_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from atoll.pipeline.chain.steps import Step


@dataclass(frozen=True)
class Graph:
    """Steps that fit together.

    Attributes:
        order: Their names, each behind those that it takes from.
        takes: From which each takes, by its name.
        gives: What each gives, by its name, and what the photo is.
        shown: Those that are a part of the result, in the order in which they were named.
    """

    order: tuple[str, ...]
    takes: dict[str, tuple[str, ...]]
    gives: dict[str, str]
    shown: tuple[str, ...]


def graph(steps: Mapping[str, Step], source: object) -> Graph:
    """Checks how steps are connected.

    Args:
        steps: The steps by their names.
        source: What to call the chain in a message.

    Returns:
        The graph.

    Raises:
        UsageError: A step takes from none that there is, from itself in a circle, or what it
            cannot take.
    """
    if not steps:
        raise UsageError(source, "a chain has at least one step", received="none", fix="Add a step")
    if IMAGE in steps:
        raise UsageError(
            f"{source}, step {IMAGE!r}",
            f"{IMAGE} is the name of the photo itself",
            received="a step of this name",
            fix="Choose another name",
        )
    takes = {name: tuple(step.input) for name, step in steps.items()}
    for name, inputs in takes.items():
        for given in inputs:
            if given not in steps and given != IMAGE:
                raise _unknown(source, name, given, steps)
    order = _order(takes, source)
    gives = _checked_kinds(steps, takes, order, source)
    return Graph(tuple(order), takes, gives, _shown(steps, takes))


def _order(takes: Mapping[str, tuple[str, ...]], source: object) -> list[str]:
    done: dict[str, None] = {}
    left = list(takes)
    while left:
        ready = [name for name in left if all(i in done or i == IMAGE for i in takes[name])]
        if not ready:
            raise UsageError(
                source,
                "steps must not take from each other in a circle",
                received=" <- ".join(_circle(takes, left)),
                fix="Have one of them take from another",
            )
        done |= dict.fromkeys(ready)
        left = [name for name in left if name not in done]
    return list(done)


def _circle(takes: Mapping[str, tuple[str, ...]], left: list[str]) -> list[str]:
    """A way that comes back to where it began: each that is left waits for another of them."""
    way = [left[0]]
    while way.count(way[-1]) < 2:
        way.append(next(i for i in takes[way[-1]] if i in left))
    return way[way.index(way[-1]) :]


def _checked_kinds(
    steps: Mapping[str, Step],
    takes: Mapping[str, tuple[str, ...]],
    order: Iterable[str],
    source: object,
) -> dict[str, str]:
    """What each step gives, where each takes what it can."""
    gives = {IMAGE: IMAGES}
    for name in order:
        row = type_of(steps[name])
        for given in takes[name]:
            if gives[given] not in row.takes or gives[given] != gives[takes[name][0]]:
                raise BadKeyError(
                    f"{source}, step {name!r}",
                    "input",
                    f"a {row.name} step takes {' or '.join(row.takes)}, all of one kind",
                    received=f"{given}, which gives {gives[given]}",
                    fix=_fix(gives[given], row.takes),
                )
        gives[name] = row.gives or gives[takes[name][0]]
    return gives


def _fix(given: str, takes: tuple[str, ...]) -> str:
    if given in (MASKS, TENSORS):
        return "Take from another step: nothing follows this one"
    if takes == (IMAGES,):
        return "Put a crop step between them"
    return "Take from a step that finds something"


def _shown(steps: Mapping[str, Step], takes: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    # Who chooses from a step's findings takes its place.
    chosen = {
        given
        for name, inputs in takes.items()
        for given in inputs
        if IMAGES not in type_of(steps[name]).takes and type_of(steps[name]).gives != IMAGES
    }
    said = {name: getattr(step, "show", None) for name, step in steps.items()}
    return tuple(
        name
        for name, step in steps.items()
        if type_of(step).gives != IMAGES
        and (name not in chosen if said[name] is None else said[name])
    )


def _unknown(source: object, name: str, given: str, steps: Iterable[str]) -> BadKeyError:
    close = difflib.get_close_matches(given, [IMAGE, *steps], 1)
    return BadKeyError(
        f"{source}, step {name!r}",
        "input",
        f"there are {', '.join([IMAGE, *steps])}",
        received=repr(given),
        fix=f"Write {close[0]}" if close else "Name one of these",
    )
