"""What every benchmark writes beside its figures: when, and on what machine."""

import csv
import datetime
import importlib.metadata
import os
import platform
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
SHARED = Path(os.environ.get("ATOLL_SHARED", Path(__file__).parents[2] / "shared"))


def machine() -> dict[str, str | int]:
    """The facts of this machine that a figure depends on."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            x.split(":", 1)[1].strip() for x in info.read_text().splitlines() if "model name" in x
        ]
        cpu = names[0] if names else cpu
    return {
        "date": datetime.date.today().isoformat(),
        "cpu": cpu,
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "tensorflow": importlib.metadata.version("tensorflow"),
        "ai-edge-litert": importlib.metadata.version("ai-edge-litert"),
    }


def write(name: str, rows: list[dict]) -> None:
    """Writes results/NAME.csv, the machine's facts in every row, and prints it."""
    facts = machine()
    path = RESULTS / f"{name}.csv"
    path.parent.mkdir(exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [*rows[0], *facts], lineterminator="\n")
        writer.writeheader()
        writer.writerows(row | facts for row in rows)
    for row in rows:
        print(", ".join(f"{key} {value}" for key, value in row.items()), flush=True)
    print(f"written to {path}")
