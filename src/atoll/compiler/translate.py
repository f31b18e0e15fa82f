"""What Google's compiler did with a model, as verdicts with our reasons."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from atoll.edgetpu.simfile import EDGETPU_OP
from atoll.edgetpu.verdict import LIMITATION, MAPPED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from atoll.compiler.oplog import OperatorCount
    from atoll.edgetpu.verdict import Verdict
    from atoll.tflite.graph import Model

_NO_REASON = "Google's compiler left it on the CPU and gave no reason."


def as_compiled(
    verdicts: Sequence[Verdict], compiled: Model, table: Sequence[OperatorCount]
) -> list[Verdict]:
    """Our verdicts, corrected by what Google's compiler did.

    Args:
        verdicts: What `partition` says of the model.
        compiled: What Google's compiler made of it: operators on the CPU keep their names there.
        table: The statuses that it printed.

    Returns:
        A verdict an operator: where it runs is as in the file, the status is Google's, and the
        reason ours where we have one.
    """
    return _with_statuses(_placed(verdicts, compiled), table)


def _placed(verdicts: Sequence[Verdict], compiled: Model) -> list[Verdict]:
    graph = compiled.main
    left = Counter(
        (op.custom_name or op.type, graph.tensors[op.outputs[0]].name)
        for op in graph.operators
        if op.outputs and op.custom_name != EDGETPU_OP
    )
    held = []
    for verdict in verdicts:
        key = (verdict.type, verdict.name)
        on_cpu = left[key] > 0
        left[key] -= on_cpu
        if on_cpu == (verdict.target == "cpu"):
            held.append(verdict)
        elif on_cpu:
            held.append(
                replace(verdict, target="cpu", status=LIMITATION, reason=_NO_REASON, part=-1)
            )
        else:
            held.append(replace(verdict, target="tpu", status=MAPPED, reason="", fix="", part=0))
    return held


def _with_statuses(verdicts: Sequence[Verdict], table: Sequence[OperatorCount]) -> list[Verdict]:
    """Gives each operator on the CPU a status of the table's: its own where the table has it."""
    said: dict[str, Counter[str]] = {}
    for row in table:
        if row.status != MAPPED:
            said.setdefault(row.type, Counter())[row.status] += row.count
    changed = list(verdicts)
    undecided: list[Verdict] = []
    for verdict in verdicts:
        if verdict.target == "tpu" or verdict.type not in said:
            continue
        if said[verdict.type][verdict.status] > 0:
            said[verdict.type][verdict.status] -= 1
        else:
            undecided.append(verdict)
    for verdict in undecided:
        statuses = said[verdict.type]
        status = next((status for status, count in statuses.items() if count > 0), verdict.status)
        statuses[status] -= 1
        changed[verdict.index] = replace(verdict, status=status)
    return changed
