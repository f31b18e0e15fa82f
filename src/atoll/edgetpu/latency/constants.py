"""The numbers of the latency model, each with its uncertainty and its source.

The table is what `benchmarks/fit_latency.py` prints, line by line; a number is changed by fitting
again. What the numbers mean is told in docs/latency.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Constant:
    """One number.

    Attributes:
        value: What the model uses.
        low: The lower end of what the data allow; equal to `value` where that is not known.
        high: The upper end.
        unit: What it counts.
        source: Where it comes from.
    """

    value: float
    low: float
    high: float
    unit: str
    source: str


_ESTIMATES = "fitted on the cycle estimates in Google's compiled files, and on published times"
_PROGRAMS = "fitted on the length of the instructions in Google's compiled files"
_TIMES = "fitted on published times"
_CPU = "the vendor's times of whole networks on that CPU, least to most"
_INFERRED = "inferred"
_COVERAGE = "covers nine of ten published times"

CONSTANTS: Mapping[str, Constant] = MappingProxyType(
    {
        # made: constants
        "cycles.kernel": Constant(2.075, 1.957, 2.159, "cycles a word and block", _ESTIMATES),
        "cycles.pointwise": Constant(4.0, 4.0, 4.0, "cycles a word and block", _ESTIMATES),
        "cycles.image": Constant(0.7428, 0.5868, 0.835, "cycles a word and block", _ESTIMATES),
        "cycles.dense": Constant(12.79, 9.567, 16.26, "cycles a word and 16 blocks", _TIMES),
        "cycles.window": Constant(1.0, 1.0, 1.0, "cycles a tap and block", _ESTIMATES),
        "cycles.word": Constant(3.297, 2.476, 3.825, "cycles a word", _ESTIMATES),
        "instructions.windowed": Constant(2339.0, 2242.0, 2462.0, "bytes", _PROGRAMS),
        "instructions.shapes": Constant(1679.0, 1604.0, 1745.0, "bytes", _PROGRAMS),
        "instructions.plain": Constant(689.4, 539.1, 746.5, "bytes", _PROGRAMS),
        "usb3.call": Constant(0.6219, 0.5156, 0.6468, "ms", _TIMES),
        "usb3.send": Constant(2.113, 2.087, 2.152, "ms/MB", _TIMES),
        "usb3.output": Constant(5.955, 4.574, 7.793, "ms/MB", _TIMES),
        "usb2.call": Constant(1.653, 0.6613, 2.384, "ms", _TIMES),
        "usb2.send": Constant(27.86, 27.46, 32.11, "ms/MB", _TIMES),
        "usb2.output": Constant(207.3, 99.25, 209.1, "ms/MB", _TIMES),
        "pcie.call": Constant(0.7356, 0.5825, 0.8582, "ms", _TIMES),
        "pcie.send": Constant(2.559, 2.548, 2.571, "ms/MB", _TIMES),
        "pcie.output": Constant(6.272, 6.046, 7.607, "ms/MB", _TIMES),
        "desktop.element": Constant(2.444, 2.391, 4.449, "ns an element", _TIMES),
        "desktop.detection": Constant(8.632, 6.988, 10.05, "ns an element", _TIMES),
        "desktop.mac": Constant(0.06006, 0.05399, 0.09319, "ns", _CPU),
        "desktop.conversion": Constant(1.0, 1.0, 1.0, "ns an element", _INFERRED),
        "arm.mac": Constant(0.2718, 0.2168, 0.297, "ns", _CPU),
        "arm.conversion": Constant(5.0, 5.0, 5.0, "ns an element", _INFERRED),
        "arm.element": Constant(16.2, 16.17, 20.0, "ns an element", _TIMES),
        "arm.detection": Constant(22.68, 21.58, 30.0, "ns an element", _TIMES),
        "range.low": Constant(0.8598, 0.8598, 0.8598, "of a prediction", _COVERAGE),
        "range.high": Constant(1.27, 1.27, 1.27, "of a prediction", _COVERAGE),
        "range.host": Constant(2.0, 2.0, 2.0, "of a host's work, either way", _INFERRED),
        # end
    }
)


def value_of(name: str) -> float:
    """A constant's value."""
    return CONSTANTS[name].value
