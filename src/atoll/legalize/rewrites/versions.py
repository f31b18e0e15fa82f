"""Operators in a form newer than the chip's compiler reads, though they need nothing of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from atoll.edgetpu.versions import newest_version
from atoll.legalize.draft import Change
from atoll.legalize.options import option
from atoll.legalize.rewrite import Rewrite

if TYPE_CHECKING:
    from collections.abc import Callable

    from atoll.legalize.draft import Draft
    from atoll.tflite.graph import Operator

# What every version has known, as inputs and outputs.
_OLD_TYPES = ("BOOL", "FLOAT32", "INT32", "INT8", "UINT8")
_OLD_RANK = 4
# Operators that took no 8-bit numbers in the compiler's TensorFlow.
_FLOAT_ONLY = ("CEIL", "COS", "ELU", "EXP", "FLOOR", "LOG", "NEG", "POW", "ROUND", "SIN", "SQRT",
               "SQUARE")  # fmt: skip


def _is_grouped(draft: Draft, op: Operator) -> bool:
    shapes = [draft.tensor(t).shape for t in op.inputs[:2]]
    return any(not shape for shape in shapes) or shapes[0][-1] != shapes[1][-1]


# Where whole numbers stand that are no data.
_INTEGERS: dict[str, tuple[int, ...]] = {
    "BROADCAST_TO": (1,),
    "EXPAND_DIMS": (1,),
    "GATHER": (1,),
    "MEAN": (1,),
    "MIRROR_PAD": (1,),
    "PAD": (1,),
    "PADV2": (1,),
    "REDUCE_MAX": (1,),
    "REDUCE_MIN": (1,),
    "RESHAPE": (1,),
    "SLICE": (1, 2),
    "SPLIT_V": (1, 2),
    "SUM": (1,),
    "TILE": (1,),
    "TRANSPOSE": (1,),
}
_INT32 = np.iinfo(np.int32)

# What newer versions brought beside types and ranks, where an operator uses it.
# Source: tensorflow/lite/tools/versioning/op_version.cc.
_NEEDS: dict[str, Callable[[Draft, Operator], bool]] = {
    "CONV_2D": _is_grouped,
    "STRIDED_SLICE": lambda draft, op: option(op, "offset") != 0,
    "TRANSPOSE_CONV": lambda draft, op: option(op, "fusedActivationFunction") != 0,
}


def older_version(draft: Draft, number: int) -> Change | None:
    """A newer version is brought down to the compiler's own, where it means the same there."""
    op = draft.operators[number]
    newest = newest_version(op.type)
    if newest is None or op.version <= newest or op.type == "CUSTOM":
        return None
    tensors = [draft.tensor(t) for t in (*op.inputs, *op.outputs) if t >= 0]
    if any(t.type not in _OLD_TYPES or len(t.shape) > _OLD_RANK for t in tensors):
        return None
    if op.type in _FLOAT_ONLY and any(t.type != "FLOAT32" for t in tensors):
        return None
    if op.type in _NEEDS and (len(op.inputs) < 2 or _NEEDS[op.type](draft, op)):
        return None
    return Change([replace(op, version=newest)], (number,))


def narrow_integers(draft: Draft, number: int) -> Change | None:
    """Sizes, axes and borders of 64 bits are written in 32: the compiler reads them as such."""
    op = draft.operators[number]
    inputs = list(op.inputs)
    for position in _INTEGERS[op.type]:
        data = draft.constant(op, position)
        if data is None or data.dtype != np.int64 or not data.size:
            continue
        if data.min() < _INT32.min or data.max() > _INT32.max:
            return None
        name = f"{draft.tensor(inputs[position]).name}/int32"
        inputs[position] = draft.add_constant(name, data.astype(np.int32))
    if inputs == op.inputs:
        return None
    return Change([replace(op, inputs=inputs)], (number,))


ROWS = (
    Rewrite("wide-integers", tuple(_INTEGERS), narrow_integers, "identical", always=True),
    Rewrite("older-version", (), older_version, "identical", always=True),
)
