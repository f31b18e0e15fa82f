"""A model cut into segments, each for an Edge TPU of its own, with what is known of each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from atoll.edgetpu.chip import BEAGLE
from atoll.edgetpu.latency.links import LINKS
from atoll.edgetpu.latency.predict import predict
from atoll.edgetpu.memory import plan_memory
from atoll.edgetpu.partition import stages
from atoll.edgetpu.segment_models import segment_models
from atoll.edgetpu.segments import split

if TYPE_CHECKING:
    from collections.abc import Sequence

    from atoll.edgetpu.verdict import Verdict
    from atoll.tflite.graph import Model, Subgraph

# What segments are balanced for. Others have the same slowest segment, as long as all is cached.
_LINK, _CLOCK = "usb3", "max"


@dataclass(frozen=True)
class Stretch:
    """One segment.

    Attributes:
        model: The segment as a model.
        verdicts: Where each of its operators runs.
    """

    model: Model
    verdicts: list[Verdict]


def cut_into(
    model: Model, verdicts: Sequence[Verdict], count: int, min_runtime: int
) -> list[Stretch]:
    """Cuts a model into segments that run one after another, the slowest as fast as can be.

    Args:
        model: The whole model; it stays as it is.
        verdicts: Where each of its operators runs.
        count: How many segments.
        min_runtime: The oldest runtime version that must run them, 10 to 14.

    Returns:
        The segments, in the order in which they run.

    Raises:
        UsageError: There are fewer mapped operators than segments.
        CompilerError: The model holds state, or calls other subgraphs.
    """
    graph = model.main
    plan = plan_memory(graph, verdicts, min_runtime=min_runtime)
    latency = predict(graph, verdicts, plan, link=_LINK, clock=_CLOCK)
    computing = [op.cycles / BEAGLE.clocks[_CLOCK] * 1e3 for op in latency.ops]
    segments = split(graph, verdicts, computing, count, stream_ms_per_byte=LINKS[_LINK].send_ms(1))
    return [
        Stretch(part, _renumbered(part.main, [verdicts[index] for index in segment.operators]))
        for part, segment in zip(segment_models(model, segments), segments, strict=True)
    ]


def _renumbered(graph: Subgraph, verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Verdicts that count operators and mapped parts from the segment's own first."""
    mapped = [verdict.target == "tpu" for verdict in verdicts]
    levels = stages(graph, mapped)
    return [
        replace(verdict, index=index, part=level if here else -1)
        for index, (verdict, here, level) in enumerate(zip(verdicts, mapped, levels, strict=True))
    ]
