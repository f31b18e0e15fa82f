"""Applies the rows of the table to a draft, until none applies any more."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from atoll.edgetpu.rules import breach

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from atoll.legalize.draft import Change, Draft
    from atoll.legalize.rewrite import Exactness, Rewrite
    from atoll.legalize.verify import Error, Verifier
    from atoll.tflite.graph import Operator

# How many changes may stand one upon the other: rows that undo each other end here.
_DEEPEST = 12


@dataclass(frozen=True)
class Applied:
    """One change that was made.

    Attributes:
        name: The row's name.
        what: What was changed, and why, in a sentence.
        where: The name of a tensor that the changed operator computes.
        exactness: What the row promises.
        error: What was measured, in the changed operator's own output steps; None where nothing
            was.
    """

    name: str
    what: str
    where: str
    exactness: Exactness
    error: Error | None = None


@dataclass(frozen=True)
class Refused:
    """One change that would have helped and was not made.

    Attributes:
        name: The row's name.
        where: The name of a tensor that the operator computes.
        reason: Why not.
    """

    name: str
    where: str
    reason: str


class Engine:
    """Changes a draft by a table of rewrites.

    Args:
        draft: What is changed.
        rows: The table. Of several rows for an operator, the first that holds is taken.
        verifier: Checks each change; None for no check.
        spared: Numbers of the model's own operators that are changed only where it simplifies.

    Attributes:
        applied: The changes made, in order.
        refused: Changes that did not keep their promise.
        origins: For every operator that came in, the numbers of the model's own that it stands
            for.
    """

    def __init__(
        self,
        draft: Draft,
        rows: Sequence[Rewrite],
        verifier: Verifier | None = None,
        spared: Collection[int] = (),
    ) -> None:
        self.draft = draft
        self.applied: list[Applied] = []
        self.refused: list[Refused] = []
        self.origins: dict[int, set[int]] = {}
        self._rows = rows
        self._verifier = verifier
        self._spared = {*spared}
        self._tried: set[tuple[str, int]] = set()

    def run(self) -> None:
        """Makes all changes: first those that simplify, then those that the chip asks for."""
        self._exhaust([row for row in self._rows if row.always])
        self._exhaust(self._rows)

    def _exhaust(self, rows: Sequence[Rewrite]) -> None:
        by_type: dict[str, list[Rewrite]] = {}
        kinds = {kind for row in rows for kind in row.ops}
        everywhere = [row for row in rows if not row.ops]
        for kind in kinds:
            by_type[kind] = [row for row in rows if not row.ops or kind in row.ops]
        waiting = deque(self.draft.ordered())
        queued = {*waiting}
        while waiting:
            number = waiting.popleft()
            queued.discard(number)
            op = self.draft.operators.get(number)
            if op is None or self.draft.depth(number) > _DEEPEST:
                continue
            touched = self._first_change(by_type.get(op.type, everywhere), number)
            fresh = [n for n in touched if n not in queued]
            waiting += fresh
            queued.update(fresh)

    def _first_change(self, rows: Iterable[Rewrite], number: int) -> list[int]:
        """Makes the first change that holds; gives the numbers of operators to look at again."""
        draft = self.draft
        op = draft.operators[number]
        for row in rows:
            if not op.outputs or len(op.inputs) < row.inputs or min(op.inputs[: row.inputs]) < 0:
                continue
            known = len(draft.graph.tensors)
            change = row.apply(draft, number)
            if change is not None and self._helps(row, change):
                where = draft.tensor(op.outputs[0]).name
                reason, error = self._check(row, change)
                if not reason:
                    self.applied.append(Applied(row.name, row.what, where, row.exactness, error))
                    return self._commit(change)
                if (row.name, number) not in self._tried:
                    self._tried.add((row.name, number))
                    self.refused.append(Refused(row.name, where, reason))
            del draft.graph.tensors[known:]
        return []

    def _commit(self, change: Change) -> list[int]:
        """Makes a change, and notes where its operators come from."""
        sources = {*change.removed}.union(*(self.origins.get(n, ()) for n in change.removed))
        first = self.draft.next_number
        touched = self.draft.commit(change)
        self.origins |= {number: sources for number in touched if number >= first}
        return touched

    def _helps(self, row: Rewrite, change: Change) -> bool:
        """Whether the chip takes what comes and does not take what goes."""
        if row.always:
            return True
        draft = self.draft
        if any({n, *self.origins.get(n, ())} & self._spared for n in change.removed):
            return False
        coming = self._refused(change.operators)
        if not row.partial:
            return not coming and self._refused(draft.operators[n] for n in change.removed) > 0
        return coming < self._refused(draft.operators[n] for n in draft.going(change))

    def _refused(self, operators: Iterable[Operator]) -> int:
        """How many of some operators the chip does not take."""
        draft = self.draft
        return sum(breach(draft.graph, op, draft.min_runtime) is not None for op in operators)

    def _check(self, row: Rewrite, change: Change) -> tuple[str, Error | None]:
        """Why a change is not to be made, empty where it is; and what was measured."""
        if not self._outputs_stay(change):
            return "An output of the model would be lost.", None
        if self._verifier is None:
            return "", None
        found = self._verifier.measure(self.draft, change)
        if isinstance(found, str):
            return found, None
        if found.keeps(row.exactness):
            return "", found
        return (
            f"It promises {row.exactness!r}; measured in steps: mean {found.mean:.3g}, "
            f"at most {found.max:g}.",
            found,
        )

    def _outputs_stay(self, change: Change) -> bool:
        """Whether an output that is renamed can keep its tensor: another must compute it."""
        draft = self.draft
        computed = {t for op in change.operators for t in op.outputs}
        return all(
            (new in computed or draft.producer(new) >= 0) and not draft.is_output(new)
            for old, new in change.renamed.items()
            if draft.is_output(old)
        )
