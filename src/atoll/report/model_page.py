"""The page of a model: will it map, what stands in the way, where its memory and time go."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from atoll.compiler.oplog import count_operators
from atoll.compiler.summary import blocker_document
from atoll.edgetpu.chip import BEAGLE
from atoll.edgetpu.latency.predict import SPENDING
from atoll.files import write_text
from atoll.report import templating
from atoll.report.lanes import MOST_LANES, lanes
from atoll.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from atoll.compiler.advice import Blocker
    from atoll.edgetpu.analysis import Analysis
    from atoll.edgetpu.latency.predict import Latency
    from atoll.edgetpu.memory import MemoryPlan
    from atoll.report.lanes import Row

# Pixels, in the picture of the graph.
_LANE, _HEIGHT, _MARGIN = 14, 44, 10
# Lines go on to here: a row with much to say is higher than its picture, which is cut off at it.
_TALLEST = 999

SECTIONS = (
    ("blockers", "What stands in the way"),
    ("time", "Time"),
    ("memory", "Memory"),
    ("graph", "Graph"),
    ("statuses", "As Google's compiler says it"),
)


@dataclass(frozen=True)
class Part:
    """A piece of a bar.

    Attributes:
        kind: What it is; its colour.
        start: Where it begins, in percent of the bar.
        width: How much of the bar it takes, in percent.
        text: What is said of it.
    """

    kind: str
    start: float
    width: float
    text: str


def write_model_page(
    title: str,
    analysis: Analysis,
    blockers: Sequence[Blocker],
    path: Path,
    *,
    link: str = "usb3",
) -> None:
    """Writes the page.

    Args:
        title: The model's name.
        analysis: What would become of it.
        blockers: What keeps operators from the chip, the one whose mending gains most first.
        path: The file to write.
        link: Whose times the operators show.

    Raises:
        OutputError: The place cannot be written to, or is full.
    """
    write_text(path, render(title, analysis, blockers, link=link))


def render(
    title: str,
    analysis: Analysis,
    blockers: Sequence[Blocker],
    *,
    link: str = "usb3",
) -> str:
    """The page's text; see `write_model_page`. The same arguments give the same bytes."""
    latency = analysis.latency[link]
    picture = lanes(analysis.graph)
    shown = {"blockers": bool(blockers), "memory": bool(analysis.memory.parameter_bytes)}
    return templating.page(
        "model_page.html.j2",
        styles=["report.css", "model.css"],
        script="copy.js.j2",
        title=title,
        version=__version__,
        sections=[row for row in SECTIONS if shown.get(row[0], True)],
        total=analysis.ops_total,
        on_tpu=analysis.ops_tpu,
        parts=analysis.subgraphs,
        shown=latency,
        latencies=list(analysis.latency.values()),
        bars=[(one, _time_parts(one, _slowest(analysis))) for one in analysis.latency.values()],
        kinds=list(SPENDING.items()),
        memory=analysis.memory,
        capacity=BEAGLE.parameter_memory,
        cache=_cache_parts(analysis.memory),
        blockers=[blocker_document(blocker) for blocker in blockers],
        rows=_rows(analysis, latency, picture),
        width=2 * _MARGIN + _LANE * max((_rightmost(row) for row in picture), default=0),
        height=_HEIGHT,
        statuses=count_operators(analysis.verdicts),
    )


def _slowest(analysis: Analysis) -> float:
    return max((one.ms for one in analysis.latency.values()), default=0.0)


def _time_parts(latency: Latency, most: float) -> list[Part]:
    parts, start = [], 0.0
    for kind, ms in latency.breakdown.items():
        width = 100 * ms / most if most > 0 else 0.0
        if width > 0:
            text = f"{SPENDING[kind]}: {ms:.2f} ms"
            parts.append(Part(kind, round(start, 3), round(width, 3), text))
        start += width
    return parts


def _cache_parts(plan: MemoryPlan) -> list[Part]:
    """Runs of layers that are cached or streamed, along all parameters."""
    parts, start = [], 0.0
    owners = [op for op in plan.ops if op.parameter_bytes]
    for cached, run in groupby(owners, key=lambda op: op.cached):
        ops = list(run)
        count = sum(op.parameter_bytes for op in ops)
        width = 100 * count / plan.parameter_bytes
        kind, words = ("cached", "cached on the chip") if cached else ("streaming", "streamed")
        text = f"operators {ops[0].index} to {ops[-1].index}, {count:,} bytes: {words}"
        parts.append(Part(kind, round(start, 3), round(width, 3), text))
        start += width
    return parts


def _rows(analysis: Analysis, latency: Latency, picture: Sequence[Row]) -> list[dict[str, Any]]:
    graph = analysis.graph
    times = {op.index: op for op in latency.ops}
    memory = {op.index: op for op in analysis.memory.ops}
    longest = max((op.ms for op in latency.ops), default=0.0)
    rows = []
    for verdict, op, row in zip(analysis.verdicts, graph.operators, picture, strict=True):
        time = times.get(verdict.index)
        rows.append(
            {
                "verdict": verdict,
                "shape": graph.tensors[op.outputs[0]].shape if op.outputs else (),
                "time": time,
                "share": 100 * time.ms / longest if time and longest > 0 else 0.0,
                "memory": memory.get(verdict.index),
                "lines": _lines(row),
                "node": _x(min(row.lane, MOST_LANES)),
            }
        )
    return rows


def _rightmost(row: Row) -> int:
    return min(max(row.lane, *row.through, *row.into, *row.out_of, 0), MOST_LANES)


def _x(lane: int) -> int:
    return _MARGIN + _LANE * lane


def _lines(row: Row) -> str:
    """The row's lines as an SVG path."""
    node, middle = _x(min(row.lane, MOST_LANES)), _HEIGHT // 2
    steps = [f"M{_x(lane)} 0V{_TALLEST}" for lane in row.through]
    steps += [_bend(_x(lane), 0, node, middle) for lane in row.into]
    steps += [f"{_bend(node, middle, _x(lane), _HEIGHT)}V{_TALLEST}" for lane in row.out_of]
    return "".join(steps)


def _bend(x: int, y: int, to_x: int, to_y: int) -> str:
    if x == to_x:
        return f"M{x} {y}V{to_y}"
    half = (y + to_y) // 2
    return f"M{x} {y}C{x} {half} {to_x} {half} {to_x} {to_y}"
