"""Predicted against published latencies: a table, a plot, and what is left where a row is left out.

Usage: python benchmarks/bench_latency.py

Writes results/latency.csv, results/latency_cycles.csv and docs/images/latency.svg. The figures do
not depend on the machine. Rows of files and Google's cycles need the reference material beside the
checkout; its absence leaves those rows out.
"""

import csv
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

import fit_latency
import numpy as np
from facts import RESULTS
from latency_data import Row, compiled_files, demand, network, published_rows, sweep_rows
from latency_fit import NAMES, Times, cycles, group, leave_one_out

from atoll.edgetpu.latency.constants import CONSTANTS
from atoll.edgetpu.latency.predict import predict

PLOT = Path(__file__).parents[1] / "docs" / "images" / "latency.svg"

# A mark of the plot for every role, in the order of the legend.
_MARKS = {
    "fit": ("o", "#1a73e8"),
    "held out": ("s", "#188038"),
    "CPU tail": ("^", "#e37400"),
    "CPU tail, held out": ("v", "#b06000"),
    "unexplained": ("x", "#9aa0a6"),
}
_LIMITS = (0.5, 2000.0)


def compared() -> list[dict]:
    """A line a row: published, predicted, the range, and predicted without its network."""
    rows = [row for row in (*published_rows(), *sweep_rows()) if demand(row.network) is not None]
    without = leave_one_out(fit_latency.problem())
    return [line(row, without) for row in rows]


def line(row: Row, without: Mapping[str, np.ndarray]) -> dict:
    """One row compared."""
    found = network(row.network)
    assert found is not None
    made = predict(found.graph, found.verdicts, found.memory, link=row.link, clock=row.clock)
    other = without.get(group(row))
    left_out = float(Times([row])(other)[0]) if other is not None else made.ms
    return {
        "network": row.network,
        "link": row.link,
        "clock": row.clock,
        "role": row.role,
        "published_ms": row.ms,
        "predicted_ms": round(made.ms, 3),
        "error_percent": round(100 * (made.ms / row.ms - 1), 1),
        "low_ms": round(made.low_ms, 3),
        "high_ms": round(made.high_ms, 3),
        "without_it_ms": round(left_out, 3),
        "without_it_percent": round(100 * (left_out / row.ms - 1), 1),
        "source": row.source,
        "note": row.note,
    }


def estimated() -> list[dict]:
    """A line a compiled file: Google's estimate of its cycles and the model's."""
    constants = np.array([CONSTANTS[name].value for name in NAMES])
    return [
        {
            "file": each.file,
            "google_cycles": each.cycles,
            "predicted_cycles": round(mine := cycles(each.demand, constants)),
            "error_percent": round(100 * (mine / each.cycles - 1), 1),
        }
        for each in compiled_files()
        if each.cycles
    ]


def plot(lines: Sequence[dict], path: Path) -> None:
    """Draws predicted against published times, with the ranges."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams |= {"svg.hashsalt": "latency", "svg.fonttype": "none", "font.size": 9}
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6.4, 6.0))
    axes.plot(_LIMITS, _LIMITS, color="#5f6368", linewidth=1)
    for factor in (1 / 1.3, 1.3):
        axes.plot(_LIMITS, [factor * x for x in _LIMITS], color="#dadce0", linewidth=1)
    groups = {role: [x for x in lines if x["role"] == role] for role in _MARKS}
    for role, (mark, color) in _MARKS.items():
        published = [x for x in groups[role] if "/" not in x["network"]]
        axes.errorbar(
            [x["published_ms"] for x in published],
            [x["predicted_ms"] for x in published],
            yerr=[
                [x["predicted_ms"] - x["low_ms"] for x in published],
                [x["high_ms"] - x["predicted_ms"] for x in published],
            ],
            fmt=mark,
            color=color,
            markersize=4,
            linewidth=0.6,
            label=role,
        )
    swept = [x for x in lines if "/" in x["network"]]
    axes.plot(
        [x["published_ms"] for x in swept],
        [x["predicted_ms"] for x in swept],
        ".",
        color="#8ab4f8",
        markersize=3,
        label="sweeps (fit)",
    )
    axes.set(xscale="log", yscale="log", xlim=_LIMITS, ylim=_LIMITS, aspect="equal")
    axes.set(xlabel="published, ms", ylabel="predicted, ms")
    axes.legend(loc="upper left", frameon=False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None, "Creator": None})


def _write(name: str, lines: Sequence[dict]) -> None:
    with (RESULTS / name).open("w", newline="") as file:
        writer = csv.DictWriter(file, [*lines[0]], lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)


def _said(lines: Sequence[dict]) -> str:
    errors = [abs(x["error_percent"]) for x in lines]
    without = [abs(x["without_it_percent"]) for x in lines]
    inside = sum(x["low_ms"] <= x["published_ms"] <= x["high_ms"] for x in lines)
    return (
        f"{len(lines)} rows, error median {statistics.median(errors):.1f} %, most "
        f"{max(errors):.1f} %; left out {statistics.median(without):.1f} %, most "
        f"{max(without):.1f} %; {inside} within their range"
    )


def main() -> None:
    lines = compared()
    _write("latency.csv", lines)
    plot(lines, PLOT)
    for role in _MARKS:
        print(
            f"{role}: {_said([x for x in lines if x['role'] == role and '/' not in x['network']])}"
        )
    for sweep in ("conv2", "conv5", "dense4", "dense5"):
        print(f"{sweep}: {_said([x for x in lines if x['network'].startswith(sweep + '/')])}")
    files = estimated()
    if files:
        _write("latency_cycles.csv", files)
        errors = [abs(x["error_percent"]) for x in files]
        print(f"cycles of {len(files)} files: most {max(errors):.1f} % off")


if __name__ == "__main__":
    main()
