"""What becomes of one operator, in the words of Google's compiler and in ours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

# Google's own words, as edgetpu_compiler 16 prints them: people search for them.
MAPPED = "Mapped to Edge TPU"
SECOND_SUBGRAPH = "More than one subgraph is not supported"
LIMITATION = "Operation is otherwise supported, but not mapped due to some unspecified limitation"
UNSUPPORTED_TYPE = "Operation is working on an unsupported data type"
UNSUPPORTED = "Operation not supported"
UNSUPPORTED_VERSION = "Operation version not supported"
UNSUPPORTED_RANK = "Tensor has unsupported rank (up to 3 innermost dimensions mapped)"

Target = Literal["tpu", "cpu"]


@dataclass(frozen=True)
class Verdict:
    """Where one operator runs, and why.

    Attributes:
        index: Its place in the main subgraph.
        type: TFLite's name of it; a custom operator's own name.
        name: The name of its first output.
        target: Where it runs.
        status: Google's words.
        reason: Why it stays on the CPU, precisely; empty where it does not.
        fix: What to change so that it maps; empty where nothing is known to help.
        part: Which mapped part of the graph it belongs to, from 0; -1 on the CPU.
    """

    index: int
    type: str
    name: str
    target: Target
    status: str
    reason: str = ""
    fix: str = ""
    part: int = -1


def count_mapped(verdicts: Iterable[Verdict]) -> int:
    """How many of these operators run on the Edge TPU."""
    return sum(verdict.target == "tpu" for verdict in verdicts)


def count_parts(verdicts: Iterable[Verdict]) -> int:
    """How many parts of the graph are mapped."""
    return len({verdict.part for verdict in verdicts if verdict.target == "tpu"})
