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


_ESTIMATES = "fitted on the cycle estimates in files that Google's compiler made"

CONSTANTS: Mapping[str, Constant] = MappingProxyType(
    {
        # made: constants
        "cycles.kernel": Constant(2.4, 2.2, 2.6, "a word", _ESTIMATES),
        "cycles.pointwise": Constant(4.0, 4.0, 4.0, "a word", _ESTIMATES),
        "cycles.image": Constant(0.8, 0.8, 0.8, "a word", _ESTIMATES),
        "cycles.dense": Constant(8.0, 8.0, 36.0, "a word and 16 blocks", _ESTIMATES),
        "cycles.window": Constant(1.0, 1.0, 1.0, "a tap and block", _ESTIMATES),
        "cycles.word": Constant(1.5, 1.5, 1.5, "a word", _ESTIMATES),
        "instructions.windowed": Constant(2297.0, 2297.0, 2297.0, "bytes", _ESTIMATES),
        "instructions.shape": Constant(1668.0, 1668.0, 1668.0, "bytes", _ESTIMATES),
        "instructions.plain": Constant(708.0, 708.0, 708.0, "bytes", _ESTIMATES),
        "usb3.call": Constant(0.4, 0.3, 0.75, "ms", _ESTIMATES),
        "usb3.send": Constant(2.1, 2.0, 2.5, "ms/MB", _ESTIMATES),
        "usb3.input": Constant(2.5, 2.0, 2.5, "ms/MB", _ESTIMATES),
        "usb3.output": Constant(2.5, 2.0, 5.0, "ms/MB", _ESTIMATES),
        "usb2.call": Constant(1.9, 1.0, 3.0, "ms", _ESTIMATES),
        "usb2.send": Constant(28.0, 25.0, 30.0, "ms/MB", _ESTIMATES),
        "usb2.input": Constant(28.0, 25.0, 30.0, "ms/MB", _ESTIMATES),
        "usb2.output": Constant(40.0, 25.0, 60.0, "ms/MB", _ESTIMATES),
        "pcie.call": Constant(0.12, 0.1, 0.3, "ms", _ESTIMATES),
        "pcie.send": Constant(2.6, 2.5, 2.8, "ms/MB", _ESTIMATES),
        "pcie.input": Constant(5.0, 2.5, 8.0, "ms/MB", _ESTIMATES),
        "pcie.output": Constant(4.4, 4.0, 12.0, "ms/MB", _ESTIMATES),
        "desktop.element": Constant(5.8, 3.0, 9.0, "ns an element", _ESTIMATES),
        "desktop.detection": Constant(13.0, 8.0, 20.0, "ns an element", _ESTIMATES),
        "desktop.mac": Constant(0.05, 0.05, 0.05, "ns a MAC", _ESTIMATES),
        "desktop.conversion": Constant(1.0, 1.0, 1.0, "ns", _ESTIMATES),
        "arm.mac": Constant(0.25, 0.1, 0.5, "ns a MAC", _ESTIMATES),
        "arm.conversion": Constant(5.0, 1.0, 10.0, "ns", _ESTIMATES),
        "arm.element": Constant(41.0, 20.0, 60.0, "ns an element", _ESTIMATES),
        "arm.detection": Constant(40.0, 30.0, 50.0, "ns an element", _ESTIMATES),
        "range.low": Constant(0.8, 0.8, 0.8, "of the prediction", _ESTIMATES),
        "range.high": Constant(1.25, 1.25, 1.25, "of the prediction", _ESTIMATES),
        # end
    }
)


def value_of(name: str) -> float:
    """A constant's value."""
    return CONSTANTS[name].value
