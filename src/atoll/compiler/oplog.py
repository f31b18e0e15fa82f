"""The table of operators as edgetpu_compiler prints it: written, and read."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from atoll.edgetpu.verdict import Verdict

_ROW = re.compile(r"^(\S+) +(\d+) +(\S.*?)\s*$")
_HEADER = ("Operator", "Count", "Status")


@dataclass(frozen=True)
class OperatorCount:
    """One row: how many operators of a type share a status."""

    type: str
    count: int
    status: str


def count_operators(verdicts: Sequence[Verdict]) -> list[OperatorCount]:
    """Verdicts as rows, in the order in which types and statuses are first met."""
    counts = Counter((verdict.type, verdict.status) for verdict in verdicts)
    return [OperatorCount(kind, count, status) for (kind, status), count in counts.items()]


def format_table(rows: Sequence[OperatorCount]) -> str:
    """Rows in Google's columns."""
    lines = [_line(*_HEADER), "", *(_line(row.type, row.count, row.status) for row in rows)]
    return "\n".join(lines) + "\n"


def parse_table(text: str) -> list[OperatorCount]:
    """The rows found in a text that Google's compiler printed."""
    found = (_ROW.match(line) for line in text.splitlines())
    return [OperatorCount(row[1], int(row[2]), row[3]) for row in found if row]


def _line(kind: str, count: object, status: str) -> str:
    return f"{kind:<30} {count!s:<10} {status}"
