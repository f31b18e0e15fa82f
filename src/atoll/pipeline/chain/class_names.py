"""Filters choose by names of classes: each must be one that the models before it know."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

from atoll.pipeline.chain.keys import BadKeyError
from atoll.pipeline.chain.steps import Filter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from atoll.pipeline.chain.graph import Graph
    from atoll.pipeline.chain.steps import Step
    from atoll.pipeline.chain.table import Worker

# How a class without a name is called.
_NUMBERED = re.compile(r"class \d+")


def check_class_names(
    steps: Mapping[str, Step], graph: Graph, workers: Mapping[str, Worker], source: object
) -> None:
    """Refuses a filter for a class that no model before it has.

    Args:
        steps: The steps by their names.
        graph: How they are connected.
        workers: The steps, open.
        source: What to call the chain in a message.

    Raises:
        UsageError: A class is not among the names of a model, which are known.
    """
    for name, step in steps.items():
        if not isinstance(step, Filter) or step.classes is None:
            continue
        known = _known(name, graph, workers)
        for wanted in step.classes:
            if known and wanted not in known and not _NUMBERED.fullmatch(wanted):
                close = difflib.get_close_matches(wanted, known, 1)
                raise BadKeyError(
                    f"{source}, step {name!r}",
                    "classes",
                    f"each is a class of the model, as its {len(known)} labels name them",
                    received=repr(wanted),
                    fix=f"Write {close[0]}" if close else "Look into its labels",
                )


def _known(name: str, graph: Graph, workers: Mapping[str, Worker]) -> set[str]:
    """The names of all that can come to a step; empty where they are not known."""
    found: set[str] = set()
    for given in graph.takes[name]:
        names = getattr(workers[given], "names", None)
        # A step without a model gives what it takes.
        known = _known(given, graph, workers) if names is None else set(names())
        if not known:
            return set()
        found |= known
    return found
