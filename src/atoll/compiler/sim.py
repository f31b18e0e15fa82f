"""The simulator's backend: each mapped part of a model in one operator."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from atoll import files
from atoll.compiler.caveats import caveats
from atoll.compiler.legalizing import more_with_all
from atoll.compiler.output import check_places, write_all
from atoll.compiler.result import Compiled, Sizes
from atoll.compiler.text import operation_log
from atoll.edgetpu.analysis import analyse_cut
from atoll.edgetpu.memory import plan_together
from atoll.edgetpu.partition import partition
from atoll.edgetpu.refusals import refusals
from atoll.edgetpu.simfile import SIM_OP, to_sim
from atoll.tflite.writer import write_model

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from atoll.compiler.request import Request
    from atoll.compiler.source import Unit
    from atoll.edgetpu.analysis import Analysis
    from atoll.edgetpu.verdict import Verdict
    from atoll.tflite.graph import Model, Subgraph

# Halvings: enough for a million operators.
_SEARCH_RUNS = 20


@dataclass(frozen=True)
class _Cut:
    """Where each operator runs, and what is to be said of that."""

    verdicts: list[Verdict]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Piece:
    """A model, or a segment of one, that becomes a file."""

    unit: Unit
    model: Model
    analysis: Analysis
    notes: tuple[str, ...]
    input_bytes: int
    segment: tuple[int, int] = (0, 1)


def compile_for_simulator(
    units: Sequence[Unit], out_dir: Path, request: Request, start: float
) -> list[Compiled]:
    """Compiles models for the simulator.

    A model of which nothing can be mapped is written as it is, as Google's compiler does.

    Args:
        units: The models, in the order in which they take their share of the cache.
        out_dir: Where the compiled files and their logs go.
        request: What is asked.
        start: When the work on them began, in seconds of `time.perf_counter`.

    Returns:
        What was made: an entry a file.

    Raises:
        UsageError: A flag means nothing for these models.
        OutputError: The folder cannot be written to.
    """
    pieces = _pieces(units, request)
    contents: dict[Path, bytes] = {}
    compiled = []
    for piece in pieces:
        stem = piece.unit.source.path.stem
        number, count = piece.segment
        if count > 1:
            stem += f"_segment_{number}_of_{count}"
        output, log = out_dir / f"{stem}_sim.tflite", out_dir / f"{stem}.log"
        verdicts = piece.analysis.verdicts
        made = to_sim(piece.model, verdicts)
        unchanged = made is piece.unit.source.model
        content = piece.unit.source.content if unchanged else write_model(made)
        contents[output] = content
        contents[log] = operation_log(f"{stem}.tflite", output.name, verdicts).encode()
        memory = piece.analysis.memory
        compiled.append(
            Compiled(
                input=piece.unit.source.path,
                output=output,
                log=log,
                backend="sim",
                analysis=piece.analysis,
                sizes=Sizes(
                    parameters=memory.parameter_bytes,
                    cached=memory.cached_bytes,
                    onchip_memory=memory.onchip_memory_bytes,
                    onchip_remaining=memory.onchip_remaining_bytes,
                    offchip=memory.offchip_bytes,
                ),
                subgraphs=sum(op.custom_name == SIM_OP for op in made.main.operators),
                input_bytes=piece.input_bytes,
                output_bytes=len(content),
                compile_ms=(time.perf_counter() - start) * 1e3,
                segment=piece.segment,
                changes=piece.unit.changes,
                moved=piece.unit.moved,
                notes=piece.notes,
            )
        )
        start = time.perf_counter()
    check_places(contents, [unit.source.path for unit in units])
    files.make_folder(out_dir)
    write_all(contents)
    return compiled


def _pieces(units: Sequence[Unit], request: Request) -> list[_Piece]:
    cuts = [
        _cut(unit.model.main, request, request.tensors_of(number))
        for number, unit in enumerate(units)
    ]
    if request.segments > 1:
        return [
            piece
            for unit, cut in zip(units, cuts, strict=True)
            for piece in _segments(unit, cut, request)
        ]
    plans = plan_together(
        [(unit.model.main, cut.verdicts) for unit, cut in zip(units, cuts, strict=True)],
        min_runtime=request.min_runtime,
    )
    pieces = []
    for unit, cut, plan in zip(units, cuts, plans, strict=True):
        analysis = analyse_cut(
            unit.model.main, cut.verdicts, min_runtime=request.min_runtime, memory=plan
        )
        notes = (*cut.notes, *_hint(unit, cut.verdicts, request))
        pieces.append(_Piece(unit, unit.model, analysis, notes, len(unit.source.content)))
    return pieces


def _segments(unit: Unit, cut: _Cut, request: Request) -> list[_Piece]:
    """The segments of a model: each has a chip, and so a cache, of its own."""
    from atoll.compiler.pipeline import cut_into

    runtime = request.min_runtime
    pipeline = cut_into(unit.model, cut.verdicts, request.segments, runtime)
    return [
        _Piece(
            unit,
            stretch.model,
            analyse_cut(stretch.model.main, stretch.verdicts, min_runtime=runtime),
            # What is said of the pipeline is said once.
            (*cut.notes, *(() if number else pipeline.notes)),
            len(write_model(stretch.model)),
            (number, request.segments),
        )
        for number, stretch in enumerate(pipeline.stretches)
    ]


def _hint(unit: Unit, verdicts: Sequence[Verdict], request: Request) -> tuple[str, ...]:
    """What more could be had, where nothing was asked for."""
    if request.legalize != "auto":
        return ()
    more = more_with_all(unit.model, verdicts, request.min_runtime)
    if more <= 0:
        return ()
    operators = "1 operator fewer stays" if more == 1 else f"{more} operators fewer stay"
    return (f"--legalize would change the model so that {operators} on the CPU.",)


def _cut(graph: Subgraph, request: Request, tensors: Sequence[str]) -> _Cut:
    """Decides where each operator runs.

    Nothing makes the simulator's compiler fail; with --search_delegate it leaves out what Google's
    would fail on, as far as that is known.
    """

    def stopped_at(count: int) -> list[Verdict]:
        return partition(
            graph,
            min_runtime=request.min_runtime,
            intermediate_tensors=tensors,
            multiple_subgraphs=request.multiple_subgraphs,
            stop=count,
        )

    def compiles(count: int) -> bool:
        return not _refused_when_mapped(graph, stopped_at(count))

    total = len(graph.operators)
    verdicts = stopped_at(total)
    notes: tuple[str, ...] = ()
    if request.search_delegate and _refused_when_mapped(graph, verdicts):
        from atoll.compiler.bisect import longest_prefix

        found = longest_prefix(total, compiles, step=request.search_step, most_runs=_SEARCH_RUNS)
        verdicts = stopped_at(found.good)
        notes = (
            f"Only the first {found.good} of {total} operators are compiled: with more, Google's "
            "compiler may fail.",
        )
    return _Cut(verdicts, (*notes, *caveats(graph, verdicts)))


def _refused_when_mapped(graph: Subgraph, verdicts: Sequence[Verdict]) -> bool:
    """Whether Google's compiler may refuse the model for an operator that it would map."""
    return any(verdicts[refusal.index].target == "tpu" for refusal in refusals(graph, verdicts))
