"""`atoll legalize`: change a model so that more of it maps."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from atoll.cli.console import short_name, wrapped

if TYPE_CHECKING:
    from atoll.edgetpu.verdict import Verdict
    from atoll.legalize.compare import Comparison
    from atoll.legalize.engine import Applied, Refused
    from atoll.legalize.job import Legalized

_MOST_NAMES = 3


class FaceName(StrEnum):
    """The type of an input or output."""

    FLOAT32 = "float32"
    INT8 = "int8"
    UINT8 = "uint8"


def legalize(
    model: Annotated[
        Path, typer.Argument(metavar="X.tflite", show_default=False, help="A full-integer model.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="Y.tflite", show_default=False,
                           help="Where the new model goes.")
    ],
    input_type: Annotated[
        FaceName | None, typer.Option(show_default="as it is", help="What the model shall take.")
    ] = None,
    output_type: Annotated[
        FaceName | None, typer.Option(show_default="as it is", help="What the model shall give.")
    ] = None,
    min_runtime_version: Annotated[
        int, typer.Option("--min_runtime_version", "-m", metavar="N",
                          help="The oldest runtime that must run it, 10 to 14.")
    ] = 14,
    samples: Annotated[
        Path | None, typer.Option(metavar="DIR", show_default="random inputs",
                                  help="Photos, or a .npy file of inputs, to compare both on.")
    ] = None,
    skip: Annotated[
        list[str] | None, typer.Option(metavar="NAME", show_default=False,
                                       help="A change that is not to be made; may be repeated.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of all random numbers.")] = 0,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document.")
    ] = False,
) -> None:  # fmt: skip
    """Change a model so that more of it maps to the Edge TPU, and say what moved.

    Each change is run in the interpreter beside what it replaces before it is made; the whole
    model is run before and after.
    """
    from atoll import files
    from atoll.cli.console import print_json
    from atoll.legalize.job import legalize as run
    from atoll.legalize.samples import read_samples
    from atoll.tflite.reader import read_model
    from atoll.tflite.writer import write_model

    before = read_model(model)
    done = run(
        before,
        min_runtime=min_runtime_version,
        input_type=None if input_type is None else input_type.value,
        output_type=None if output_type is None else output_type.value,
        skip=skip or (),
        samples=None if samples is None else read_samples(samples, before, model),
        seed=seed,
    )
    files.write_bytes(output, write_model(done.model))
    if as_json:
        print_json(_document(model, output, done))
    else:
        typer.echo("\n".join(_lines(model, output, done)))


def _lines(source: Path, output: Path, done: Legalized) -> list[str]:
    lines = [f"{source.name}: {_mapped(done.before)}; now {_mapped(done.after)}.", ""]
    by_name: dict[str, list[Applied]] = {}
    for change in done.changes:
        by_name.setdefault(change.name, []).append(change)
    for name, changes in by_name.items():
        lines += _wrapped(f"{name} x{len(changes)}: {changes[0].what}{_error(changes)}", 2)
    if not done.changes:
        lines.append("  Nothing was changed.")
    lines += _refused(done)
    lines += ["", *_left(done.after)]
    if done.comparison is not None:
        lines += _wrapped(_moved(done.comparison), 0)
    return [*lines, f"Written: {output}"]


def _error(changes: list[Applied]) -> str:
    if all(change.exactness == "identical" for change in changes):
        return " (identical)"
    errors = [change.error for change in changes if change.error is not None]
    if not errors:
        return ""
    mean, largest = max(e.mean for e in errors), max(e.max for e in errors)
    return f" (measured: {mean:.2g} steps on average, {largest:g} at most)"


def _refused(done: Legalized) -> list[str]:
    """What would have helped and was not made, unless another change was made in its place."""
    mended = {change.where for change in done.changes}
    by_name: dict[str, list[Refused]] = {}
    for refused in done.refused:
        if refused.where not in mended:
            by_name.setdefault(refused.name, []).append(refused)
    lines = []
    for name, alike in by_name.items():
        lines += _wrapped(
            f"not done: {name} x{len(alike)}: {alike[0].reason} "
            f"At {_names([refused.where for refused in alike])}.",
            2,
        )
    return lines


def _names(names: list[str]) -> str:
    """The first of some tensors' names."""
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(short_name(name) for name in names[:_MOST_NAMES]) + more


def _left(verdicts: list[Verdict]) -> list[str]:
    """What is still on the CPU and why, alike ones together."""
    found: dict[tuple[str, str], list[str]] = {}
    for verdict in verdicts:
        if verdict.target == "cpu":
            found.setdefault((verdict.type, verdict.reason), []).append(verdict.name)
    lines = ["On the CPU:"] if found else ["All operators run on the Edge TPU."]
    for (kind, reason), names in found.items():
        lines += _wrapped(f"{kind} x{len(names)}: {reason} At {_names(names)}.", 2)
    return [*lines, ""]


def _moved(found: Comparison) -> str:
    if found.failure:
        return f"Not compared as a whole: {found.failure}"
    unit = "steps" if found.in_steps else "(real numbers)"
    inputs = f"{found.samples} random inputs" if found.drawn else f"{found.samples} samples"
    if not found.max:
        text = f"Outputs before and after are identical on {inputs}."
    else:
        text = f"Outputs moved by {found.mean:.2g} {unit} on average, {found.max:.3g} at most, on"
        text += f" {inputs}."
    if found.top1 is not None:
        text += f" The first class is the same for {found.top1:.1%}."
    if found.drawn and found.max:
        text += " Random inputs say little of accuracy: give --samples."
    return text


def _mapped(verdicts: list[Verdict]) -> str:
    from atoll.edgetpu.verdict import count_mapped

    return f"{count_mapped(verdicts)} of {len(verdicts)} operators map"


def _wrapped(text: str, indent: int) -> list[str]:
    return wrapped(text, " " * indent, " " * (indent + 2 if indent else 0))


def _document(source: Path, output: Path, done: Legalized) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "input": str(source),
        "output": str(output),
        "before": _counts(done.before),
        "after": _counts(done.after),
        "changes": [asdict(change) for change in done.changes],
        "refused": [asdict(refused) for refused in done.refused],
        "cpu_ops": [
            {"index": v.index, "type": v.type, "name": v.name, "status": v.status,
             "reason": v.reason, "fix": v.fix}
            for v in done.after if v.target == "cpu"
        ],
        "comparison": None if done.comparison is None else asdict(done.comparison),
    }  # fmt: skip


def _counts(verdicts: list[Verdict]) -> dict[str, int]:
    from atoll.edgetpu.verdict import count_mapped

    mapped = count_mapped(verdicts)
    return {
        "ops_total": len(verdicts),
        "ops_tpu": mapped,
        "ops_cpu": len(verdicts) - mapped,
    }
