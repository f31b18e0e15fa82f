"""Published latencies, and what each of these networks asks of the chip, the link and the host."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from facts import SHARED
from published import NETWORKS, sweeps

from atoll.edgetpu.latency.demand import Demand, demand_of
from atoll.edgetpu.memory import plan_memory
from atoll.edgetpu.partition import partition
from atoll.edgetpu.rules import NEWEST_RUNTIME
from atoll.tflite.graph import Model, Subgraph
from atoll.tflite.reader import read_model

FACTS = Path(__file__).parent / "facts"

_DENSE_SWEEPS = {f"dense{sweep.layers}": sweep for sweep in sweeps.DENSE_SWEEPS}
_CONVOLUTION_SWEEPS = {"conv2": 2, "conv5": 5}
# A call of less is mostly the host's own time, which differs by more than its size.
_SHORTEST_MS = 0.3


@dataclass(frozen=True)
class Row:
    """One published latency.

    Attributes:
        network: Its name in `published`, in a sweep (conv5/432), or a file's.
        link: How the chip was connected.
        host: "desktop" or "arm".
        clock: The chip's clock.
        ms: Milliseconds a call.
        role: "fit"; "held out"; "CPU tail" where the host works too; "unexplained".
        source: Where it is published.
        note: What else must be known.
    """

    network: str
    link: str
    host: str
    clock: str
    ms: float
    role: str
    source: str
    note: str = ""


def published_rows() -> list[Row]:
    """Every row of facts/published_latency.csv."""
    with (FACTS / "published_latency.csv").open(newline="") as file:
        return [Row(**(row | {"ms": float(row["ms"])})) for row in csv.DictReader(file)]


def sweep_rows() -> list[Row]:
    """Every row of facts/sweep_latency.csv that is long enough: an M.2 card in a PC."""
    with (FACTS / "sweep_latency.csv").open(newline="") as file:
        return [
            Row(f"{row['sweep']}/{row['size']}", "pcie", "desktop", "max", ms, "fit", row["source"])
            for row in csv.DictReader(file)
            if (ms := float(row["ms"])) >= _SHORTEST_MS
        ]


@cache
def demand(network: str) -> Demand | None:
    """What a network asks for; None for a file that is not at hand."""
    model = _model(network)
    if model is None:
        return None
    return graph_demand(model.main)


def graph_demand(graph: Subgraph, min_runtime: int = NEWEST_RUNTIME) -> Demand:
    """What a graph asks for."""
    verdicts = partition(graph, min_runtime=min_runtime)
    return demand_of(graph, verdicts, plan_memory(graph, verdicts, min_runtime=min_runtime))


def _model(network: str) -> Model | None:
    if network in NETWORKS:
        return NETWORKS[network].build()
    sweep, _, size = network.partition("/")
    if sweep in _DENSE_SWEEPS:
        form = _DENSE_SWEEPS[sweep]
        return sweeps.dense(int(size), form.layers, form.inputs)
    if sweep in _CONVOLUTION_SWEEPS:
        return sweeps.conv5(int(size), _CONVOLUTION_SWEEPS[sweep])
    return next((read_model(path) for path in _files(network)), None)


def _files(network: str) -> Iterator[Path]:
    return (path for path in sorted(SHARED.glob(f"models/*/{network}.tflite")))
