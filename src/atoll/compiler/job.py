"""From a full-integer TFLite model to a compiled one: a line a pass."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from atoll import files
from atoll.compiler import google
from atoll.compiler.oplog import count_operators, format_table
from atoll.edgetpu.partition import partition
from atoll.edgetpu.rules import NEWEST_RUNTIME
from atoll.edgetpu.simfile import EDGETPU_OP, SIM_OP, to_sim
from atoll.edgetpu.verdict import LIMITATION, MAPPED
from atoll.errors import CompilerError, UsageError
from atoll.tflite.reader import read_model
from atoll.tflite.writer import write_model

if TYPE_CHECKING:
    from collections.abc import Callable

    from atoll.edgetpu.verdict import Verdict
    from atoll.tflite.graph import Model

Backend = Literal["auto", "sim", "google"]


@dataclass(frozen=True)
class Compiled:
    """A compiled model.

    Attributes:
        output: The compiled file.
        log: The file with the table of operators.
        backend: What made it: "sim" or "google".
        verdicts: Where every operator of the source runs.
        ops_total: Operators in all.
        ops_tpu: Operators that are mapped; with 0 the file runs on the CPU alone.
        ops_cpu: Operators that stay on the CPU.
        subgraphs: Mapped parts.
        compile_ms: Milliseconds that it took.
        report: What Google's compiler said, where it was the backend.
    """

    output: Path
    log: Path
    backend: str
    verdicts: list[Verdict]
    ops_total: int
    ops_tpu: int
    ops_cpu: int
    subgraphs: int
    compile_ms: float
    report: google.GoogleResult | None = None


def compile_model(
    path: str | Path,
    out_dir: str | Path,
    *,
    backend: Backend = "auto",
    min_runtime: int = NEWEST_RUNTIME,
) -> Compiled:
    """Compiles a model for the Edge TPU.

    A model of which nothing can be mapped is written as it is, as Google's compiler does.

    Args:
        path: A full-integer TFLite model.
        out_dir: Where the compiled file and its log go.
        backend: "sim" writes X_sim.tflite for the simulator; "google" runs Google's compiler,
            which writes X_edgetpu.tflite; "auto" takes Google's where there is one.
        min_runtime: The oldest runtime version that must run the model, 10 to 14.

    Returns:
        The compiled model.

    Raises:
        ModelError: The file is no TFLite model, or damaged.
        CompilerError: It is compiled already, or the compiler failed.
        UsageError: There is no such backend or runtime version.
        OutputError: The folder cannot be written to.
    """
    path, out_dir = Path(path), Path(out_dir)
    compile_with = _backend(backend)
    model = read_model(path)
    _check_uncompiled(model, path)
    verdicts = partition(model.main, min_runtime=min_runtime)
    files.make_folder(out_dir)
    return compile_with(path, out_dir, model, verdicts, min_runtime)


def _with_sim(
    path: Path, out_dir: Path, model: Model, verdicts: list[Verdict], min_runtime: int
) -> Compiled:
    start = time.perf_counter()
    compiled = to_sim(model, verdicts)
    content = write_model(compiled)
    milliseconds = (time.perf_counter() - start) * 1e3
    output, log = out_dir / f"{path.stem}_sim.tflite", out_dir / f"{path.stem}.log"
    files.write_bytes(output, content)
    files.write_text(log, _log(path, output, verdicts))
    return _compiled("sim", output, log, verdicts, _parts(compiled, SIM_OP), milliseconds)


def _with_google(
    path: Path, out_dir: Path, model: Model, verdicts: list[Verdict], min_runtime: int
) -> Compiled:
    compiler = google.find()
    if compiler is None:
        raise CompilerError(
            google.COMMAND,
            "Google's compiler must be on the path, or named by the environment",
            received="neither",
            fix=f"Set {google.VARIABLE} to it, or use the simulator's backend",
        )
    start = time.perf_counter()
    report = google.run(compiler, path, out_dir, flags=["-m", str(min_runtime)])
    milliseconds = (time.perf_counter() - start) * 1e3
    log = report.output.with_suffix(".log")
    if not log.is_file():
        files.write_text(log, report.log)
    made = read_model(report.output)
    held, parts = _as_compiled(verdicts, made), _parts(made, EDGETPU_OP)
    compiled = _compiled("google", report.output, log, held, parts, milliseconds)
    return replace(compiled, report=report)


_BACKENDS: dict[str, Callable[[Path, Path, Model, list[Verdict], int], Compiled]] = {
    "google": _with_google,
    "sim": _with_sim,
}


def _backend(name: str) -> Callable[[Path, Path, Model, list[Verdict], int], Compiled]:
    if name == "auto":
        name = "sim" if google.find() is None else "google"
    if name not in _BACKENDS:
        raise UsageError(
            "backend",
            f"it must be auto, {' or '.join(_BACKENDS)}",
            received=name,
            fix="Leave it out for auto",
        )
    return _BACKENDS[name]


def _check_uncompiled(model: Model, path: Path) -> None:
    for op in model.main.operators:
        if op.custom_name in (SIM_OP, EDGETPU_OP):
            raise CompilerError(
                path,
                "the model must not be compiled already",
                received=f"an operator {op.custom_name}",
                fix="Give the model that it was compiled from",
            )


def _as_compiled(verdicts: list[Verdict], compiled: Model) -> list[Verdict]:
    """Our verdicts, corrected by what Google's compiler did: its CPU operators keep their names."""
    graph = compiled.main
    left = Counter(
        (op.custom_name or op.type, graph.tensors[op.outputs[0]].name)
        for op in graph.operators
        if op.outputs and op.custom_name != EDGETPU_OP
    )
    held = []
    for verdict in verdicts:
        key = (verdict.type, verdict.name)
        on_cpu = left[key] > 0
        left[key] -= on_cpu
        if on_cpu == (verdict.target == "cpu"):
            held.append(verdict)
        elif on_cpu:
            reason = "Google's compiler left it on the CPU and gave no reason."
            held.append(replace(verdict, target="cpu", status=LIMITATION, reason=reason))
        else:
            held.append(replace(verdict, target="tpu", status=MAPPED, reason="", fix=""))
    return held


def _parts(compiled: Model, name: str) -> int:
    return sum(op.custom_name == name for op in compiled.main.operators)


def _compiled(
    backend: str,
    output: Path,
    log: Path,
    verdicts: list[Verdict],
    parts: int,
    milliseconds: float,
) -> Compiled:
    mapped = sum(verdict.target == "tpu" for verdict in verdicts)
    return Compiled(
        output=output,
        log=log,
        backend=backend,
        verdicts=verdicts,
        ops_total=len(verdicts),
        ops_tpu=mapped,
        ops_cpu=len(verdicts) - mapped,
        subgraphs=parts,
        compile_ms=milliseconds,
    )


def _log(path: Path, output: Path, verdicts: list[Verdict]) -> str:
    head = f"Atoll compiler version {version('atoll')}, for the simulator\n"
    names = f"Input: {path.name}\nOutput: {output.name}\n\n"
    return head + names + format_table(count_operators(verdicts))
