"""What Google's compiler would say no to, of a model that the simulator takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from atoll.edgetpu.refusals import refusals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from atoll.edgetpu.refusals import Refusal
    from atoll.edgetpu.verdict import Verdict
    from atoll.tflite.graph import Subgraph


def caveats(graph: Subgraph, verdicts: Sequence[Verdict]) -> tuple[str, ...]:
    """Why Google's compiler would refuse the file as a whole, as far as that is known.

    Args:
        graph: The main subgraph.
        verdicts: Where each operator runs.

    Returns:
        A line for each reason, with what was found and what helps.
    """
    by_reason: dict[str, list[Refusal]] = {}
    for refusal in refusals(graph, verdicts):
        by_reason.setdefault(refusal.kind.reason, []).append(refusal)
    return tuple(_line(found) for found in by_reason.values())


def _line(found: Sequence[Refusal]) -> str:
    first, others = found[0], len(found) - 1
    refuses = "refuses" if first.kind.certain else "may refuse"
    more = f" and {others} more" if others else ""
    return (
        f"Google's compiler {refuses} this file: {first.kind.reason} Received: {first.received} "
        f"(operator {first.index}{more}). {first.kind.fix}."
    )
