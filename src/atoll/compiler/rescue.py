"""What to do where Google's compiler fails: find what breaks it, and leave it out."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from atoll.compiler.attempts import flags_of
from atoll.compiler.bisect import longest_prefix
from atoll.compiler.cut import frontier, with_plain_names
from atoll.compiler.googlelog import UNKNOWN_FAILURE
from atoll.errors import CompilerError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from atoll.compiler.attempts import Attempt, Bench
    from atoll.compiler.request import Request
    from atoll.compiler.source import Unit
    from atoll.tflite.graph import Subgraph

# While searching for the operator, a wrong answer only costs exactness.
_SEARCH_TRIES = 2
_SEARCH_RUNS = 14
# No new run is begun in a search that has taken this many times the time limit of one.
_SEARCH_LIMITS = 4


def rescued(
    bench: Bench, units: Sequence[Unit], request: Request, failed: Attempt
) -> tuple[Attempt, tuple[str, ...]]:
    """Looks for what breaks it, and leaves it out where that is wanted.

    Args:
        bench: Where it is run.
        units: The models that do not compile.
        request: What is asked.
        failed: How they failed.

    Returns:
        The best compile there is, and what is to be said of it.

    Raises:
        CompilerError: There is none, or nothing was to be left out: with the operator that breaks
            it, where it was found.
    """
    unit = units[0]
    if len(units) > 1:
        unit, failed = _breaking(bench, units, failed)
    assert failed.failure is not None
    if request.segments > 1 or not failed.failure.operator:
        raise _error(unit.source.path, failed)
    # Where leaving operators out is not wanted, only an abort that nothing explains is looked into.
    if not request.search_delegate and not failed.failure.again:
        raise _error(unit.source.path, failed)
    return _searched(bench, unit, request, failed, alone=len(units) == 1)


def _breaking(bench: Bench, units: Sequence[Unit], failed: Attempt) -> tuple[Unit, Attempt]:
    """Which of several models does not compile, by itself."""
    for unit in units:
        attempt = bench.compile({unit.source.path.name: unit.model}, [], _SEARCH_TRIES)
        if attempt.failure is not None:
            return unit, attempt
    raise CompilerError(
        ", ".join(unit.source.path.name for unit in units),
        "Google's compiler takes each of these models, but not all together",
        received=failed.said,
        fix="Compile them one by one: each then has the whole cache, and they take turns",
    )


def _searched(
    bench: Bench, unit: Unit, request: Request, failed: Attempt, *, alone: bool
) -> tuple[Attempt, tuple[str, ...]]:
    graph, path = unit.model.main, unit.source.path
    step = request.search_step if request.search_delegate else 1
    best: list[Attempt] = []
    deadline = time.monotonic() + _SEARCH_LIMITS * request.timeout_s
    bench.progress.note(
        f"Google's compiler fails on {path.name} ({failed.said}). "
        "Searching for the operator that breaks it."
    )

    def compiles(count: int) -> bool:
        if time.monotonic() > deadline:
            return False
        tensors = frontier(graph, count)
        if not tensors:
            return False
        model = with_plain_names(unit.model, tensors)
        names = [*request.tensors_of(0), *(model.main.tensors[t].name for t in tensors)]
        bench.progress.note(f"Trying with the first {count} of {len(graph.operators)} operators.")
        flags = flags_of(replace(request, intermediate_tensors=(tuple(names),)))
        attempt = bench.compile({path.name: model}, flags, _SEARCH_TRIES)
        if attempt.failure is None:
            best[:] = [attempt]
        return attempt.failure is None

    found = longest_prefix(len(graph.operators), compiles, step=step, most_runs=_SEARCH_RUNS)
    if not best:
        raise CompilerError(
            path,
            "Google's compiler fails, and leaving operators out does not help",
            received=failed.said,
            fix="Run atoll check on the model, and try --legalize",
        )
    culprit = _named(graph, found.good, found.bad)
    if request.search_delegate and alone:
        note = (
            f"Only the first {found.good} of {len(graph.operators)} operators are compiled: "
            f"with {culprit} Google's compiler fails ({failed.said})."
        )
        return best[0], (note,)
    raise CompilerError(
        path,
        f"Google's compiler fails on {culprit}: the {found.good} operators before compile",
        received=failed.said,
        fix="Change that operator, or leave it and what follows on the CPU with --search_delegate"
        if alone
        else "Change that operator, or compile this model alone with --search_delegate",
    )


def _named(graph: Subgraph, good: int, bad: int) -> str:
    """The operators between, in words."""
    first = graph.operators[good]
    name = graph.tensors[first.outputs[0]].name if first.outputs else ""
    text = f"operator {good}, {first.custom_name or first.type} {name!r}"
    return text if bad - good == 1 else f"one of operators {good} to {bad - 1}, from {text}"


def _error(path: Path, attempt: Attempt) -> CompilerError:
    assert attempt.failure is not None
    known = attempt.failure is not UNKNOWN_FAILURE
    tried = f" (tried {attempt.tries} times)" if attempt.tries > 1 else ""
    return CompilerError(
        path,
        "Google's compiler failed" + ("" if known else " and gave no reason that is known"),
        received=attempt.said + tried,
        fix=attempt.failure.fix,
    )
