"""`atoll check`: will it map, and what to change: the truth before the hardware is bought."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from atoll.cli.console import short_name, wrapped
from atoll.cli.limits import check_limits
from atoll.cli.names import Clock, LinkName
from atoll.cli.options import AsJson, FailOn, MultipleSubgraphs, OldestRuntime, Page

if TYPE_CHECKING:
    from atoll.compiler.advice import Blocker, Checkup
    from atoll.edgetpu.analysis import Analysis
    from atoll.edgetpu.latency.predict import Latency
    from atoll.edgetpu.memory import MemoryPlan

_MOST_NAMES = 3
_MOST_BLOCKERS = 8
# Less is printed as nothing.
_LITTLE_MS = 0.005


def check(
    model: Annotated[
        Path, typer.Argument(metavar="X.tflite", show_default=False,
                             help="A model, in 8 bits or in float.")
    ],
    link: Annotated[
        LinkName, typer.Option(help="How the chip is connected, for what each fix gains.")
    ] = LinkName.USB3,
    clock: Annotated[Clock, typer.Option(help="The chip's clock.")] = Clock.MAX,
    min_runtime_version: OldestRuntime = 14,
    enable_multiple_subgraphs: MultipleSubgraphs = False,
    html: Page = None,
    fail_on: FailOn = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Tell whether a model maps to the Edge TPU, how fast it would be, why not, what to change.

    Nothing is written and no chip is needed. What stands in the way is listed with what mending it
    would gain, the largest first.
    """
    from atoll.cli.console import print_json
    from atoll.compiler.advice import check_model
    from atoll.compiler.summary import check_document

    checkup = check_model(
        model,
        min_runtime=min_runtime_version,
        multiple_subgraphs=enable_multiple_subgraphs,
        link=link.value,
        clock=clock.value,
    )
    if html is not None:
        from atoll.report.model_page import write_model_page

        write_model_page(model.name, checkup.analysis, checkup.blockers, html, link=link.value)
    if as_json:
        print_json(check_document(checkup))
    else:
        typer.echo("\n".join(_lines(checkup)))
    analysis = checkup.analysis
    check_limits(fail_on or (), [(model, analysis.ops_cpu, analysis.memory.offchip_bytes)])


def _lines(checkup: Checkup) -> list[str]:
    lines = [f"{checkup.path.name}: {_verdict(checkup)}", ""]
    lines += _outlook(checkup.analysis, checkup.link)
    for caveat in checkup.caveats:
        lines += ["", *wrapped(caveat)]
    if checkup.quantized is not None:
        lines += ["", f"In 8 bits, {_mapped(checkup.quantized)}:"]
        lines += _outlook(checkup.quantized, checkup.link)
    if checkup.blockers:
        lines += ["", "What stands in the way, what gains most first (predicted):"]
        for number, blocker in enumerate(checkup.blockers[:_MOST_BLOCKERS], 1):
            lines += ["", *_blocker(number, blocker, checkup)]
    if rest := checkup.blockers[_MOST_BLOCKERS:]:
        names = ", ".join(f"{blocker.type} x{len(blocker.ops)}" for blocker in rest)
        text = f"And, gaining less: {names}. --json tells all of them."
        lines += ["", *wrapped(text)]
    if checkup.waiting:
        lines += ["", f"{checkup.waiting} more could run on the chip, and only wait for those."]
    if checkup.unblocked_ms is not None:
        lines += ["", f"If all of it mapped: {checkup.unblocked_ms:.2f} ms a call (predicted)."]
    if checkup.legalized is not None:
        ms = checkup.legalized.latency[checkup.link].ms
        after = "Then, after" if checkup.quantized else "After"
        lines += wrapped(
            f"{after} atoll legalize: {_mapped(checkup.legalized)}, {ms:.2f} ms a call (predicted; "
            "each change is checked when it is made)."
        )
    return lines


def _verdict(checkup: Checkup) -> str:
    total, on_cpu = checkup.analysis.ops_total, checkup.analysis.ops_cpu
    if not total:
        return "it has no operators."
    if not on_cpu:
        all_of_it = "its operator runs" if total == 1 else f"all {total} operators run"
        return f"maps fully: {all_of_it} on the Edge TPU."
    if on_cpu == total:
        what = "it computes in float. Quantise it first" if checkup.quantized else "see below"
        return f"nothing maps, so all of it runs on the CPU: {what}."
    return f"{_mapped(checkup.analysis)}, {on_cpu} {'stays' if on_cpu == 1 else 'stay'} on the CPU."


def _mapped(analysis: Analysis) -> str:
    return f"{analysis.ops_tpu} of {analysis.ops_total} operators map"


def _outlook(analysis: Analysis, chosen: str) -> list[str]:
    """Time and memory, a line each."""
    clock = analysis.latency[chosen].clock
    lines = [f"Predicted time of a call, not measured, at the {clock} clock:"]
    for link in (chosen, *(name for name in analysis.latency if name != chosen)):
        latency = analysis.latency[link]
        between = f"({latency.low_ms:.2f} to {latency.high_ms:.2f})"
        lines.append(f"  {link:<5} {latency.ms:8.2f} ms  {between}")
    return [*lines, _memory(analysis.memory, analysis.latency[chosen])]


def _memory(memory: MemoryPlan, latency: Latency) -> str:
    from atoll.compiler.text import format_size

    if not memory.parameter_bytes:
        return "Parameters on the chip: none."
    left = format_size(memory.onchip_remaining_bytes)
    text = f"Parameters: {format_size(memory.parameter_bytes)}, "
    if not memory.offchip_bytes:
        return f"{text}all cached on the chip, {left} left there."
    text += (
        f"{format_size(memory.cached_bytes)} cached on the chip, "
        f"{format_size(memory.offchip_bytes)} sent again at every call"
    )
    if latency.ms - latency.cached_ms < _LITTLE_MS:
        return f"{text}."
    return f"{text}; if all fitted, {latency.cached_ms:.2f} ms over {latency.link}."


def _blocker(number: int, blocker: Blocker, checkup: Checkup) -> list[str]:
    from atoll.edgetpu.rules import LEGALIZE

    count = f" x{len(blocker.ops)}" if len(blocker.ops) > 1 else ""
    gain = []
    if blocker.gain_ms is not None:
        gain = [_gain(blocker.gain_ms)]
        if blocker.ops_more > 0:
            gain += [f"{blocker.ops_more} more {'maps' if blocker.ops_more == 1 else 'map'}"]
    lines = [f"{number}. {blocker.type}{count}: {', '.join(gain) or 'not weighed'}"]
    fix = blocker.fix or "unknown"
    if blocker.legalize:
        command = f"atoll legalize {shlex.quote(str(checkup.path))} -o Y.tflite"
        fix = fix.replace(LEGALIZE, command)
    rows = {"Google says": blocker.status, "Why": blocker.reason, "Fix": fix}
    if blocker.type != "FLOAT":
        rows["Where"] = _where(blocker, checkup)
    for head, text in rows.items():
        first = f"   {head + ':':<13}"
        lines += wrapped(text, first, " " * len(first))
    return lines


def _gain(ms: float) -> str:
    if abs(ms) < _LITTLE_MS:
        return "gains nothing"
    return f"gains {ms:.2f} ms" if ms > 0 else f"costs {-ms:.2f} ms"


def _where(blocker: Blocker, checkup: Checkup) -> str:
    verdicts = checkup.analysis.verdicts
    names = [f"{index} ({short_name(verdicts[index].name)})" for index in blocker.ops[:_MOST_NAMES]]
    more = len(blocker.ops) - len(names)
    return "operator " + ", ".join(names) + (f" and {more} more" if more else "")
