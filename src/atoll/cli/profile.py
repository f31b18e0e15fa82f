"""`atoll profile`: where the time of a call would go."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from atoll.cli.console import short_name
from atoll.cli.limits import check_limits
from atoll.cli.names import Clock, LinkName
from atoll.cli.options import AsJson, FailOn, MultipleSubgraphs, OldestRuntime, Page
from atoll.errors import UsageError

if TYPE_CHECKING:
    from atoll.compiler.profiling import Profile


def profile(
    model: Annotated[
        Path, typer.Argument(metavar="X.tflite", show_default=False,
                             help="A model that is not compiled.")
    ],
    link: Annotated[LinkName, typer.Option(help="How the chip is connected.")] = LinkName.USB3,
    clock: Annotated[Clock, typer.Option(help="The chip's clock.")] = Clock.MAX,
    top: Annotated[
        int, typer.Option(metavar="N", help="How many operators to show, the slowest first; 0 for "
                          "all, in order.")
    ] = 15,
    min_runtime_version: OldestRuntime = 14,
    enable_multiple_subgraphs: MultipleSubgraphs = False,
    html: Page = None,
    fail_on: FailOn = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Predict the time of a call, operator by operator: what bounds each, and the memory.

    All times are predictions for the Edge TPU; nothing is run.
    """
    from atoll.cli.console import print_json
    from atoll.compiler.profiling import profile_model
    from atoll.compiler.summary import profile_document

    if top < 0:
        raise UsageError("--top", "it must be 0 or more", received=top, fix="Choose 0 for all")
    found = profile_model(
        model,
        link=link.value,
        clock=clock.value,
        min_runtime=min_runtime_version,
        multiple_subgraphs=enable_multiple_subgraphs,
    )
    if html is not None:
        from atoll.compiler.advice import weigh
        from atoll.report.model_page import write_model_page

        blockers = weigh(found.analysis, link=link.value)
        write_model_page(model.name, found.analysis, blockers, html, link=link.value)
    if as_json:
        print_json(profile_document(found))
    else:
        _print(found, top)
    analysis = found.analysis
    check_limits(fail_on or (), [(model, analysis.ops_cpu, analysis.memory.offchip_bytes)])


def _print(found: Profile, top: int) -> None:
    from atoll.cli.console import print_table
    from atoll.compiler.text import format_size
    from atoll.edgetpu.latency.predict import SPENDING

    latency, memory = found.latency, found.analysis.memory
    typer.echo(
        f"{found.path.name}: {latency.ms:.2f} ms a call over {latency.link} at the "
        f"{latency.clock} clock ({latency.low_ms:.2f} to {latency.high_ms:.2f}): predicted, not "
        "measured.\n"
    )
    spent = [(SPENDING[kind], ms) for kind, ms in latency.breakdown.items() if ms > 0]
    print_table(
        ("what", "ms", "share"),
        [(words, f"{ms:.3f}", _share(ms, latency.ms)) for words, ms in spent],
        words={0},
    )
    typer.echo()
    print_table(("#", "operator", "runs on", "ms", "share", "bound by", "MACs", "cycles", "name"),
                _rows(found, top), words={1, 2, 5, 8})  # fmt: skip
    shown = min(top or len(latency.ops), len(latency.ops))
    if shown < len(latency.ops):
        typer.echo(f"... and {len(latency.ops) - shown} more: --top 0 shows all, in order.")
    cached, streamed = format_size(memory.cached_bytes), format_size(memory.offchip_bytes)
    where = f"{cached} cached on the chip and {streamed} sent again at every call"
    typer.echo(
        f"\nParameters: {format_size(memory.parameter_bytes)}, "
        f"{where if memory.offchip_bytes else 'all cached on the chip'}; "
        f"{format_size(memory.onchip_remaining_bytes)} of the cache are left."
    )
    if memory.offchip_bytes:
        typer.echo(
            f"If all fitted the cache: {latency.cached_ms:.2f} ms, "
            f"{latency.ms - latency.cached_ms:.2f} ms less."
        )
    typer.echo(
        f"Activations take {format_size(memory.narrow_bytes_per_tile)} of a tile at most "
        "(predicted)."
    )


def _rows(found: Profile, top: int) -> list[tuple[str, ...]]:
    verdicts = {verdict.index: verdict for verdict in found.analysis.verdicts}
    ops = list(found.latency.ops)
    if top:
        ops = sorted(ops, key=lambda op: -op.ms)[:top]
    return [
        (
            str(op.index),
            verdicts[op.index].type,
            verdicts[op.index].target.upper(),
            f"{op.ms:.3f}",
            _share(op.ms, found.latency.ms),
            op.bound_by,
            f"{op.macs:,}",
            f"{op.cycles:,}",
            short_name(verdicts[op.index].name),
        )
        for op in ops
    ]


def _share(ms: float, total: float) -> str:
    return f"{ms / total:.0%}" if total > 0 else "0%"
