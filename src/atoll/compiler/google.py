"""Google's own compiler as a backend: run, tried again, searched for what breaks it, believed."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from atoll import files
from atoll.compiler.bisect import longest_prefix
from atoll.compiler.cut import between, frontier, with_plain_names
from atoll.compiler.googlelog import Failure, Report, parse_reports, why_failed
from atoll.compiler.output import check_places, write_all
from atoll.compiler.program import run_once
from atoll.compiler.result import Compiled, Sizes
from atoll.compiler.translate import as_compiled
from atoll.edgetpu.analysis import Analysis, analyse_cut
from atoll.edgetpu.partition import partition
from atoll.edgetpu.simfile import EDGETPU_OP
from atoll.errors import CompilerError
from atoll.tflite.reader import parse_model
from atoll.tflite.writer import write_model

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from atoll.compiler.program import Program
    from atoll.compiler.request import Request
    from atoll.compiler.source import Unit
    from atoll.progress import Progress
    from atoll.tflite.graph import Model, Subgraph

# It fails by chance now and then (google-coral/edgetpu issues 173 and 211: the same file, the third
# time it compiles): so often the same is tried.
_TRIES = 3
# While searching for the operator, in which a wrong answer only costs exactness.
_SEARCH_TRIES = 2
_SEARCH_RUNS = 14
# No new run is begun in a search that has taken this many times the time limit of one.
_SEARCH_LIMITS = 4

_OUT = "out"


@dataclass(frozen=True)
class _Attempt:
    """What came of trying to compile some files.

    Attributes:
        text: What it printed.
        files: What it wrote, by name.
        failure: How it failed; None where it did not.
        said: Its own words for that.
        tries: How often it was tried.
    """

    text: str
    files: Mapping[str, bytes] = field(default_factory=dict)
    failure: Failure | None = None
    said: str = ""
    tries: int = 1


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
    bench = _Bench(program, request, progress)
    start = time.perf_counter()
    notes: tuple[str, ...] = ()
    models = {unit.source.path.name: unit.model for unit in units}
    attempt = bench.compile(models, _flags(request), _TRIES)
    if attempt.failure is not None:
        attempt, notes = _rescued(bench, units, request, attempt)
    elif attempt.tries > 1:
        notes = (f"Google's compiler failed by chance; it compiled at try {attempt.tries}.",)
    milliseconds = (time.perf_counter() - start) * 1e3
    return _written(units, out_dir, request, attempt, notes, milliseconds)


def _flags(request: Request) -> list[str]:
    """Its own flags. Leaving operators out is done here: halving takes fewer runs than its steps.

    Source of the lists' form: google-coral/edgetpu issue 778.
    """
    flags = ["-m", str(request.min_runtime)]
    if request.segments > 1:
        flags += ["-n", str(request.segments)]
    if request.multiple_subgraphs:
        flags += ["-a"]
    if any(request.intermediate_tensors):
        flags += ["-i", ":".join(",".join(names) for names in request.intermediate_tensors)]
    return flags


class _Bench:
    """Runs the program, each time in a folder of its own."""

    def __init__(self, program: Program, request: Request, progress: Progress) -> None:
        self.program = program
        self.timeout_s = request.timeout_s
        self.progress = progress

    def compile(self, models: Mapping[str, Model], flags: Sequence[str], tries: int) -> _Attempt:
        """Compiles models together; again, where it may have failed by chance."""
        contents = {name: write_model(model) for name, model in models.items()}
        attempt = _Attempt("")
        for count in range(1, tries + 1):
            attempt = self._once(contents, flags, count)
            if attempt.failure is None or not attempt.failure.again:
                break
            if count < tries:
                self.progress.note(
                    f"Google's compiler failed ({attempt.said}). The same is tried again, "
                    f"{count} of {tries - 1}."
                )
        return attempt

    def _once(self, contents: Mapping[str, bytes], flags: Sequence[str], count: int) -> _Attempt:
        with tempfile.TemporaryDirectory(prefix="atoll-") as name:
            folder = Path(name).resolve()
            out = folder / _OUT
            out.mkdir()
            for model, content in contents.items():
                (folder / model).write_bytes(content)
            arguments = ["-s", "-o", _OUT, "-t", str(self.timeout_s), *flags, *contents]
            run = run_once(self.program, arguments, folder, self.timeout_s)
            made = {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()}
        if run.timed_out:
            failure = Failure("", "Allow it more time with --timeout_sec", operator=False)
            said = f"no answer within {self.timeout_s} s"
            return _Attempt(run.text, failure=failure, said=said, tries=count)
        wanted = {f"{Path(model).stem}_edgetpu.tflite" for model in contents}
        complete = wanted <= made.keys() or any("_segment_" in name for name in made)
        if run.status != 0 or not complete:
            failure, said = why_failed(run.text, run.status)
            return _Attempt(run.text, failure=failure, said=said, tries=count)
        return _Attempt(run.text, made, tries=count)


def _rescued(
    bench: _Bench, units: Sequence[Unit], request: Request, failed: _Attempt
) -> tuple[_Attempt, tuple[str, ...]]:
    """Looks for what breaks it, and leaves it out where that is wanted. Raises CompilerError."""
    unit = units[0]
    if len(units) > 1:
        unit, failed = _breaking(bench, units, failed)
    assert failed.failure is not None
    if request.segments > 1 or not failed.failure.operator:
        raise _error(unit.source.path, failed)
    # Where leaving operators out is not wanted, only an abort that nothing explains is looked into.
    if not request.search_delegate and not failed.failure.again:
        raise _error(unit.source.path, failed)
    return _searched(bench, unit, request, failed, alone=len(units) == 1)


def _breaking(bench: _Bench, units: Sequence[Unit], failed: _Attempt) -> tuple[Unit, _Attempt]:
    """Which of several models does not compile, by itself."""
    for unit in units:
        attempt = bench.compile({unit.source.path.name: unit.model}, [], _SEARCH_TRIES)
        if attempt.failure is not None:
            return unit, attempt
    raise CompilerError(
        ", ".join(unit.source.path.name for unit in units),
        "Google's compiler takes each of these models, but not all together",
        received=failed.said,
        fix="Compile them one by one: each then has the whole cache, and they take turns",
    )


def _searched(
    bench: _Bench, unit: Unit, request: Request, failed: _Attempt, *, alone: bool
) -> tuple[_Attempt, tuple[str, ...]]:
    graph, path = unit.model.main, unit.source.path
    step = request.search_step if request.search_delegate else 1
    best: list[_Attempt] = []
    deadline = time.monotonic() + _SEARCH_LIMITS * request.timeout_s
    bench.progress.note(
        f"Google's compiler fails on {path.name} ({failed.said}). "
        "Searching for the operator that breaks it."
    )

    def compiles(count: int) -> bool:
        if time.monotonic() > deadline:
            return False
        tensors = frontier(graph, count)
        if not tensors:
            return False
        model = with_plain_names(unit.model, tensors)
        names = [model.main.tensors[t].name for t in tensors]
        bench.progress.note(f"Trying with the first {count} of {len(graph.operators)} operators.")
        flags = [*_flags(request), "-i", ",".join(names)]
        attempt = bench.compile({path.name: model}, flags, _SEARCH_TRIES)
        if attempt.failure is None:
            best[:] = [attempt]
        return attempt.failure is None

    found = longest_prefix(len(graph.operators), compiles, step=step, most_runs=_SEARCH_RUNS)
    if not best:
        raise CompilerError(
            path,
            "Google's compiler fails, and leaving operators out does not help",
            received=failed.said,
            fix="Run atoll check on the model, and try --legalize",
        )
    culprit = _named(graph, found.good, found.bad)
    if request.search_delegate and alone:
        note = (
            f"Only the first {found.good} of {len(graph.operators)} operators are compiled: "
            f"with {culprit} Google's compiler fails ({failed.said})."
        )
        return best[0], (note,)
    raise CompilerError(
        path,
        f"Google's compiler fails on {culprit}: the {found.good} operators before compile",
        received=failed.said,
        fix="Change that operator, or leave it and what follows on the CPU with --search_delegate"
        if alone
        else "Change that operator, or compile this model alone with --search_delegate",
    )


def _named(graph: Subgraph, good: int, bad: int) -> str:
    """The operators between, in words."""
    first = graph.operators[good]
    name = graph.tensors[first.outputs[0]].name if first.outputs else ""
    text = f"operator {good}, {first.custom_name or first.type} {name!r}"
    return text if bad - good == 1 else f"one of operators {good} to {bad - 1}, from {text}"


def _error(path: Path, attempt: _Attempt) -> CompilerError:
    assert attempt.failure is not None
    known = bool(attempt.failure.words) or "answer" in attempt.said
    tried = f" (tried {attempt.tries} times)" if attempt.tries > 1 else ""
    return CompilerError(
        path,
        "Google's compiler failed" + ("" if known else " and gave no reason that is known"),
        received=attempt.said + tried,
        fix=attempt.failure.fix,
    )


def _written(
    units: Sequence[Unit],
    out_dir: Path,
    request: Request,
    attempt: _Attempt,
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
            analysis, parts = _done(unit, number, request, parse_model(content, output), report)
            compiled.append(
                Compiled(
                    input=unit.source.path,
                    output=output,
                    log=log,
                    backend="google",
                    analysis=analysis,
                    sizes=_sizes(report),
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
        graph = between(
            graph, _names(made.main, made.main.inputs), _names(made.main, made.main.outputs)
        )
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


def _sizes(report: Report) -> Sizes:
    return Sizes(
        parameters=report.onchip_used_bytes + report.offchip_bytes,
        onchip_used=report.onchip_used_bytes,
        onchip_remaining=report.onchip_remaining_bytes,
        offchip=report.offchip_bytes,
    )
