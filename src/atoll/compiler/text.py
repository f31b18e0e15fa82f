"""What a compile prints and logs, in the words and the order of edgetpu_compiler."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from atoll.compiler.oplog import count_operators, format_table
from atoll.edgetpu.verdict import SECOND_SUBGRAPH
from atoll.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

    from atoll.compiler.request import Request
    from atoll.compiler.result import Compiled
    from atoll.edgetpu.verdict import Verdict

# Reasons that are shown of a model of which nothing maps.
_MOST_REASONS = 5

_UNITS = ("B", "KiB", "MiB", "GiB")
_NOT_ALL = (
    "Model successfully compiled but not all operations are supported by the Edge TPU. A "
    "percentage of the model will instead run on the CPU, which is slower. If possible, consider "
    "updating your model to use only operations supported by the Edge TPU. For details, visit "
    "g.co/coral/model-reqs."
)


def banner(google_version: str = "") -> str:
    """The first line: whose compiler this is."""
    if google_version:
        return f"Edge TPU Compiler version {google_version}"
    return f"Atoll compiler version {__version__}, for the simulator"


def format_size(count: int) -> str:
    """Bytes as edgetpu_compiler prints them: 4.21MiB, 604.50KiB, 0.00B."""
    value, unit = float(count), _UNITS[0]
    for larger in _UNITS[1:]:
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{value:.2f}{unit}"


def report(compiled: Sequence[Compiled], request: Request, *, show_operations: bool) -> str:
    """What edgetpu_compiler would print; behind it what only Atoll tells.

    Args:
        compiled: What was made: several models, or the segments of one.
        request: What was asked.
        show_operations: Whether to show the table of operators.

    Returns:
        The text, the first part in its words and order.
    """
    together = [[one] for one in compiled] if request.segments > 1 else [list(compiled)]
    lines = [banner(compiled[0].compiler_version)]
    for group in together:
        if request.search_delegate:
            lines += [
                f"Searching for valid delegate with step {request.search_step}",
                f"Try to compile segment with {sum(one.ops_total for one in group)} ops",
            ]
        models = "Model" if len(group) == 1 else "Models"
        milliseconds = sum(one.compile_ms for one in group)
        lines += [
            f"Started a compilation timeout timer of {request.timeout_s} seconds.",
            "",
            f"{models} compiled successfully in {milliseconds:.0f} ms.",
        ]
        for one in group:
            lines += ["", *_model(one, show_operations)]
        lines += [
            "Compilation child process completed within timeout period.",
            "Compilation succeeded! ",
        ]
    for one in compiled:
        lines += ["", *_beside(one, request)]
    return "\n".join(lines) + "\n"


def operation_log(input_name: str, output_name: str, verdicts: Sequence[Verdict]) -> str:
    """What the log holds: the table of operators, and why some stay on the CPU.

    Args:
        input_name: The model's name.
        output_name: The compiled file's name.
        verdicts: Where every operator runs.

    Returns:
        The log's text.
    """
    head = f"{banner()}\nInput: {input_name}\nOutput: {output_name}\n\n"
    return head + format_table(count_operators(verdicts)) + _why(verdicts)


def _model(one: Compiled, show_operations: bool) -> list[str]:
    number, count = one.segment
    name = f"{one.input.stem}_segment_{number}_of_{count}.tflite" if count > 1 else one.input
    lines = [
        f"Input model: {name}",
        f"Input size: {format_size(one.input_bytes)}",
        f"Output model: {one.output}",
        f"Output size: {format_size(one.output_bytes)}",
        "On-chip memory used for caching model parameters: " + format_size(one.sizes.onchip_memory),
        "On-chip memory remaining for caching model parameters: "
        + format_size(one.sizes.onchip_remaining),
        "Off-chip memory used for streaming uncached model parameters: "
        + format_size(one.sizes.offchip),
        f"Number of Edge TPU subgraphs: {one.subgraphs}",
        f"Total number of operations: {one.ops_total}",
        f"Operation log: {one.log}",
    ]
    if one.ops_cpu:
        lines += [
            "",
            _NOT_ALL,
            f"Number of operations that will run on Edge TPU: {one.ops_tpu}",
            f"Number of operations that will run on CPU: {one.ops_cpu}",
        ]
    if show_operations:
        return [*lines, "", *format_table(count_operators(one.verdicts)).splitlines()]
    return [*lines, "See the operation log file for individual operation details."]


def _beside(one: Compiled, request: Request) -> list[str]:
    """What Google's compiler does not tell: what was changed, how fast it would be, why not all."""
    lines = [f"{one.output.name}:"]
    if one.changes:
        changes = (f"{change.name} x{change.count}" for change in one.changes)
        lines.append(f"Changed before it was compiled: {', '.join(changes)}. {one.moved}")
    lines += one.notes
    times = (
        f"{latency.ms:.2f} ms over {link} ({latency.low_ms:.2f} to {latency.high_ms:.2f})"
        for link, latency in one.latency.items()
    )
    lines.append(f"Predicted time of a call, not measured: {', '.join(times)}.")
    if not one.ops_tpu:
        lines.append("Nothing of it maps to the Edge TPU: it is written as it is, for the CPU.")
        lines += dict.fromkeys(verdict.reason for verdict in one.verdicts[:_MOST_REASONS])
    if one.ops_cpu:
        # Of the same cut alone does the other command tell the same.
        asked = request.intermediate_tensors or request.search_delegate or one.segment[1] > 1
        check = "" if asked or one.changes else f", or: atoll check {shlex.quote(str(one.input))}"
        lines.append(f"Why not all of it maps, and what to change: {one.log}{check}")
    return lines


def _why(verdicts: Sequence[Verdict]) -> str:
    """Each reason once, with the operators that it holds for."""
    groups: dict[tuple[str, str], list[str]] = {}
    for verdict in verdicts:
        if verdict.target == "cpu" and verdict.status != SECOND_SUBGRAPH and verdict.reason:
            names = groups.setdefault((verdict.reason, verdict.fix), [])
            names.append(f"  {verdict.index}: {verdict.type} {verdict.name}")
    if not groups:
        return ""
    lines = ["", "Why operators stay on the CPU (by Atoll's rules):"]
    for (reason, fix), names in groups.items():
        lines += ["", reason, *([f"Fix: {fix}."] if fix else []), *names]
    return "\n".join(lines) + "\n"
