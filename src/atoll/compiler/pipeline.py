"""A model cut into segments, each for an Edge TPU of its own, with what is known of each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from atoll.edgetpu.partition import stages
from atoll.edgetpu.segment_costs import range_costs
from atoll.edgetpu.segment_models import segment_models
from atoll.edgetpu.segments import slowest_ms, split

if TYPE_CHECKING:
    from collections.abc import Sequence

    from atoll.edgetpu.segment_costs import Costs
    from atoll.edgetpu.segments import Segment
    from atoll.edgetpu.verdict import Verdict
    from atoll.tflite.graph import Model, Subgraph

# What segments are balanced for.
_LINK, _CLOCK = "usb3", "max"
# Fewer segments are spoken of where their slowest takes no more than this of the time.
_WORTH_SAYING = 0.99


@dataclass(frozen=True)
class Stretch:
    """One segment.

    Attributes:
        model: The segment as a model.
        verdicts: Where each of its operators runs.
    """

    model: Model
    verdicts: list[Verdict]


@dataclass(frozen=True)
class Pipeline:
    """A model in segments.

    Attributes:
        stretches: The segments, in the order in which they run.
        notes: What a person should know about the cut, a sentence each.
    """

    stretches: list[Stretch]
    notes: tuple[str, ...]


def cut_into(model: Model, verdicts: Sequence[Verdict], count: int, min_runtime: int) -> Pipeline:
    """Cuts a model into segments that run one after another, the slowest as fast as can be.

    Args:
        model: The whole model; it stays as it is.
        verdicts: Where each of its operators runs.
        count: How many segments.
        min_runtime: The oldest runtime version that must run them, 10 to 14.

    Returns:
        The segments.

    Raises:
        UsageError: There are fewer mapped operators than segments.
        CompilerError: The model holds state, or calls other subgraphs.
    """
    graph = model.main
    costs = range_costs(graph, verdicts, min_runtime=min_runtime, link=_LINK, clock=_CLOCK)
    segments = split(graph, verdicts, count, costs)
    stretches = [
        Stretch(part, _renumbered(part.main, [verdicts[index] for index in segment.operators]))
        for part, segment in zip(segment_models(model, segments), segments, strict=True)
    ]
    return Pipeline(stretches, _fewer(graph, verdicts, segments, costs))


def _fewer(
    graph: Subgraph, verdicts: Sequence[Verdict], segments: Sequence[Segment], costs: Costs
) -> tuple[str, ...]:
    """Whether fewer segments would be faster, each of which pays for a call and for transfers."""
    estimates = slowest_ms(costs, len(segments))
    fewer = estimates.index(min(estimates)) + 1
    if fewer >= len(segments):
        return ()
    here = max(segment.ms for segment in segments)
    there = max(segment.ms for segment in split(graph, verdicts, fewer, costs))
    if there > here * _WORTH_SAYING:
        return ()
    instead = f"{fewer} segments" if fewer > 1 else "the whole model on one Edge TPU"
    return (
        f"Predicted: {instead} would be faster than {len(segments)} segments, {there:.2f} ms over "
        f"{_LINK} against {here:.2f} ms of the slowest: each pays for its own call and transfers.",
    )


def _renumbered(graph: Subgraph, verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Verdicts that count operators and mapped parts from the segment's own first."""
    mapped = [verdict.target == "tpu" for verdict in verdicts]
    levels = stages(graph, mapped)
    return [
        replace(verdict, index=index, part=level if here else -1)
        for index, (verdict, here, level) in enumerate(zip(verdicts, mapped, levels, strict=True))
    ]
