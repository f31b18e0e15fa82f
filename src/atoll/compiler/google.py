"""Google's own compiler, where somebody has it: found, run, and its report read.

It is closed, no longer developed, and runs on x86-64 Debian. Atoll does not ship it.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from atoll import files
from atoll.compiler.oplog import OperatorCount, parse_table
from atoll.errors import CompilerError

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMAND = "edgetpu_compiler"
VARIABLE = "ATOLL_EDGETPU_COMPILER"

# Seconds that it may take to give up by itself, after its own timeout.
_GRACE_S = 30.0

# What it prints when it fails, and what is known to help. It gives no reason itself.
_FAILURES = {
    "Compilation failed due to large activation tensors in model": (
        "Use a smaller input, or fewer channels in the first layers"
    ),
    "Model failed in Tflite interpreter": "Run the model with LiteRT first: atoll benchmark",
    "Didn't find op for builtin opcode": (
        "Convert the model with an older TensorFlow, whose operator versions it knows"
    ),
    "Model not quantized": "Quantise the model to full integers: atoll quantize",
    "dynamic-sized tensors": "Fix the input's shape before converting",
    "Internal compiler error": "Try --search_delegate, which leaves the last operators out",
}

_UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_SIZE = re.compile(r"^([0-9.]+)\s*([KMG]iB|B)$")
_NUMBER = re.compile(r"\d+")
_VERSION = re.compile(r"^Edge TPU Compiler version (\S+)", re.MULTILINE)
_COMPILE_MS = re.compile(r"^Model compiled successfully in (\d+) ms", re.MULTILINE)

_SIZES = {
    "Input size": "input_bytes",
    "Output size": "output_bytes",
    "On-chip memory used for caching model parameters": "onchip_used_bytes",
    "On-chip memory remaining for caching model parameters": "onchip_remaining_bytes",
    "On-chip memory available for caching model parameters": "onchip_remaining_bytes",
    "Off-chip memory used for streaming uncached model parameters": "offchip_bytes",
}
_COUNTS = {
    "Number of Edge TPU subgraphs": "subgraphs",
    "Total number of operations": "ops_total",
    "Number of operations that will run on Edge TPU": "ops_tpu",
    "Number of operations that will run on CPU": "ops_cpu",
}


@dataclass(frozen=True)
class GoogleResult:
    """What Google's compiler made and said.

    Attributes:
        output: The compiled file.
        log: All that it printed.
        version: Its version; empty where it did not say.
        compile_ms: Milliseconds, by its own clock.
        input_bytes: Size of the model.
        output_bytes: Size of the compiled file.
        onchip_used_bytes: On-chip memory that holds parameters.
        onchip_remaining_bytes: On-chip memory that is left for more.
        offchip_bytes: Parameters that are sent again at every inference.
        subgraphs: Mapped parts.
        ops_total: Operators in all.
        ops_tpu: Operators that it mapped.
        ops_cpu: Operators that it left on the CPU.
        operations: Its table of operators.
    """

    output: Path
    log: str
    version: str = ""
    compile_ms: int = 0
    input_bytes: int = 0
    output_bytes: int = 0
    onchip_used_bytes: int = 0
    onchip_remaining_bytes: int = 0
    offchip_bytes: int = 0
    subgraphs: int = 0
    ops_total: int = 0
    ops_tpu: int = 0
    ops_cpu: int = 0
    operations: list[OperatorCount] = field(default_factory=list)


def find() -> Path | None:
    """Google's compiler, where the environment names it or the path has it.

    Raises:
        CompilerError: The environment names a file that is not there.
    """
    named = os.environ.get(VARIABLE)
    if named and shutil.which(named) is None:
        raise CompilerError(
            VARIABLE, "it must name a program", received=named, fix="Correct it, or unset it"
        )
    found = shutil.which(named or COMMAND)
    return Path(found) if found else None


def run(
    compiler: Path,
    model_path: Path,
    out_dir: Path,
    timeout_s: int = 180,
    flags: Sequence[str] = (),
) -> GoogleResult:
    """Compiles one model with Google's compiler.

    Args:
        compiler: The program.
        model_path: A full-integer TFLite model.
        out_dir: Where its files go.
        timeout_s: Seconds that it may take.
        flags: Further flags of its own.

    Returns:
        What it made and said.

    Raises:
        CompilerError: It failed, took too long, or could not be started.
        OutputError: The folder cannot be written to.
    """
    files.make_folder(out_dir)
    command = [str(compiler), "-s", "-o", str(out_dir), "-t", str(timeout_s), *flags]
    status, log = _run([*command, str(model_path)], model_path, timeout_s)
    output = out_dir / f"{model_path.stem}_edgetpu.tflite"
    if status != 0 or not output.is_file():
        raise _failure(model_path, log, status)
    return parse_report(log, output)


def parse_report(text: str, output: Path) -> GoogleResult:
    """Reads what Google's compiler printed about one model.

    Args:
        text: All that it printed.
        output: The compiled file.

    Returns:
        The numbers in it; 0 for what it did not say.
    """
    values: dict[str, int] = {}
    for line in text.splitlines():
        key, _, value = line.partition(": ")
        if key in _SIZES:
            values[_SIZES[key]] = parse_size(value)
        elif key in _COUNTS and (number := _NUMBER.match(value)):
            values[_COUNTS[key]] = int(number[0])
    if "ops_tpu" not in values and "ops_total" in values:
        # It says nothing of the two where all of them are mapped.
        values |= {"ops_tpu": values["ops_total"], "ops_cpu": 0}
    version, milliseconds = _VERSION.search(text), _COMPILE_MS.search(text)
    return GoogleResult(
        output=output,
        log=text,
        version=version[1] if version else "",
        compile_ms=int(milliseconds[1]) if milliseconds else 0,
        operations=parse_table(text),
        **values,
    )


def parse_size(text: str) -> int:
    """Bytes from a size such as `4.21MiB`, rounded; 0 for what is none."""
    match = _SIZE.match(text.strip())
    return round(float(match[1]) * _UNITS[match[2]]) if match else 0


def _run(command: list[str], model_path: Path, timeout_s: int) -> tuple[int, str]:
    """Runs the compiler to its end. Returns its exit status, and all that it printed."""
    try:
        # A group of its own: it works in a child process, which must end with it.
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
    except OSError as error:
        raise CompilerError(
            command[0],
            "Google's compiler cannot be started",
            received=error.strerror or error,
            fix=f"Correct {VARIABLE}, or use the simulator's backend",
        ) from error
    try:
        log, _ = process.communicate(timeout=timeout_s + _GRACE_S)
    except subprocess.TimeoutExpired as error:
        raise CompilerError(
            model_path,
            f"Google's compiler must finish within {timeout_s} s",
            received="no answer",
            fix="Allow it more time with --timeout_sec, or compile with the simulator's backend",
        ) from error
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    return process.returncode, log


def _failure(model_path: Path, log: str, status: int) -> CompilerError:
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    for words, fix in _FAILURES.items():
        for line in lines:
            if words in line:
                return CompilerError(
                    model_path, "Google's compiler failed", received=line.rstrip("."), fix=fix
                )
    return CompilerError(
        model_path,
        "Google's compiler failed and gave no reason that is known",
        received=lines[-1].rstrip(".") if lines else f"exit status {status}",
        fix="Run atoll check on the model",
    )
