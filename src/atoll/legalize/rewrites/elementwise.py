"""Operators whose output at a place depends on their inputs at that place alone: one table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Sort = Literal["same", "compares", "logical", "selects", "to float", "to integers"]

_INTEGERS = ("INT8", "UINT8")
_NUMBERS = (*_INTEGERS, "FLOAT32")


@dataclass(frozen=True)
class Elementwise:
    """One row.

    Attributes:
        name: TFLite's name.
        inputs: How many it has.
        sort: What types it takes and gives.
    """

    name: str
    inputs: int
    sort: Sort = "same"

    def takes(self, inputs: tuple[str, ...], output: str) -> bool:
        """Whether it computes tensors of these types: LiteRT crashes on some others.

        Args:
            inputs: TFLite's names of the inputs' types.
            output: The output's.
        """
        first, last = inputs[0], inputs[-1]
        if len(inputs) != self.inputs:
            return False
        alike = len({*inputs}) == 1
        return {
            "same": alike and output == first in _NUMBERS,
            "compares": alike and first in _NUMBERS and output == "BOOL",
            "logical": alike and output == first == "BOOL",
            "selects": first == "BOOL" and {*inputs[1:]} == {output} and last in _NUMBERS,
            "to float": first in _INTEGERS and output == "FLOAT32",
            "to integers": first in _NUMBERS and output in _INTEGERS,
        }[self.sort]


_ONE = """
    ABS CEIL COS ELU EXP FLOOR GELU HARD_SWISH LEAKY_RELU LOG LOGISTIC NEG RELU RELU6 RELU_0_TO_1
    RELU_N1_TO_1 ROUND RSQRT SIGN SIN SQRT SQUARE TANH ZEROS_LIKE
"""
_TWO = "ADD DIV FLOOR_DIV FLOOR_MOD MAXIMUM MINIMUM MUL POW PRELU SQUARED_DIFFERENCE SUB"
_COMPARE = "EQUAL GREATER GREATER_EQUAL LESS LESS_EQUAL NOT_EQUAL"

ELEMENTWISE = {
    row.name: row
    for row in (
        *(Elementwise(name, 1) for name in _ONE.split()),
        *(Elementwise(name, 2) for name in _TWO.split()),
        *(Elementwise(name, 2, "compares") for name in _COMPARE.split()),
        Elementwise("LOGICAL_AND", 2, "logical"),
        Elementwise("LOGICAL_NOT", 1, "logical"),
        Elementwise("LOGICAL_OR", 2, "logical"),
        Elementwise("SELECT", 3, "selects"),
        Elementwise("SELECT_V2", 3, "selects"),
        Elementwise("DEQUANTIZE", 1, "to float"),
        Elementwise("QUANTIZE", 1, "to integers"),
    )
}
