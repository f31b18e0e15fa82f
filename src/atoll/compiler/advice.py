"""What keeps a model's operators off the chip, and what mending each thing would gain."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from atoll.compiler.caveats import caveats
from atoll.compiler.hypothetical import as_mapped, as_quantized, computes_in_float, widened
from atoll.compiler.legalizing import in_theory
from atoll.compiler.source import read_source
from atoll.edgetpu.analysis import analyse
from atoll.edgetpu.latency.host import is_priced
from atoll.edgetpu.latency.links import check_link
from atoll.edgetpu.latency.predict import predict
from atoll.edgetpu.memory import plan_memory
from atoll.edgetpu.rules import LEGALIZE, NEWEST_RUNTIME, QUANTIZE
from atoll.edgetpu.verdict import SECOND_SUBGRAPH, UNSUPPORTED_TYPE, count_mapped

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from atoll.edgetpu.analysis import Analysis
    from atoll.edgetpu.latency.predict import Latency
    from atoll.edgetpu.verdict import Verdict
    from atoll.tflite.graph import Model, Subgraph

# Of how many things in the way it is predicted what each would gain, those of the most operators
# first; and how many operators are looked at for that in all, so that it takes seconds at most.
_MOST_WEIGHED, _FEWEST_WEIGHED = 24, 3
_MOST_LOOKS = 20_000

# Behind it, a reason tells what was found instead of what the rule asks.
_RECEIVED = " Received: "


@dataclass(frozen=True)
class Blocker:
    """One thing that keeps operators off the chip.

    Attributes:
        type: The operators' type.
        ops: Which ones, by their place in the main subgraph.
        status: Google's words.
        reason: Why, precisely.
        fix: What to change; empty where nothing is known to help.
        gain_ms: Predicted milliseconds a call that are saved if these mapped, all else being as it
            is; below 0 where it would be slower; None where it was not weighed.
        ops_more: How many operators more would then map, these among them.
        legalize: Whether `atoll legalize` mends it.
    """

    type: str
    ops: tuple[int, ...]
    status: str
    reason: str
    fix: str
    gain_ms: float | None = None
    ops_more: int = 0
    legalize: bool = False


@dataclass(frozen=True)
class Checkup:
    """What would become of a model, and what stands in the way.

    Attributes:
        path: The model.
        input_bytes: Its size.
        analysis: What would become of it as it is.
        link: The link that gains are predicted for.
        blockers: What stands in the way, the one whose mending gains most first.
        waiting: Operators that are supported and only wait for those before them.
        unblocked_ms: The predicted time of a call if all of it mapped; None where it does.
        quantized: What would become of it in 8 bits; None for a model that does not compute in
            float.
        legalized: What would become of it after `atoll legalize`; None where that changes nothing.
        caveats: What was not looked at, and why Google's compiler would refuse the file as a whole,
            a line each.
        ms: Milliseconds that the look took.
    """

    path: Path
    input_bytes: int
    analysis: Analysis
    link: str
    blockers: tuple[Blocker, ...]
    waiting: int
    unblocked_ms: float | None
    quantized: Analysis | None
    legalized: Analysis | None
    caveats: tuple[str, ...]
    ms: float


def check_model(
    path: Path,
    *,
    min_runtime: int = NEWEST_RUNTIME,
    multiple_subgraphs: bool = False,
    link: str = "usb3",
    clock: str = "max",
) -> Checkup:
    """Says what would become of a model, and what stands in the way.

    Args:
        path: A TFLite model, quantised or not.
        min_runtime: The oldest runtime version that must run it, 10 to 14.
        multiple_subgraphs: Whether more than one part may be mapped.
        link: How the chip is connected: a row of `LINKS`.
        clock: The chip's clock, "max" or "std".

    Returns:
        What there is to say.

    Raises:
        ModelError: The file is no TFLite model, or damaged.
        CompilerError: It is compiled already.
        UsageError: There is no such runtime version, link or clock.
    """
    start = time.perf_counter()
    source = read_source(path)
    graph = source.model.main
    check_link(link)

    def look(at: Subgraph) -> Analysis:
        return analyse(
            at, min_runtime=min_runtime, multiple_subgraphs=multiple_subgraphs, clock=clock
        )

    analysis = look(graph)
    quantized = look(as_quantized(graph)) if computes_in_float(graph) else None
    base = analysis if quantized is None else quantized
    changed = in_theory(replace(source.model, subgraphs=[base.graph]), base.verdicts, min_runtime)
    legalized = None if changed is None else look(changed.main)
    blockers = weigh(base, legalized=legalized, link=link)
    blockers = [_tried(blocker) for blocker in blockers]
    unblocked = _if_mapped(base, range(len(base.verdicts)), link)[0]
    if quantized is not None:
        dropped = widened(graph)
        kept = [i for i in range(len(graph.operators)) if i not in dropped]
        blockers = [replace(one, ops=tuple(kept[i] for i in one.ops)) for one in blockers]
        blockers = [_quantisation(analysis, quantized, kept, link), *blockers]
    waiting = [v for v in base.verdicts if v.status == SECOND_SUBGRAPH]
    return Checkup(
        path=path,
        input_bytes=len(source.content),
        analysis=analysis,
        link=link,
        blockers=tuple(blockers),
        waiting=len(waiting),
        unblocked_ms=unblocked.ms if blockers else None,
        quantized=quantized,
        legalized=legalized,
        caveats=(
            *_left_out(source.model),
            *_unpriced(analysis),
            *caveats(graph, analysis.verdicts),
        ),
        ms=(time.perf_counter() - start) * 1e3,
    )


def _left_out(model: Model) -> tuple[str, ...]:
    """That there is more than the main subgraph, where there is."""
    more = len(model.subgraphs) - 1
    if not more:
        return ()
    others = "one more subgraph, which is" if more == 1 else f"{more} more subgraphs, which are"
    return (f"Only the main subgraph is looked at. The file has {others} left to the CPU.",)


def _unpriced(analysis: Analysis) -> tuple[str, ...]:
    """That the time of some operators on the CPU is not known, where it is not."""
    pairs = zip(analysis.graph.operators, analysis.verdicts, strict=True)
    names = sorted({v.type for op, v in pairs if v.target == "cpu" and not is_priced(op)})
    if not names:
        return ()
    return (f"How long the CPU takes for {', '.join(names)} is not known: the time leaves it out.",)


def weigh(
    base: Analysis, *, legalized: Analysis | None = None, link: str = "usb3"
) -> list[Blocker]:
    """What stands in the way of a model, the one whose mending gains most first.

    Args:
        base: What would become of it.
        legalized: The same after `atoll legalize`; None where that changes nothing.
        link: How the chip is connected: a row of `LINKS`.

    Returns:
        What stands in the way; empty where all of the model maps.
    """
    mended = _mended(base.verdicts, legalized)
    groups: dict[tuple[str, str, str, str, bool], list[Verdict]] = {}
    for verdict in base.verdicts:
        if verdict.target == "cpu" and verdict.status != SECOND_SUBGRAPH:
            rule = verdict.reason.partition(_RECEIVED)[0]
            key = (verdict.type, verdict.status, rule, verdict.fix, verdict.index in mended)
            groups.setdefault(key, []).append(verdict)
    found = [
        Blocker(
            kind,
            tuple(verdict.index for verdict in group),
            status,
            # What was received is told where it is the same for all.
            group[0].reason if len({verdict.reason for verdict in group}) == 1 else rule,
            fix,
            legalize=done,
        )
        for (kind, status, rule, fix, done), group in groups.items()
    ]
    found.sort(key=lambda blocker: -len(blocker.ops))
    most = _MOST_LOOKS // max(1, len(base.verdicts))
    most = min(_MOST_WEIGHED, max(_FEWEST_WEIGHED, most))
    weighed = [_weighed(blocker, base, link) for blocker in found[:most]]
    weighed.sort(key=_weight)
    return [*weighed, *found[most:]]


def _tried(blocker: Blocker) -> Blocker:
    """With the fix that is left now that it is known whether `atoll legalize` mends it."""
    if blocker.legalize:
        return blocker if blocker.fix.startswith(LEGALIZE) else replace(blocker, fix=LEGALIZE)
    if blocker.fix.startswith(LEGALIZE):
        _, _, other = blocker.fix.partition(", or ")
        return replace(blocker, fix=other[:1].upper() + other[1:])
    return blocker


def _weight(blocker: Blocker) -> tuple[float, int]:
    """What to sort by: a gain that is nothing, or a loss, is told by how many operators map."""
    return -max(0.0, round(blocker.gain_ms or 0, 2)), -blocker.ops_more


def _weighed(blocker: Blocker, base: Analysis, link: str) -> Blocker:
    latency, verdicts = _if_mapped(base, blocker.ops, link)
    return replace(
        blocker,
        gain_ms=base.latency[link].ms - latency.ms,
        ops_more=count_mapped(verdicts) - base.ops_tpu,
    )


def _if_mapped(base: Analysis, helped: Collection[int], link: str) -> tuple[Latency, list[Verdict]]:
    verdicts = as_mapped(base.graph, base.verdicts, helped)
    memory = plan_memory(base.graph, verdicts, min_runtime=base.min_runtime)
    clock = base.latency[link].clock
    return predict(base.graph, verdicts, memory, link=link, clock=clock), verdicts


def _quantisation(
    analysis: Analysis, quantized: Analysis, kept: Sequence[int], link: str
) -> Blocker:
    """The first thing in the way of a model that computes in float."""
    improved = tuple(
        index
        for index, after in zip(kept, quantized.verdicts, strict=True)
        if analysis.verdicts[index].target == "cpu" and after.target == "tpu"
    )
    return Blocker(
        type="FLOAT",
        ops=improved,
        status=UNSUPPORTED_TYPE,
        reason="The model computes in float; the Edge TPU computes in 8 bits.",
        fix=QUANTIZE,
        gain_ms=analysis.latency[link].ms - quantized.latency[link].ms,
        ops_more=quantized.ops_tpu - analysis.ops_tpu,
    )


def _mended(verdicts: Sequence[Verdict], legalized: Analysis | None) -> set[int]:
    """The operators with nothing in their own way any more once the model is legalised."""
    if legalized is None:
        return set()
    still = {
        verdict.name
        for verdict in legalized.verdicts
        if verdict.target == "cpu" and verdict.status != SECOND_SUBGRAPH
    }
    return {verdict.index for verdict in verdicts if verdict.name not in still}
