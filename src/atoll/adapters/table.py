"""Adapters: each knows one form of output, and what it means. A task has a table of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np

from atoll.errors import ModelError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from atoll.adapters.facts import Facts

Found = TypeVar("Found")

# The outputs of one call as real numbers, in the interpreter's order.
Raw = Sequence[np.ndarray]


@dataclass(frozen=True)
class Wanted:
    """What the caller wants to know of a photo.

    Attributes:
        threshold: What is less sure than this is left out.
        overlap: Of two boxes of one class that overlap by more (intersection over union), one is
            kept.
        most: How many things are told at most.
    """

    threshold: float = 0.5
    overlap: float = 0.5
    most: int = 100


# What an adapter makes of the outputs, everything from 0 to 1 over the model's input.
Decode = Callable[[Raw, Wanted], Found]


@dataclass(frozen=True)
class Adapter(Generic[Found]):
    """One row of a task's table.

    Attributes:
        name: As users write it after --kind.
        what: The outputs that it expects, for lists and messages.
        recognise: Looks at a model; gives the function that decodes its outputs, or None where
            they are of another form, or what they are does not show from outside and the user has
            not named this adapter (`Facts.asked`). It must not rely on what it has not looked at.
        resize: How a photo is laid into the input, where nothing else says it: a key of
            `atoll.adapters.placement.RESIZES`.
        assumed: What a float input takes where the file does not say: the (mean, std) by which
            pixels become (pixel - mean) / std.
        by_name: Whether it looks the same as another from outside, so that it must be named.
    """

    name: str
    what: str
    recognise: Callable[[Facts], Decode[Found] | None]
    resize: str = "stretch"
    assumed: tuple[float, float] = (127.5, 127.5)
    by_name: bool = False


def choose(
    adapters: Iterable[Adapter[Found]], facts: Facts, task: str, kind: str | None = None
) -> tuple[Adapter[Found], Decode[Found]]:
    """Finds the adapter for a model.

    Args:
        adapters: A task's table, the surest first.
        facts: The model.
        task: What is to be done, for the message: "detect".
        kind: The name of the adapter to use; None for the first that recognises the model.

    Returns:
        The row, and the function that decodes the model's outputs.

    Raises:
        ModelError: None recognises it, or the one that is named does not.
        UsageError: There is no adapter of this name.
    """
    rows = list(adapters)
    if kind is not None and kind not in [row.name for row in rows]:
        raise UsageError(
            "--kind",
            f"to {task}, there are {', '.join(row.name for row in rows)}",
            received=kind,
            fix="Name one of these, or leave it out",
        )
    named = [row for row in rows if kind in (None, row.name)]
    for row in named:
        decode = row.recognise(replace(facts, asked=kind is not None))
        if decode is not None:
            return row, decode
    raise ModelError(
        facts.source,
        _expectation(task, named, kind),
        received=_received(facts),
        fix=_advice(task, rows, facts, kind),
    )


def _expectation(task: str, rows: Sequence[Adapter[Found]], kind: str | None) -> str:
    if kind is not None:
        return f"{kind} expects {rows[0].what}"
    known = "; ".join(f"{row.name}: {row.what}" for row in rows if not row.by_name)
    return f"to {task}, its outputs must be of a form that is known ({known})"


def _received(facts: Facts) -> str:
    count = len(facts.outputs)
    shapes = ", ".join(str(list(shape)) for shape in facts.shapes)
    return f"{count} output{'' if count == 1 else 's'} {shapes} for {facts.width}x{facts.height}"


def _advice(task: str, rows: Sequence[Adapter[Found]], facts: Facts, kind: str | None) -> str:
    from atoll.adapters.tasks import fitting

    asked = replace(facts, asked=True)
    own = [row.name for row in rows if row.name != kind and row.recognise(asked) is not None]
    if own:
        return f"Try --kind {' or '.join(own)}"
    others = [f"atoll {name}" for name in fitting(facts) if name != task]
    if others:
        return f"Try {' or '.join(others)}"
    return "Decode the outputs yourself with atoll.Interpreter"
