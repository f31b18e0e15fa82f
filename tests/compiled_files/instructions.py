"""Whole instructions, as far as docs/format.md has them: they tell the scales of a model's layers.

Opcodes, lengths and fields are written out here, so that the code that reads them is held against
the page, and not against itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from atoll.tflite.graph import Operator, Subgraph, Tensor
    from compiled_files.programs import Address

_BUNDLE = 128
_WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


def readable(graph: Subgraph | None, places: list[Address]) -> bytes:
    """A chunk of instructions.

    Args:
        graph: The operators that it runs; None of a program that only loads parameters.
        places: Where the driver fills in addresses: each in a bundle of its own.
    """
    whole = [_instruction(0x20, 1)] * (1 + max(p.offset_bit // _BUNDLE for p in places))
    whole[0] = _instruction(0x3E, 1)
    for op in () if graph is None else graph.operators:
        whole.append(_layer(graph, op) if op.type in _WEIGHTED else _instruction(0x19, 13))
    return b"".join([*whole, _instruction(0x21, 1), _instruction(0x3F, 1)])


def _layer(graph: Subgraph, op: Operator) -> bytes:
    x, weights = (graph.tensors[t] for t in op.inputs[:2])
    y = graph.tensors[op.outputs[0]]
    scales = weights.quantization.scale
    many = scales.size > 1
    factor = np.float32(x.quantization.scale[0] * scales[0]) * (
        np.float32(1) / y.quantization.scale[0]
    )
    if (scales != scales[0]).any():
        factor = np.float32(1)
    return _instruction(
        0x01,
        17,
        (1854, 0 if many else _zero(weights)),
        (1870, _zero(x)),
        (1949, int(np.float32(factor).view(np.uint32))),
        (2077, _zero(y)),
    )


def _zero(tensor: Tensor) -> int:
    return int(tensor.quantization.zero_point[0]) + 128 * (tensor.type == "INT8")


def _instruction(opcode: int, bundles: int, *fields: tuple[int, int]) -> bytes:
    whole = opcode << 6
    for bit, value in fields:
        whole |= value << bit
    return whole.to_bytes(16 * bundles, "little")
