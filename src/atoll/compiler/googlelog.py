"""What Google's compiler prints: numbers, and why it failed."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from atoll.compiler.oplog import OperatorCount, parse_table
from atoll.edgetpu.rules import QUANTIZE

if TYPE_CHECKING:
    from collections.abc import Sequence

_UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_SIZE = re.compile(r"^([0-9.]+)\s*([KMG]iB|B)$")
_NUMBER = re.compile(r"\d+")
_VERSION = re.compile(r"^Edge TPU Compiler version (\S+)", re.MULTILINE)
_COMPILE_MS = re.compile(r"^Models? compiled successfully in (\d+) ms", re.MULTILINE)
_INPUT = re.compile(r"^(?=Input model: )", re.MULTILINE)

_NAMES = {"Input model": "input", "Output model": "output"}
_SIZES = {
    "Input size": "input_bytes",
    "Output size": "output_bytes",
    "On-chip memory used for caching model parameters": "onchip_memory_bytes",
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
class Report:
    """What it said of one model.

    Attributes:
        input: The model, as it names it.
        output: The compiled file, as it names it.
        version: Its version; empty where it did not say.
        compile_ms: Milliseconds, by its own clock.
        input_bytes: Size of the model.
        output_bytes: Size of the compiled file.
        onchip_memory_bytes: On-chip memory that holds parameters.
        onchip_remaining_bytes: On-chip memory that is left for more.
        offchip_bytes: Parameters that are sent again at every inference.
        subgraphs: Mapped parts.
        ops_total: Operators in all.
        ops_tpu: Operators that it mapped.
        ops_cpu: Operators that it left on the CPU.
        operations: Its table of operators.
    """

    input: str = ""
    output: str = ""
    version: str = ""
    compile_ms: int = 0
    input_bytes: int = 0
    output_bytes: int = 0
    onchip_memory_bytes: int = 0
    onchip_remaining_bytes: int = 0
    offchip_bytes: int = 0
    subgraphs: int = 0
    ops_total: int = 0
    ops_tpu: int = 0
    ops_cpu: int = 0
    operations: list[OperatorCount] = field(default_factory=list)


def parse_reports(text: str) -> list[Report]:
    """Reads what it printed: one report a compiled file.

    Args:
        text: All that it printed.

    Returns:
        The numbers in it; 0 for what it did not say.
    """
    version, milliseconds = _VERSION.search(text), _COMPILE_MS.search(text)
    reports = []
    head, *blocks = _INPUT.split(text)
    for block in blocks:
        values: dict[str, Any] = {}
        for line in block.splitlines():
            key, _, value = line.partition(": ")
            if key in _NAMES:
                values[_NAMES[key]] = value.strip()
            elif key in _SIZES:
                values[_SIZES[key]] = parse_size(value)
            elif key in _COUNTS and (number := _NUMBER.match(value)):
                values[_COUNTS[key]] = int(number[0])
        if "ops_tpu" not in values and "ops_total" in values:
            # It says nothing of the two where all of them are mapped.
            values |= {"ops_tpu": values["ops_total"], "ops_cpu": 0}
        # The time of a segment stands before its block, behind that of the segment before.
        milliseconds = _COMPILE_MS.search(head) or milliseconds
        head = block
        reports.append(
            Report(
                version=version[1] if version else "",
                compile_ms=int(milliseconds[1]) if milliseconds else 0,
                operations=parse_table(block),
                **values,
            )
        )
    return reports


def parse_size(text: str) -> int:
    """Bytes from a size such as `4.21MiB`, rounded; 0 for what is none."""
    match = _SIZE.match(text.strip())
    return round(float(match[1]) * _UNITS[match[2]]) if match else 0


@dataclass(frozen=True)
class Failure:
    """A way in which it fails.

    Attributes:
        words: What it prints.
        fix: What is known to help. It gives no reason itself.
        again: Whether the same file may compile when it is tried again.
        operator: Whether leaving operators out may help.
    """

    words: str
    fix: str
    again: bool = False
    operator: bool = True


TIMED_OUT = Failure("timed out", "Allow it more time with --timeout_sec", operator=False)
UNKNOWN_FAILURE = Failure("", "Run atoll check on the model", again=True)

# In order: the first whose words are found counts. Sources: google-coral/edgetpu issues 60, 72,
# 173 and 211 (the same file fails and then compiles), 557 and 671 (large activations), 669
# (segmentation fault), 778 (internal error), 829 (dynamic sizes).
FAILURES = (
    Failure(
        "Compilation failed due to large activation tensors in model",
        "Use a smaller input or fewer channels in the first layers, or try --search_delegate",
    ),
    Failure(
        "Didn't find op for builtin opcode",
        "Bring the versions of its operators down first: --legalize",
        operator=False,
    ),
    Failure(
        "unresolved custom op",
        "Leave the custom operator out of the model, or put it behind the compiled part",
        operator=False,
    ),
    Failure("dynamic-sized tensors", "Fix the sizes of its tensors: --legalize", operator=False),
    Failure(
        "Model failed in Tflite interpreter",
        "Convert the model with an older TensorFlow, or try --legalize",
        operator=False,
    ),
    Failure(
        "Model not quantized",
        QUANTIZE,
        operator=False,
    ),
    Failure(
        "Internal compiler error",
        "Try --search_delegate, which leaves the last operators out",
        again=True,
    ),
    Failure(
        "Compilation failed: Internal error",
        "Try --search_delegate, which leaves the last operators out",
        again=True,
    ),
    Failure(
        "Segmentation fault",
        "Try --search_delegate, which leaves the last operators out",
        again=True,
    ),
    TIMED_OUT,
)


def why_failed(text: str, status: int) -> tuple[Failure, str]:
    """Which failure it was, and its own words for it.

    Args:
        text: All that it printed.
        status: Its exit status; negative for a signal.

    Returns:
        The row of `FAILURES`, `UNKNOWN_FAILURE` where none fits; and the line that says it.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for failure in FAILURES:
        for line in lines:
            if failure.words in line:
                return failure, line.rstrip(".! ")
    if status == 0:
        return UNKNOWN_FAILURE, "it wrote no compiled file"
    if status < 0:
        return UNKNOWN_FAILURE, f"it was ended by signal {-status}"
    return UNKNOWN_FAILURE, _last_word(lines) or f"exit status {status}"


def _last_word(lines: Sequence[str]) -> str:
    """The last line that says more than that it failed."""
    empty = ("Compilation failed!", "Compilation child process completed within timeout period.")
    said = [line for line in lines if line not in empty]
    return said[-1].rstrip(".! ") if said else ""
