"""Google's own compiler as a backend: run, tried again, searched for what breaks it, believed."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from atoll import files
from atoll.compiler.attempts import TRIES, Bench, flags_of
from atoll.compiler.cut import between
from atoll.compiler.googlelog import Report, parse_reports
from atoll.compiler.output import check_places, write_all
from atoll.compiler.rescue import rescued
from atoll.compiler.result import Compiled, Sizes
from atoll.compiler.translate import as_compiled
from atoll.edgetpu.analysis import Analysis, analyse_cut
from atoll.edgetpu.package import packages
from atoll.edgetpu.partition import partition
from atoll.edgetpu.simfile import EDGETPU_OP
from atoll.errors import CompilerError, ModelError
from atoll.tflite.reader import parse_model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from atoll.compiler.attempts import Attempt
    from atoll.compiler.program import Program
    from atoll.compiler.request import Request
    from atoll.compiler.source import Unit
    from atoll.progress import Progress
    from atoll.tflite.graph import Model, Subgraph


def compile_with_google(
    program: Program, units: Sequence[Unit], out_dir: Path, request: Request, progress: Progress
) -> list[Compiled]:
    """Compiles models with Google's compiler.

    Args:
        program: The program.
        units: The models, in the order in which they take their share of the cache.
        out_dir: Where the compiled files and its logs go.
        request: What is asked.
        progress: Who is told of trying again.

    Returns:
        What it made and did: an entry a file.

    Raises:
        CompilerError: It failed, took too long, or could not be started.
        OutputError: The folder cannot be written to.
    """
    files.make_folder(out_dir)
    bench = Bench(program, request, progress)
    start = time.perf_counter()
    notes: tuple[str, ...] = ()
    models = {unit.source.path.name: unit.model for unit in units}
    attempt = bench.compile(models, flags_of(request), TRIES)
    if attempt.failure is not None:
        attempt, notes = rescued(bench, units, request, attempt)
    elif attempt.tries > 1:
        notes = (f"Google's compiler failed by chance; it compiled at try {attempt.tries}.",)
    milliseconds = (time.perf_counter() - start) * 1e3
    return _written(units, out_dir, request, attempt, notes, milliseconds)


def _written(
    units: Sequence[Unit],
    out_dir: Path,
    request: Request,
    attempt: Attempt,
    notes: tuple[str, ...],
    milliseconds: float,
) -> list[Compiled]:
    """Puts what it made into its place, and says what it did."""
    reports = {Path(report.output).name: report for report in parse_reports(attempt.text)}
    contents: dict[Path, bytes] = {}
    compiled = []
    for number, unit in enumerate(units):
        for segment in range(request.segments):
            stem = unit.source.path.stem
            if request.segments > 1:
                stem += f"_segment_{segment}_of_{request.segments}"
            output = out_dir / f"{stem}_edgetpu.tflite"
            content = attempt.files.get(output.name)
            if content is None:
                raise CompilerError(
                    unit.source.path,
                    "Google's compiler must write a file for every segment",
                    received=f"no {output.name}",
                    fix="Ask for fewer segments with --num_segments",
                )
            report = reports.get(output.name, Report())
            log = output.with_suffix(".log")
            contents[output] = content
            contents[log] = attempt.files.get(log.name) or attempt.text.encode()
            made = parse_model(content, output)
            analysis, parts = _done(unit, number, request, made, report)
            compiled.append(
                Compiled(
                    input=unit.source.path,
                    output=output,
                    log=log,
                    backend="google",
                    analysis=analysis,
                    sizes=_sizes(report, made),
                    subgraphs=parts,
                    input_bytes=report.input_bytes or len(unit.source.content),
                    output_bytes=len(content),
                    compile_ms=report.compile_ms or milliseconds,
                    segment=(segment, request.segments),
                    changes=unit.changes,
                    moved=unit.moved,
                    notes=notes,
                    compiler_version=report.version,
                )
            )
    check_places(contents, [unit.source.path for unit in units])
    write_all(contents)
    return compiled


def _done(
    unit: Unit, number: int, request: Request, made: Model, report: Report
) -> tuple[Analysis, int]:
    """What it did with a model, or a segment of one; and how many mapped parts there are."""
    graph, names = unit.model.main, request.tensors_of(number)
    if request.segments > 1:
        part = made.main
        graph = between(graph, _names(part, part.inputs), _names(part, part.outputs))
        names = ()
    verdicts = partition(
        graph,
        min_runtime=request.min_runtime,
        intermediate_tensors=names,
        multiple_subgraphs=request.multiple_subgraphs,
    )
    verdicts = as_compiled(verdicts, made, report.operations)
    parts = sum(op.custom_name == EDGETPU_OP for op in made.main.operators)
    return analyse_cut(graph, verdicts, min_runtime=request.min_runtime), parts


def _names(graph: Subgraph, tensors: Sequence[int]) -> set[str]:
    return {graph.tensors[t].name for t in tensors}


def _sizes(report: Report, made: Model) -> Sizes:
    """The chip's memory: what it printed, to its two digits, and what the file holds, exactly."""
    try:
        parts = packages(made)
    except ModelError:
        cached, streamed = report.onchip_memory_bytes, report.offchip_bytes
    else:
        cached = sum(part.cached_bytes for part in parts)
        streamed = sum(part.streamed_bytes for part in parts)
    return Sizes(
        parameters=cached + streamed,
        cached=cached,
        onchip_memory=report.onchip_memory_bytes,
        onchip_remaining=report.onchip_remaining_bytes,
        offchip=streamed,
    )
