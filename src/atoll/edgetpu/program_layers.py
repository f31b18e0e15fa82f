"""With which scales a compiled program's layers compute: what can be read of its instructions.

The chip's instructions are known in part: how long each is, and the fields of the one that
convolves. Their evidence is in docs/format.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

BUNDLE = 16
"""Bytes of a bundle, of which instructions are made."""

START, CONVOLVE = 0x3E, 0x01
"""The opcodes of what a program begins with, and of what computes a layer."""

# Bundles of an instruction, by its opcode.
_BUNDLES = (
    dict.fromkeys([0x01, 0x02, 0x03, 0x05], 17)
    | dict.fromkeys([0x10, 0x11, 0x12, 0x26], 4)
    | dict.fromkeys([0x13, 0x14], 7)
    | dict.fromkeys([0x15, 0x16, 0x17, 0x18], 6)
    | {0x19: 13}
    | dict.fromkeys([0x1A, 0x20, 0x21, 0x22, 0x23, START, 0x3F], 1)
    | dict.fromkeys([0x24, 0x25, 0x27], 2)
)
_OPCODE_BIT, _OPCODE_BITS = 6, 6


class Computed(NamedTuple):
    """What a layer's sums become.

    Attributes:
        weight_zero_point: 0 to 255; 0 where the parameters hold zero points.
        input_zero_point: 0 to 255.
        multiplier: What the sums are multiplied by, the bits of a float32; 1.0 where the parameters
            hold multipliers.
        output_zero_point: 0 to 255.
    """

    weight_zero_point: int
    input_zero_point: int
    multiplier: int
    output_zero_point: int


FIELDS = ((1854, 8), (1870, 8), (1949, 32), (2077, 8))
"""Of each of these, its first bit from the start of its instruction, and how many bits it has."""


def computed(chunks: Iterable[bytes]) -> frozenset[Computed] | None:
    """What the layers of a program compute.

    Args:
        chunks: The program's chunks of instructions, in order.

    Returns:
        The different ones; None where the instructions cannot be told apart.
    """
    found: set[Computed] = set()
    first = True
    for chunk in chunks:
        for opcode, instruction in _instructions(chunk):
            if opcode not in _BUNDLES or (first and opcode != START):
                return None
            first = False
            if opcode == CONVOLVE:
                whole = int.from_bytes(instruction, "little")
                found.add(Computed(*(whole >> bit & (1 << size) - 1 for bit, size in FIELDS)))
    return None if first else frozenset(found)


def bits_of(number: float) -> int:
    """The bits of a float32."""
    return int(np.float32(number).view(np.uint32))


def _instructions(chunk: bytes) -> Iterator[tuple[int, bytes]]:
    """The opcode and the bytes of each; an opcode of -1 for what is no whole instruction."""
    start = 0
    while start < len(chunk):
        head = int.from_bytes(chunk[start : start + 2], "little")
        opcode = head >> _OPCODE_BIT & (1 << _OPCODE_BITS) - 1
        end = start + BUNDLE * _BUNDLES.get(opcode, 1)
        yield (opcode if end <= len(chunk) else -1), chunk[start:end]
        start = end
