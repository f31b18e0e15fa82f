"""Convolutions that the chip has no form for, as several that it has."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from atoll.legalize.draft import Change
from atoll.legalize.rewrite import Rewrite
from atoll.legalize.rewrites.layout import Chain, is_fixed
from atoll.tflite.graph import Quantization
from atoll.tflite.versions import usual_version

if TYPE_CHECKING:
    from atoll.legalize.draft import Draft

_MOST_GROUPS = 64


def split_groups(draft: Draft, number: int) -> Change | None:
    """A grouped convolution becomes one convolution a group, put together."""
    op = draft.operators[number]
    source, output, held = op.inputs[0], op.outputs[0], draft.tensor(op.inputs[1])
    shape, made = draft.tensor(source).shape, draft.tensor(output).shape
    bias = op.inputs[2] if len(op.inputs) > 2 else -1
    if held.data is None or held.data.ndim != 4 or len(shape) != 4 or len(made) != 4:
        return None
    if not is_fixed(draft, source, output) or not held.data.size:
        return None
    filters, _, _, depth = held.data.shape
    groups, left = divmod(shape[3], depth)
    if left or not 1 < groups <= _MOST_GROUPS or filters % groups or made[3] != filters:
        return None
    if bias >= 0 and (draft.tensor(bias).data is None or draft.tensor(bias).shape != (filters,)):
        return None
    each = filters // groups
    chain = Chain(draft, draft.tensor(output).name)
    parts = []
    for group in range(groups):
        part = slice(group * each, (group + 1) * each)
        inputs = [chain.slice(source, 3, group * depth, depth), _part(draft, op.inputs[1], part)]
        if bias >= 0:
            inputs.append(_part(draft, bias, part))
        parts.append(
            draft.add_tensor(f"{chain.name}/group_{group}", draft.tensor(output), (*made[:3], each))
        )
        version = usual_version(op.type, draft.tensor(source).type)
        chain.operators.append(
            replace(
                op, inputs=inputs, outputs=[parts[-1]], options=copy.copy(op.options), version=version
            )
        )
    chain.concatenate(parts, 3, into=output)
    return Change(chain.operators, (number,))


def _part(draft: Draft, tensor: int, part: slice) -> int:
    """Some of the filters, or their biases."""
    held = draft.tensor(tensor)
    assert held.data is not None
    quantization = held.quantization
    if quantization is not None and quantization.scale.size > 1:
        quantization = Quantization(
            quantization.scale[part], quantization.zero_point[part], quantization.axis
        )
    data = np.ascontiguousarray(held.data[part])
    return draft.add_constant(f"{held.name}/{part.start}", data, quantization)


ROWS = (Rewrite("grouped", ("CONV_2D",), split_groups, "identical", inputs=2),)
