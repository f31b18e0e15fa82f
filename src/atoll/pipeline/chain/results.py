"""What a chain found on a photo: things within things, typed, and as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import singledispatch
from typing import TYPE_CHECKING, Any

import numpy as np

from atoll.adapters import results as seen
from atoll.pipeline.chain.steps import IMAGE
from atoll.pipeline.chain.table import IMAGES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from atoll.pipeline.chain.graph import Graph
    from atoll.pipeline.chain.items import Result, Sighting


@dataclass(frozen=True, eq=False)
class Finding:
    """Something that a step found, and what others found within it.

    Attributes:
        result: A Class, Object, Pose or Mask, in the photo's pixels; a raw model's outputs by name.
        box: Where it is on the photo; for a result without a place of its own, where the image is
            that it was found on.
        found: What steps found within it, by their names: those that looked at it.
    """

    result: Result
    box: seen.Box
    found: dict[str, list[Finding]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As plain data: what the result is, and what was found within it."""
        document = _document(self.result)
        return document | ({"found": _found(self.found)} if self.found else {})

    def walk(self) -> Iterator[Finding]:
        """It, and all within it."""
        yield self
        yield from _walked(self.found)


@dataclass(frozen=True, eq=False)
class ChainResult:
    """What a chain found on a photo.

    Attributes:
        width: The photo's width in pixels.
        height: The photo's height in pixels.
        found: What each step found that looked at the photo itself, by their names.
    """

    width: int
    height: int
    found: dict[str, list[Finding]]

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {"width": self.width, "height": self.height, "found": _found(self.found)}

    def walk(self) -> Iterator[Finding]:
        """All findings, each before those within it."""
        yield from _walked(self.found)


def assemble(
    size: tuple[int, int], graph: Graph, values: Mapping[str, Sequence[Any]]
) -> ChainResult:
    """Puts what steps gave into each other.

    Args:
        size: The photo's (width, height).
        graph: The chain.
        values: What each step gave.

    Returns:
        The result. What is not shown gives its place to what was found within it.
    """
    top = ChainResult(*size, {})
    shown: dict[int, Finding] = {}
    for name in graph.shown:
        for sighting in values[name]:
            shown.setdefault(id(sighting), Finding(sighting.result, sighting.box))
    for name in graph.shown:
        for looked_at in _looked_at(name, graph, values):
            _place(looked_at, shown, top).setdefault(name, [])
        for sighting in values[name]:
            _place(sighting.owner, shown, top).setdefault(name, []).append(shown[id(sighting)])
    return top


def _looked_at(
    name: str, graph: Graph, values: Mapping[str, Sequence[Any]]
) -> Iterator[Sighting | None]:
    """What a step has looked at: whether or not it found something there."""
    for given in graph.takes[name]:
        if given == IMAGE:
            yield None
        elif graph.gives[given] == IMAGES:
            yield from (view.owner for view in values[given])
        else:
            # Who chooses from findings has looked where these were looked for.
            yield from _looked_at(given, graph, values)


def _place(
    owner: Sighting | None, shown: Mapping[int, Finding], top: ChainResult
) -> dict[str, list[Finding]]:
    """Where to put what was found within something: into it, or what is shown around it."""
    while owner is not None and id(owner) not in shown:
        owner = owner.owner
    return top.found if owner is None else shown[id(owner)].found


def _walked(found: Mapping[str, Sequence[Finding]]) -> Iterator[Finding]:
    for findings in found.values():
        for finding in findings:
            yield from finding.walk()


def _found(found: Mapping[str, Sequence[Finding]]) -> dict[str, Any]:
    return {name: [finding.to_json() for finding in each] for name, each in found.items()}


@singledispatch
def _document(result: Any) -> dict[str, Any]:
    document: dict[str, Any] = seen.to_json(result)
    return document


@_document.register
def _(result: seen.Mask) -> dict[str, Any]:
    return {"areas": seen.to_json(result)}


@_document.register
def _(result: dict) -> dict[str, Any]:  # type: ignore[type-arg]
    return {
        "tensors": {
            name: {"shape": list(array.shape), "values": _plain(array)}
            for name, array in result.items()
        }
    }


def _plain(array: np.ndarray) -> Any:
    """Numbers that JSON has: it knows neither infinity nor NaN."""
    if array.dtype.kind != "f":
        return array.tolist()
    numbers = array.astype(object)
    numbers[~np.isfinite(array)] = None
    return numbers.tolist()
