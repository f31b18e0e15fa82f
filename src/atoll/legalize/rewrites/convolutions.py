"""Convolutions that the chip has no form for, as several that it has."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from atoll.legalize.draft import Change
from atoll.legalize.options import NO_ACTIVATION, SAME, option
from atoll.legalize.rewrite import Rewrite
from atoll.legalize.rewrites.layout import Chain, is_fixed
from atoll.tflite.graph import Quantization
from atoll.tflite.versions import usual_version

if TYPE_CHECKING:
    from atoll.legalize.draft import Draft

_MOST_GROUPS = 64
# What both kinds of convolution are told, and what it is where nothing is said.
_WINDOW = {
    "padding": SAME,
    "strideH": 1,
    "strideW": 1,
    "dilationHFactor": 1,
    "dilationWFactor": 1,
    "fusedActivationFunction": NO_ACTIVATION,
}


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
                op,
                inputs=inputs,
                outputs=[parts[-1]],
                options=copy.copy(op.options),
                version=version,
            )
        )
    chain.concatenate(parts, 3, into=output)
    return Change(chain.operators, (number,))


def groups_of_one(draft: Draft, number: int) -> Change | None:
    """A grouped convolution with a group a channel becomes a DEPTHWISE_CONV_2D."""
    op = draft.operators[number]
    source, output, held = op.inputs[0], op.outputs[0], draft.tensor(op.inputs[1])
    shape = draft.tensor(source).shape
    if held.data is None or held.data.ndim != 4 or len(shape) != 4 or held.quantization is None:
        return None
    filters, height, width, depth = held.data.shape
    if depth != 1 or shape[3] < 2 or not held.data.size or not is_fixed(draft, source, output):
        return None
    multiplier, left = divmod(filters, shape[3])
    if left or not multiplier or draft.tensor(output).shape[-1:] != (filters,):
        return None
    kernel = np.ascontiguousarray(np.moveaxis(held.data, 0, 3)).reshape(1, height, width, filters)
    weights = draft.add_constant(
        f"{held.name}/depthwise", kernel, replace(held.quantization, axis=3)
    )
    fields = {name: option(op, name, default) for name, default in _WINDOW.items()}
    changed = draft.new(
        "DEPTHWISE_CONV_2D",
        [source, weights, *op.inputs[2:]],
        [output],
        depthMultiplier=multiplier,
        **fields,
    )
    return Change([changed], (number,))


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


ROWS = (
    Rewrite("grouped-depthwise", ("CONV_2D",), groups_of_one, "one step", inputs=2),
    Rewrite("grouped", ("CONV_2D",), split_groups, "one step", inputs=2),
)
