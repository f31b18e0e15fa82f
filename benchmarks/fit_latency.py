"""Fits the latency model's constants and prints their table, as atoll/edgetpu/latency has it.

Usage: python benchmarks/fit_latency.py          prints
       python benchmarks/fit_latency.py --write  writes it into constants.py

Rows marked "fit" and "CPU tail" in facts/ take part, those "held out" do not; cycles and programs
come from files that Google's compiler made (the reference material beside the checkout).
"""

import csv
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from latency_data import FACTS, Row, compiled_files, demand, published_rows, sweep_rows
from latency_fit import NAMES, Problem, Times, leave_one_out, values

from atoll.edgetpu.latency import constants

# Where a constant's value comes from: the names of texts in constants.py.
_ESTIMATES, _PROGRAMS, _TIMES, _CPU, _INFERRED = (
    "_ESTIMATES",
    "_PROGRAMS",
    "_TIMES",
    "_CPU",
    "_INFERRED",
)
# What a prediction's range covers of the rows that the model claims to explain.
_COVERED = 0.9
# A host's own work differs from machine to machine; inferred.
_HOST_FACTOR = 2.0


@dataclass(frozen=True)
class Sought:
    """A constant: where the search for it begins, or its value where nothing is sought."""

    start: float
    unit: str
    source: str
    fixed: bool = False


SOUGHT = {
    "cycles.pointwise": Sought(4.0, "cycles a word and block", _ESTIMATES, fixed=True),
    "cycles.kernel": Sought(2.2, "cycles a word and block", _ESTIMATES),
    "cycles.image": Sought(0.8, "cycles a word and block", _ESTIMATES),
    "cycles.window": Sought(1.0, "cycles a tap and block", _ESTIMATES, fixed=True),
    "cycles.word": Sought(2.0, "cycles a word", _ESTIMATES),
    "cycles.dense": Sought(8.0, "cycles a word and 16 blocks", _TIMES),
    "instructions.windowed": Sought(2300.0, "bytes", _PROGRAMS),
    "instructions.shapes": Sought(1700.0, "bytes", _PROGRAMS),
    "instructions.plain": Sought(700.0, "bytes", _PROGRAMS),
    "usb3.call": Sought(0.5, "ms", _TIMES),
    "usb3.send": Sought(2.0, "ms/MB", _TIMES),
    "usb3.output": Sought(5.0, "ms/MB", _TIMES),
    "usb2.call": Sought(2.0, "ms", _TIMES),
    "usb2.send": Sought(27.0, "ms/MB", _TIMES),
    "usb2.output": Sought(100.0, "ms/MB", _TIMES),
    "pcie.call": Sought(0.2, "ms", _TIMES),
    "pcie.send": Sought(2.5, "ms/MB", _TIMES),
    "pcie.output": Sought(5.0, "ms/MB", _TIMES),
    "desktop.element": Sought(4.0, "ns an element", _TIMES),
    "desktop.detection": Sought(10.0, "ns an element", _TIMES),
    "desktop.conversion": Sought(1.0, "ns an element", _INFERRED, fixed=True),
    "desktop.mac": Sought(0.0, "ns", _CPU, fixed=True),
    "arm.element": Sought(20.0, "ns an element", _TIMES),
    "arm.detection": Sought(30.0, "ns an element", _TIMES),
    "arm.conversion": Sought(5.0, "ns an element", _INFERRED, fixed=True),
    "arm.mac": Sought(0.0, "ns", _CPU, fixed=True),
}


def fitted_rows() -> list[Row]:
    """The rows that take part."""
    rows = [row for row in published_rows() if row.role in ("fit", "CPU tail")]
    return [row for row in (*rows, *sweep_rows()) if demand(row.network) is not None]


def explained_rows() -> list[Row]:
    """The rows that the model claims to explain, held out or not: what a range must cover."""
    rows = [row for row in published_rows() if row.role != "unexplained"]
    return [row for row in rows if demand(row.network) is not None]


def problem() -> Problem:
    """What is to be solved."""
    start = {name: sought.start for name, sought in SOUGHT.items()}
    start |= {name: prices[1] for name, prices in _mac_prices().items()}
    fixed = frozenset(name for name, sought in SOUGHT.items() if sought.fixed)
    return Problem(Times(fitted_rows()), compiled_files(), values(start), fixed)


def _mac_prices() -> dict[str, tuple[float, float, float]]:
    """Nanoseconds a multiplication on each host, from whole networks: least, median and most."""
    with (FACTS / "cpu_latency.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    prices = {}
    for host in ("desktop", "arm"):
        each = [float(row[f"{host}_ms"]) * 1e6 / _macs(row["network"]) for row in rows]
        prices[f"{host}.mac"] = (min(each), float(np.median(each)), max(each))
    return prices


def _macs(network: str) -> int:
    asked = demand(network)
    assert asked is not None
    return sum(op.work.macs for op in asked.ops)


def _ratios(solved: np.ndarray) -> np.ndarray:
    """Published times over predicted ones."""
    times = Times(explained_rows())
    return times.published / times(solved)


def table(given: Problem) -> str:
    """The lines of the table."""
    solved = given.solve()
    spread = np.array(list(leave_one_out(given).values()))
    prices = _mac_prices()
    lines = []
    for place, name in enumerate(NAMES):
        sought = SOUGHT[name]
        least, value, most = prices.get(
            name, (spread[:, place].min(), solved[place], spread[:, place].max())
        )
        lines.append(_line(name, value, min(least, value), max(most, value), sought))
    edge = (1 - _COVERED) / 2
    for name, share in (("range.low", edge), ("range.high", 1 - edge)):
        value = float(np.quantile(_ratios(solved), share))
        lines.append(_line(name, value, value, value, Sought(0, "of a prediction", "_COVERAGE")))
    host = Sought(0, "of a host's work, either way", _INFERRED)
    lines.append(_line("range.host", _HOST_FACTOR, _HOST_FACTOR, _HOST_FACTOR, host))
    return "".join(lines)


def _line(name: str, value: float, low: float, high: float, sought: Sought) -> str:
    numbers = ", ".join(repr(float(f"{number:.4g}")) for number in (value, low, high))
    return f'        "{name}": Constant({numbers}, "{sought.unit}", {sought.source}),\n'


def main(arguments: list[str]) -> int:
    """Prints the table, or writes it."""
    made = table(problem())
    if "--write" not in arguments:
        print(made, end="")
        return 0
    path = Path(constants.__file__)
    pattern = re.compile(r"(# made: constants\n).*?( *# end\n)", re.DOTALL)
    path.write_text(pattern.sub(lambda match: match[1] + made + match[2], path.read_text()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
