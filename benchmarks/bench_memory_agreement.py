"""Compares the memory plan with what Google's compiler did: its files, its logs, two sweeps.

Usage: python benchmarks/bench_memory_agreement.py
"""

import csv
import math
import re
from collections.abc import Iterator

import facts
import logged
from published import sweeps

from atoll.edgetpu.memory import MemoryPlan, plan_memory
from atoll.edgetpu.partition import partition
from atoll.edgetpu.rules import NEWEST_RUNTIME
from atoll.tflite.graph import Model
from atoll.tflite.reader import read_model

_UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "KB": 1000, "MB": 10**6}
# Dense layers before the last of ten. The on-chip bytes of the second sweep are those of five,
# though the MACs in its files are those of six.
_DENSE_LAYERS = {"L4-I64.csv": (4, 64), "L5.csv": (5, 48 * 48 * 3)}


def plan(model: Model, cache_bytes: int | None = None) -> MemoryPlan:
    """The plan of a whole model."""
    verdicts = partition(model.main, min_runtime=NEWEST_RUNTIME)
    return plan_memory(model.main, verdicts, min_runtime=NEWEST_RUNTIME, cache_bytes=cache_bytes)


def printed(text: str) -> tuple[float, float]:
    """A size as the compiler prints it: bytes, and half a unit of its last digit."""
    number, digits, unit = re.match(r"(\d+(\.\d+)?)\s*([KM]?i?B)", text).groups()
    step = 10 ** -(len(digits) - 1) if digits else 1
    return float(number) * _UNITS[unit], step * _UNITS[unit] / 2


def row(source: str, name: str, what: str, theirs: float, half: float, ours: int) -> dict:
    """One comparison; exact where ours would be printed like theirs."""
    error = 100 * (ours - theirs) / theirs if theirs else (0.0 if not ours else math.inf)
    return {
        "source": source,
        "model": name,
        "what": what,
        "google_bytes": round(theirs),
        "atoll_bytes": ours,
        "error_percent": round(error, 3),
        "exact": abs(ours - theirs) <= half * 1.001,
    }


def compiled() -> Iterator[dict]:
    """Files that Google compiled, by what they hold."""
    with (facts.SHARED / "facts/google_compiled.csv").open() as file:
        rows = {r["file"].rsplit("/", 1)[-1]: r for r in csv.DictReader(file)}
    for name, facts_of in rows.items():
        path = facts.SHARED / "models/v13" / name.replace("_edgetpu.tflite", ".tflite")
        if not path.exists():
            continue
        ours = plan(read_model(path))
        for what, column, value in (
            ("cached", "PC_param_bytes", ours.cached_bytes),
            ("streamed", "EO_param_bytes", ours.offchip_bytes),
            ("narrow memory", "narrow_bytes_per_tile", ours.narrow_bytes_per_tile),
        ):
            yield row("google_compiled", path.stem, what, float(facts_of[column]), 0.0, value)


def logs() -> Iterator[dict]:
    """Logs of models that can be built again."""
    with (facts.SHARED / "facts/compiler_logs.csv").open() as file:
        rows = list(csv.DictReader(file))
    for begin, build in logged.logged().items():
        told = next(r for r in rows if r["model"].startswith(begin))
        model = build()
        left = told["onchip_remaining_or_available"]
        used, remaining = printed(told["onchip_used"]), printed(left)
        # Until 2.0 the compiler printed all there is, later what is left.
        there = remaining[0] if "available" in left else used[0] + remaining[0]
        name = f"{begin} ({told['compiler']})"
        free, given = plan(model), plan(model, cache_bytes=round(there))
        for what, ours in (("", free), (", given its capacity", given)):
            yield row("compiler_logs", name, f"used{what}", *used, ours.onchip_memory_bytes)
            off = printed(told["offchip"])
            yield row("compiler_logs", name, f"off-chip{what}", *off, ours.offchip_bytes)
        capacity = free.onchip_memory_bytes + free.onchip_remaining_bytes
        yield row("compiler_logs", name, "capacity", there, used[1] + remaining[1], capacity)


def swept() -> Iterator[dict]:
    """The two sweeps, one of convolutions and one of dense layers."""
    with (facts.SHARED / "facts/measured_conv5_64x64.csv").open() as file:
        for told in csv.DictReader(file):
            filters = int(told["filters"])
            yield from _swept("conv5", filters, told, sweeps.conv5(filters))
    with (facts.SHARED / "facts/measured_fc.csv").open() as file:
        for told in csv.DictReader(file):
            neurons = int(told["neurons"])
            layers, inputs = next(v for k, v in _DENSE_LAYERS.items() if told["source"].endswith(k))
            model = logged.dense_sweep(neurons, layers, inputs)
            yield from _swept(f"dense of {inputs}", neurons, told, model)


def _swept(sweep: str, size: int, told: dict, model: Model) -> Iterator[dict]:
    ours = plan(model)
    for what, value in (("onchip", ours.onchip_memory_bytes), ("offchip", ours.offchip_bytes)):
        theirs = printed(told[f"{what}_MiB"] + "MiB")
        yield row(sweep, str(size), what, *theirs, value)


def main() -> None:
    """Writes the comparison, and prints what of it agrees."""
    rows = [*compiled(), *logs(), *swept()]
    facts.write("memory_agreement", rows)
    groups = {(r["source"], r["what"]) for r in rows}
    for source, what in sorted(groups):
        errors = [r for r in rows if (r["source"], r["what"]) == (source, what)]
        exact = sum(r["exact"] for r in errors)
        near = sum(abs(r["error_percent"]) <= 1 for r in errors)
        print(f"{source}, {what}: {exact} exact, {near} within 1 % of {len(errors)}")


if __name__ == "__main__":
    main()
