"""Changing a model before it is compiled, where that lets more of it map."""

from __future__ import annotations

from typing import TYPE_CHECKING

from atoll.compiler.result import Changed
from atoll.compiler.source import Unit
from atoll.edgetpu.partition import partition
from atoll.edgetpu.refusals import refusals
from atoll.edgetpu.verdict import count_mapped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from atoll.compiler.request import Legalize
    from atoll.compiler.source import Source
    from atoll.edgetpu.verdict import Verdict
    from atoll.legalize.engine import Applied
    from atoll.legalize.job import Legalized
    from atoll.tflite.graph import Model


def legalized(source: Source, which: Legalize, min_runtime: int) -> Unit:
    """A model as it goes to a backend.

    Args:
        source: The model, as it was read.
        which: Which changes may be made.
        min_runtime: The oldest runtime version that must run it.

    Returns:
        The model, changed only where that lets more operators map.
    """
    model = source.model
    if which == "none" or _is_fine(model, partition(model.main, min_runtime=min_runtime)):
        return Unit(source, model)
    from atoll.legalize.job import legalize

    skip = () if which == "all" else _moving_rows()
    # By the table alone first: nothing is run for a model that it has nothing for.
    if not _helps(model, legalize(model, min_runtime=min_runtime, skip=skip, verify=False)):
        return Unit(source, model)
    done = legalize(model, min_runtime=min_runtime, skip=skip)
    if not _helps(model, done):
        return Unit(source, model)
    return Unit(source, done.model, _changes(done.changes), _moved(done))


def in_theory(model: Model, verdicts: Sequence[Verdict], min_runtime: int) -> Model | None:
    """What `atoll legalize` would make of a model, by its table alone: nothing is run.

    Args:
        model: The model; it stays as it is.
        verdicts: What `partition` says of it.
        min_runtime: The oldest runtime version that must run it.

    Returns:
        The changed model; None where nothing would change for the better.
    """
    if _is_fine(model, verdicts):
        return None
    import numpy as np

    from atoll.legalize.job import legalize

    # The numbers of a model that is only imagined may have no meaning.
    with np.errstate(all="ignore"):
        done = legalize(model, min_runtime=min_runtime, verify=False)
    return done.model if _helps(model, done) else None


def more_with_all(model: Model, verdicts: Sequence[Verdict], min_runtime: int) -> int:
    """How many operators fewer would stay on the CPU after `atoll legalize`, by its table alone.

    Args:
        model: The model; it stays as it is.
        verdicts: What `partition` says of it.
        min_runtime: The oldest runtime version that must run it.

    Returns:
        How many; 0 where it would not help.
    """
    changed = in_theory(model, verdicts, min_runtime)
    if changed is None:
        return 0
    after = partition(changed.main, min_runtime=min_runtime)
    return _left(model, verdicts)[0] - _left(changed, after)[0]


def _is_fine(model: Model, verdicts: Sequence[Verdict]) -> bool:
    return _left(model, verdicts) == (0, 0)


def _left(model: Model, verdicts: Sequence[Verdict]) -> tuple[int, int]:
    """How many operators stay on the CPU, and for how many Google's compiler refuses the file."""
    return len(verdicts) - count_mapped(verdicts), len(refusals(model.main, verdicts))


def _helps(model: Model, done: Legalized) -> bool:
    """Whether less is left to mend: a change may also leave more operators on the CPU."""
    return bool(done.changes) and _left(done.model, done.after) < _left(model, done.before)


def _moving_rows() -> list[str]:
    """The rewrites after which an output may differ."""
    from atoll.legalize.table import PASSES, REWRITES

    exactness = {row.name: row.exactness for row in PASSES}
    exactness |= {row.name: row.exactness for row in REWRITES}
    return [name for name, kind in exactness.items() if kind != "identical"]


def _changes(applied: Sequence[Applied]) -> tuple[Changed, ...]:
    rows: dict[str, list[Applied]] = {}
    for change in applied:
        rows.setdefault(change.name, []).append(change)
    return tuple(
        Changed(name, same[0].what, len(same), same[0].exactness) for name, same in rows.items()
    )


def _moved(done: Legalized) -> str:
    """How far the model's outputs moved, in a sentence."""
    comparison = done.comparison
    if comparison is None:
        return ""
    if comparison.failure:
        return f"The outputs before and after could not be compared: {comparison.failure}"
    on = f"{comparison.samples} {'random' if comparison.drawn else 'given'} inputs"
    if not comparison.max:
        return f"The outputs did not move (measured on {on})."
    unit = "steps" if comparison.in_steps else "in real numbers"
    return (
        f"The outputs moved by {comparison.mean:.3g} {unit} on average, by {comparison.max:.3g} "
        f"at most (measured on {on})."
    )
