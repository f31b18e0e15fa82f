"""Operators between reshapes or transposes, done in the shape that was there before."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from atoll.legalize.draft import Change
from atoll.legalize.options import option
from atoll.legalize.rewrite import Rewrite
from atoll.legalize.rewrites.elementwise import ELEMENTWISE
from atoll.legalize.rewrites.layout import (
    Chain,
    is_fixed,
    is_flat,
    source_of,
    targets_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from atoll.legalize.draft import Draft
    from atoll.tflite.graph import Operator

# Operators along the innermost dimension.
_INNERMOST = ("L2_NORMALIZATION", "LOG_SOFTMAX", "SOFTMAX")
# How many operators may lie between two TRANSPOSE that cancel.
_MOST_BETWEEN = 16


def flat_shape(draft: Draft, number: int) -> Change | None:
    """What is computed element by element in many dimensions is computed in three or fewer."""
    op = draft.operators[number]
    output = op.outputs[0]
    if len(op.outputs) != 1 or not is_fixed(draft, output, *op.inputs):
        return None
    shape = draft.tensor(output).shape
    moving = [t for t in op.inputs if not draft.tensor(t).is_constant]
    single = all(math.prod(draft.tensor(t).shape) == 1 for t in op.inputs if t not in moving)
    if is_flat(shape) or not single or any(draft.tensor(t).shape != shape for t in moving):
        return None
    sources = {t: source_of(draft, t) for t in moving}
    if not sources or min(sources.values()) < 0:
        return None
    chain = Chain(draft, draft.tensor(output).name)
    first = next(iter(sources.values()))
    rows = (1, math.prod(shape[:-1]), shape[-1])
    flat = rows if op.type in _INNERMOST else chain.shape(first)
    moved = {t: chain.reshape(source, flat) for t, source in sources.items()}
    made = draft.add_tensor(f"{chain.name}/flat", draft.tensor(output), flat)
    chain.operators.append(replace(op, inputs=[moved.get(t, t) for t in op.inputs], outputs=[made]))
    targets, between = targets_of(draft, output)
    for target in targets:
        chain.reshape(made, draft.tensor(target).shape, into=target)
    return Change(chain.operators, (number, *between))


def cancel_around(draft: Draft, number: int) -> Change | None:
    """Two TRANSPOSE that undo each other, with element by element work between, are dropped."""
    op = draft.operators[number]
    back = draft.integers(op, 1)
    if back is None or sorted(back) != list(range(len(back))):
        return None
    lifted = _Lifted(draft, [back.index(axis) for axis in range(len(back))])
    made = lifted.tensor(op.inputs[0])
    if made < 0 or not lifted.operators:
        return None
    same = draft.tensor(made).shape == draft.tensor(op.outputs[0]).shape
    if not same or lifted.operators[-1].outputs != [made]:
        return None
    lifted.operators[-1] = replace(lifted.operators[-1], outputs=[op.outputs[0]])
    return Change(lifted.operators, (number,))


@dataclass
class _Lifted:
    """Operators behind a TRANSPOSE, done before it.

    Attributes:
        draft: The draft.
        order: Which old axis each new one is, of that TRANSPOSE.
        operators: Those that were lifted, in execution order.
    """

    draft: Draft
    order: list[int]
    operators: list[Operator] = field(default_factory=list)
    _done: dict[int, int] = field(default_factory=dict)

    def tensor(self, index: int) -> int:
        """A tensor as it is before the TRANSPOSE; -1 where there is none."""
        if index not in self._done:
            self._done[index] = self._found(index)
        return self._done[index]

    def _found(self, index: int) -> int:
        draft = self.draft
        if draft.tensor(index).is_constant:
            return self._constant(index)
        number = draft.before(index, "TRANSPOSE", inputs=2)
        if number >= 0:
            same = draft.integers(draft.operators[number], 1) == self.order
            return draft.operators[number].inputs[0] if same else -1
        number = draft.producer(index)
        if number < 0 or draft.only_reader(index) < 0 or len(self.operators) >= _MOST_BETWEEN:
            return -1
        return self._operator(draft.operators[number])

    def _operator(self, op: Operator) -> int:
        joined = op.type == "CONCATENATION"
        known = ELEMENTWISE.get(op.type)
        if len(op.outputs) != 1 or min(op.inputs, default=-1) < 0:
            return -1
        if not joined and (known is None or known.inputs != len(op.inputs)):
            return -1
        shape = self.draft.tensor(op.outputs[0]).shape
        rank = len(self.order)
        if len(shape) != rank or not is_fixed(self.draft, op.outputs[0]):
            return -1
        inputs = [self.tensor(t) for t in op.inputs]
        if min(inputs) < 0 or (joined and any(self.draft.tensor(t).is_constant for t in inputs)):
            return -1
        if any(len(self.draft.tensor(t).shape) != rank for t in inputs):
            return -1
        before = tuple(shape[self.order.index(axis)] for axis in range(rank))
        name = f"{self.draft.tensor(op.outputs[0]).name}/turned"
        made = self.draft.add_tensor(name, self.draft.tensor(op.outputs[0]), before)
        changed = replace(op, inputs=inputs, outputs=[made])
        if joined:
            axis = self.order[option(op, "axis") % rank]
            activation = option(op, "fusedActivationFunction")
            changed = self.draft.new(
                op.type, inputs, [made], axis=axis, fusedActivationFunction=activation
            )
        self.operators.append(changed)
        return made

    def _constant(self, index: int) -> int:
        """A constant in the order of before; its shape has all dimensions then."""
        held, rank = self.draft.tensor(index), len(self.order)
        scales = held.quantization
        if held.data is None or held.data.ndim > rank or (scales and scales.per_channel):
            return -1
        wide = held.data.reshape((1,) * (rank - held.data.ndim) + held.data.shape)
        back: Sequence[int] = [self.order.index(axis) for axis in range(rank)]
        data = np.ascontiguousarray(wide.transpose(back))
        return self.draft.add_constant(f"{held.name}/turned", data, scales)


ROWS = (
    Rewrite("transpose-around", ("TRANSPOSE",), cancel_around, "identical", True, inputs=2),
    Rewrite("flat-shape", (*ELEMENTWISE, *_INNERMOST), flat_shape, "identical", partial=True),
)
