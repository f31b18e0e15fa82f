"""From full-integer TFLite models to compiled ones: a line a pass."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from atoll.compiler.deadline import time_limit
from atoll.compiler.legalizing import legalized
from atoll.compiler.request import Backend, Legalize, Request, check_request
from atoll.compiler.source import read_source
from atoll.edgetpu.rules import NEWEST_RUNTIME
from atoll.progress import Silent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from atoll.compiler.program import Program
    from atoll.compiler.result import Compiled
    from atoll.progress import Progress

# What "auto" means, with the simulator and without it.
_AUTO: dict[bool, Legalize] = {True: "none", False: "identical"}


def compile_models(
    paths: Sequence[Path], out_dir: Path, request: Request, progress: Progress | None = None
) -> list[Compiled]:
    """Compiles models for the Edge TPU; several share its cache, in the order given.

    Args:
        paths: Full-integer TFLite models.
        out_dir: Where the compiled files and their logs go.
        request: What is asked.
        progress: Who is told.

    Returns:
        What was made: an entry a file, several for a model that is segmented.

    Raises:
        ModelError: A file is no TFLite model, or damaged.
        CompilerError: One is compiled already, the time is up, or the compiler failed.
        UsageError: A flag means nothing.
        OutputError: The folder cannot be written to.
    """
    progress = progress or Silent()
    check_request(request, paths)
    google = None if request.backend == "sim" else _google(request.backend)
    start = time.perf_counter()
    with time_limit(request.timeout_s, paths[0]):
        sources = [read_source(path) for path in paths]
        which = _AUTO[google is None] if request.legalize == "auto" else request.legalize
        units = [legalized(source, which, request.min_runtime) for source in sources]
        if google is None:
            from atoll.compiler.sim import compile_for_simulator

            return compile_for_simulator(units, out_dir, request, start)
    from atoll.compiler.google import compile_with_google

    # Each run of it has a time limit of its own.
    return compile_with_google(google, units, out_dir, request, progress)


def _google(backend: Backend) -> Program | None:
    """Google's compiler, where it is there."""
    from atoll.compiler import program

    found = program.find()
    if found is None and backend == "google":
        raise program.missing()
    return found


def compile_model(
    path: str | Path,
    out_dir: str | Path,
    *,
    backend: Backend = "auto",
    min_runtime: int = NEWEST_RUNTIME,
) -> Compiled:
    """Compiles one model as it is; see `compile_models`.

    Args:
        path: A full-integer TFLite model.
        out_dir: Where the compiled file and its log go.
        backend: "sim", "google", or "auto" for Google's where there is one.
        min_runtime: The oldest runtime version that must run the model, 10 to 14.

    Returns:
        What was made.

    Raises:
        AtollError: As `compile_models` does.
    """
    request = Request(backend=backend, min_runtime=min_runtime)
    return compile_models([Path(path)], Path(out_dir), request)[0]
