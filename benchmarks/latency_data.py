"""Published latencies, and what each of these networks asks of the chip, the link and the host."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

from facts import SHARED
from published import NETWORKS, sweeps

from atoll.edgetpu.latency.demand import Demand, demand_of
from atoll.edgetpu.memory import MemoryPlan, plan_memory
from atoll.edgetpu.package import packages
from atoll.edgetpu.package_tables import ExecutableType
from atoll.edgetpu.partition import partition
from atoll.edgetpu.rules import NEWEST_RUNTIME
from atoll.edgetpu.verdict import Verdict
from atoll.tflite.graph import Model, Subgraph
from atoll.tflite.reader import read_model

FACTS = Path(__file__).parent / "facts"

_DENSE_SWEEPS = {f"dense{sweep.layers}": sweep for sweep in sweeps.DENSE_SWEEPS}
_CONVOLUTION_SWEEPS = {"conv2": 2, "conv5": 5}
# A call of less is mostly the host's own time, which differs by more than its size.
_SHORTEST_MS = 1.0
# A shorter program is mostly its frame.
_LEAST_OPERATORS = 20


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


@dataclass(frozen=True)
class Cut:
    """A network as it is cut and laid out: what a prediction is made from."""

    graph: Subgraph
    verdicts: Sequence[Verdict]
    memory: MemoryPlan


def cut(graph: Subgraph, min_runtime: int = NEWEST_RUNTIME) -> Cut:
    """Cuts a graph and lays it out."""
    verdicts = partition(graph, min_runtime=min_runtime)
    return Cut(graph, verdicts, plan_memory(graph, verdicts, min_runtime=min_runtime))


@cache
def network(name: str) -> Cut | None:
    """A network of a row; None for a file that is not at hand."""
    model = _model(name)
    return None if model is None else cut(model.main)


@cache
def demand(name: str) -> Demand | None:
    """What a network of a row asks for; None for a file that is not at hand."""
    found = network(name)
    return None if found is None else _demand(found)


def _demand(found: Cut) -> Demand:
    return demand_of(found.graph, found.verdicts, found.memory)


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


class CompiledFile(NamedTuple):
    """What a file says that Google's compiler made.

    Attributes:
        file: Its name.
        demand: What its source asks for.
        cycles: The compiler's own estimate of its cycles; 0 where it has none.
        program_bytes: The length of its instructions; 0 where that is not to be compared.
    """

    file: str
    demand: Demand
    cycles: int
    program_bytes: int


def compiled_files() -> list[CompiledFile]:
    """Every compiled file at hand whose source is, too, and which says something."""
    files = []
    for path in sorted(SHARED.glob("models/*/*_edgetpu.tflite")):
        source = path.with_name(path.name.removesuffix("_edgetpu.tflite") + ".tflite")
        if not source.exists():
            continue
        asked = _demand(cut(read_model(source).main))
        (package, *others) = packages(read_model(path))
        program = package.executable(ExecutableType.EXECUTION_ONLY)
        if program is None or others:
            continue
        cycles = program.estimated_cycles_64bit
        whole = sum(op.host is None and op.work.todo > 0 for op in asked.ops) >= _LEAST_OPERATORS
        # From runtime 13 on, a softmax over 1,001 classes makes a program 125 KB longer.
        long = "SOFTMAX" in {op.type for op in read_model(source).main.operators} and not cycles
        size = sum(len(chunk.bitstream) for chunk in program.chunks) if whole and not long else 0
        if cycles or size:
            files.append(CompiledFile(f"{path.parent.name}/{path.stem}", asked, cycles, size))
    return files
