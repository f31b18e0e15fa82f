"""The latency model over many rows at once, and the fit of its constants."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from latency_data import CompiledFile, Row, demand
from scipy.optimize import least_squares

from atoll.edgetpu.chip import BEAGLE
from atoll.edgetpu.latency.constants import CONSTANTS
from atoll.edgetpu.latency.demand import Demand
from atoll.edgetpu.latency.instructions import Instructions

NAMES = tuple(name for name in CONSTANTS if not name.startswith("range."))
_PLACE = {name: place for place, name in enumerate(NAMES)}
_PROGRAM = [_PLACE[f"instructions.{field}"] for field in Instructions._fields]

# How far a row may be off before it counts: repeats of one published figure differ by 5 %; a
# host's own work, and transfers of outputs from an M.2 card, by more.
_TOLERANCE = {"published": 0.06, "tail": 0.15, "sweep": 0.2, "estimate": 0.03, "program": 0.05}
# How far a constant may stray, as a factor's logarithm, where no row speaks against it.
_LEASH = 1.0


class Times:
    """The model's times of many rows, as a function of its constants.

    The same arithmetic as `atoll.edgetpu.latency.predict`, on arrays; a test holds them together.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = list(rows)
        self.published = np.array([row.ms for row in rows])
        self.tolerance = np.array([_tolerance(row) for row in rows])
        self._hertz = np.array([BEAGLE.clocks[row.clock] for row in rows])
        self._send = np.array([_PLACE[f"{row.link}.send"] for row in rows])
        self._fixed = np.zeros((len(rows), len(NAMES)))
        self._program = np.zeros((len(rows), len(_PROGRAM)))
        ops = [entry for place, row in enumerate(rows) for entry in self._add(place, row)]
        columns = np.array(ops, dtype=float).reshape(-1, 4).T
        self._row, self._rate = columns[0].astype(int), columns[1].astype(int)
        self._todo, self._streamed = columns[2], columns[3] * 1e-6

    def _add(self, place: int, row: Row) -> Iterable[tuple[int, int, int, int]]:
        asked = demand(row.network)
        assert asked is not None
        fixed = self._fixed[place]
        fixed[_PLACE[f"{row.link}.call"]] += asked.parts
        fixed[_PLACE[f"{row.link}.send"]] += asked.input_bytes * 1e-6
        fixed[_PLACE[f"{row.link}.output"]] += asked.output_bytes * 1e-6
        self._program[place] = np.array(asked.instructions) * 1e-6
        for op in asked.ops:
            if op.host is not None:
                fixed[_PLACE[f"{row.host}.{op.host.price}"]] += op.host.todo * 1e-6
            elif op.work.todo or op.streamed_bytes:
                yield place, _PLACE[op.work.rate], op.work.todo, op.streamed_bytes

    def __call__(self, constants: np.ndarray) -> np.ndarray:
        """Milliseconds a row.

        Args:
            constants: A value for each of `NAMES`.
        """
        send = constants[self._send]
        computing = self._todo * constants[self._rate] / self._hertz[self._row] * 1e3
        busy = np.maximum(computing, self._streamed * send[self._row])
        ops = np.bincount(self._row, busy, len(self.rows))
        return ops + self._fixed @ constants + self._program @ constants[_PROGRAM] * send


@dataclass(frozen=True)
class Problem:
    """What constants are fitted on.

    Attributes:
        times: The rows.
        files: What compiled files say.
        start: Where the search begins, a value for each of `NAMES`.
        fixed: Names of constants that stay.
    """

    times: Times
    files: Sequence[CompiledFile]
    start: np.ndarray
    fixed: frozenset[str]

    def solve(self) -> np.ndarray:
        """The constants that fit best, errors counted as ratios and outliers less."""
        free = [place for place, name in enumerate(NAMES) if name not in self.fixed]
        begin = np.log(self.start[free])

        def constants(logarithms: np.ndarray) -> np.ndarray:
            values = self.start.copy()
            values[free] = np.exp(logarithms)
            return values

        def residuals(logarithms: np.ndarray) -> np.ndarray:
            values = constants(logarithms)
            times = np.log(self.times(values) / self.times.published) / self.times.tolerance
            told = [error for each in self.files for error in _file_errors(each, values)]
            return np.concatenate([times, told, (logarithms - begin) / _LEASH])

        return constants(least_squares(residuals, begin, loss="soft_l1").x)


def cycles(asked: Demand, constants: np.ndarray) -> float:
    """The cycles of everything that runs on the chip."""
    on_chip = (op.work for op in asked.ops if op.host is None)
    return sum(work.todo * constants[_PLACE[work.rate]] for work in on_chip)


def values(constants: Mapping[str, float]) -> np.ndarray:
    """An array in the order of `NAMES`."""
    return np.array([constants[name] for name in NAMES])


def group(row: Row) -> str:
    """What is left out together: all rows of a network, or of a sweep."""
    return row.network.split("/", maxsplit=1)[0]


def leave_one_out(problem: Problem) -> dict[str, np.ndarray]:
    """The constants without each group of rows, and without each file (`file/NAME`)."""
    rows = problem.times.rows
    without = {}
    for name in dict.fromkeys(map(group, rows)):
        kept = Times([row for row in rows if group(row) != name])
        without[name] = Problem(kept, problem.files, problem.start, problem.fixed).solve()
    for file in dict.fromkeys(each.file for each in problem.files):
        others = [each for each in problem.files if each.file != file]
        solved = Problem(problem.times, others, problem.start, problem.fixed).solve()
        without[f"file/{file}"] = solved
    return without


def _tolerance(row: Row) -> float:
    kind = "sweep" if "/" in row.network else "tail" if "CPU" in row.role else "published"
    return _TOLERANCE[kind]


def _file_errors(file: CompiledFile, constants: np.ndarray) -> Iterable[float]:
    if file.cycles:
        yield np.log(cycles(file.demand, constants) / file.cycles) / _TOLERANCE["estimate"]
    if file.program_bytes:
        size = np.array(file.demand.instructions) @ constants[_PROGRAM]
        yield np.log(size / file.program_bytes) / _TOLERANCE["program"]
