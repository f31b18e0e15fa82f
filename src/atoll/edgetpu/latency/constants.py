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
        "cycles.kernel": Constant(2.182, 2.003, 2.225, "cycles a word and block", _ESTIMATES),
        "cycles.pointwise": Constant(4.0, 4.0, 4.0, "cycles a word and block", _ESTIMATES),
        "cycles.image": Constant(0.6177, 0.5539, 0.8337, "cycles a word and block", _ESTIMATES),
        "cycles.dense": Constant(21.92, 9.859, 25.13, "cycles a word and 16 blocks", _TIMES),
        "cycles.window": Constant(1.0, 1.0, 1.0, "cycles a tap and block", _ESTIMATES),
        "cycles.word": Constant(2.66, 1.696, 3.755, "cycles a word", _ESTIMATES),
        "instructions.windowed": Constant(2338.0, 2204.0, 2456.0, "bytes", _PROGRAMS),
        "instructions.shapes": Constant(1718.0, 1665.0, 1787.0, "bytes", _PROGRAMS),
        "instructions.plain": Constant(678.1, 527.3, 725.1, "bytes", _PROGRAMS),
        "usb3.call": Constant(0.645, 0.5307, 0.6624, "ms", _TIMES),
        "usb3.send": Constant(1.944, 1.868, 1.989, "ms/MB", _TIMES),
        "usb3.output": Constant(4.839, 3.97, 6.546, "ms/MB", _TIMES),
        "usb2.call": Constant(1.675, 0.6596, 2.404, "ms", _TIMES),
        "usb2.send": Constant(27.69, 27.29, 32.02, "ms/MB", _TIMES),
        "usb2.output": Constant(207.0, 99.32, 209.0, "ms/MB", _TIMES),
        "pcie.call": Constant(0.7288, 0.5805, 0.8521, "ms", _TIMES),
        "pcie.send": Constant(2.532, 2.522, 2.545, "ms/MB", _TIMES),
        "pcie.output": Constant(6.037, 5.864, 7.026, "ms/MB", _TIMES),
        "desktop.element": Constant(2.509, 2.45, 5.829, "ns an element", _TIMES),
        "desktop.detection": Constant(9.859, 7.992, 11.34, "ns an element", _TIMES),
        "desktop.mac": Constant(0.06006, 0.05399, 0.09319, "ns", _CPU),
        "desktop.conversion": Constant(1.0, 1.0, 1.0, "ns an element", _INFERRED),
        "arm.mac": Constant(0.2718, 0.2168, 0.297, "ns", _CPU),
        "arm.conversion": Constant(5.0, 5.0, 5.0, "ns an element", _INFERRED),
        "arm.element": Constant(16.22, 16.19, 20.0, "ns an element", _TIMES),
        "arm.detection": Constant(23.03, 22.25, 30.0, "ns an element", _TIMES),
        "range.low": Constant(0.8172, 0.8172, 0.8172, "of a prediction", _COVERAGE),
        "range.high": Constant(1.274, 1.274, 1.274, "of a prediction", _COVERAGE),
        "range.host": Constant(2.0, 2.0, 2.0, "of a host's work, either way", _INFERRED),
        # end
    }
)


def value_of(name: str) -> float:
    """A constant's value."""
    return CONSTANTS[name].value
