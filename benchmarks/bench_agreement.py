"""Atoll against Google's compiler, on every published pair: where each operator runs, and memory.

Writes results/agreement.csv, from which the page on agreement is made. There is no time in it, so
every machine writes the same.
"""

import csv
import sys
from collections import Counter
from pathlib import Path

import facts

from atoll.edgetpu.memory import plan_memory
from atoll.edgetpu.package import packages
from atoll.edgetpu.partition import partition
from atoll.edgetpu.simfile import EDGETPU_OP
from atoll.tflite.graph import Subgraph
from atoll.tflite.reader import read_model

_USUAL_RUNTIME = 12
# What is known of pairs that differ.
_CAUSES = {
    "split_concat": "its SPLIT undoes the CONCATENATION before it: Google's compiler drops both",
}
RESULT = facts.RESULTS / "agreement.csv"


def pairs(shared: Path) -> list[tuple[Path, Path]]:
    """(source, what Google's compiler made of it) of every pair in a folder of models."""
    found = []
    for source in sorted((shared / "models").glob("*/*.tflite")):
        compiled = source.with_name(f"{source.stem}_edgetpu.tflite")
        if compiled.is_file():
            found.append((source, compiled))
    return found


def compare(source: Path, compiled: Path) -> dict[str, str | int]:
    """One row: what Google's compiler made of a model, and what Atoll says of it."""
    graph, theirs = read_model(source).main, read_model(compiled)
    parts = packages(theirs, compiled)
    cached = sum(part.cached_bytes for part in parts)
    streamed = sum(part.streamed_bytes for part in parts)
    verdicts = partition(graph, multiple_subgraphs=len(parts) > 1)
    # Runtime 12 is what most were compiled for, whatever the file then needed.
    runtime = max((part.min_runtime_version for part in parts), default=_USUAL_RUNTIME)
    memory = plan_memory(graph, verdicts, min_runtime=max(runtime, _USUAL_RUNTIME))
    same = (cached, streamed) == (memory.cached_bytes, memory.offchip_bytes)
    cpu_theirs = _names(theirs.main)
    cpu_ours = Counter(v.type for v in verdicts if v.target == "cpu")
    return {
        "set": source.parent.name,
        "model": source.stem,
        "operators": len(graph.operators),
        "tpu_google": len(graph.operators) - cpu_theirs.total(),
        "tpu_atoll": len(graph.operators) - cpu_ours.total(),
        "only_google_on_cpu": _counted(cpu_theirs - cpu_ours),
        "only_atoll_on_cpu": _counted(cpu_ours - cpu_theirs),
        "parameter_bytes_google": cached + streamed,
        "parameter_bytes_atoll": memory.parameter_bytes,
        "cached_google": cached,
        "cached_atoll": memory.cached_bytes,
        "streamed_google": streamed,
        "streamed_atoll": memory.offchip_bytes,
        "cause": "" if same else _CAUSES.get(source.stem, "unknown"),
    }


def rows(shared: Path) -> list[dict[str, str | int]]:
    """The rows of all pairs in a folder of models."""
    return [compare(*pair) for pair in pairs(shared)]


def _names(graph: Subgraph) -> Counter[str]:
    names = (op.custom_name or op.type for op in graph.operators)
    return Counter(name for name in names if name != EDGETPU_OP)


def _counted(names: Counter[str]) -> str:
    return "; ".join(f"{name} {count}" for name, count in sorted(names.items()))


def main() -> None:
    found = rows(facts.SHARED)
    if not found:
        sys.exit(f"no pairs of models in {facts.SHARED}")
    with RESULT.open("w", newline="") as file:
        writer = csv.DictWriter(file, [*found[0]], lineterminator="\n")
        writer.writeheader()
        writer.writerows(found)
    for row in found:
        print(", ".join(f"{key} {value}" for key, value in row.items() if value != ""))
    print(f"written to {RESULT}")


if __name__ == "__main__":
    main()
