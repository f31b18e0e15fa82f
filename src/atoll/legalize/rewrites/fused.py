"""Activations fused into operators that the chip wants without."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING

from atoll.legalize.draft import Change
from atoll.legalize.options import NO_ACTIVATION, RELU, RELU6, RELU_N1_TO_1, option
from atoll.legalize.rewrite import Rewrite
from atoll.tflite.versions import usual_version

if TYPE_CHECKING:
    from atoll.legalize.draft import Draft

_ACTIVATIONS = {RELU: "RELU", RELU6: "RELU6", RELU_N1_TO_1: "RELU_N1_TO_1"}


def unfuse_activation(draft: Draft, number: int) -> Change | None:
    """An activation fused into an operator that must have none becomes an operator behind it."""
    op = draft.operators[number]
    kind = _ACTIVATIONS.get(option(op, "fusedActivationFunction"))
    output = op.outputs[0]
    if kind is None or len(op.outputs) != 1 or not draft.is_quantized(output):
        return None
    options = copy.copy(op.options)
    options.fusedActivationFunction = NO_ACTIVATION
    name = f"{draft.tensor(output).name}/before_{kind.lower()}"
    between = draft.add_tensor(name, draft.tensor(output))
    # The version may be that of the form with an activation.
    version = min(op.version, usual_version(op.type, draft.tensor(output).type))
    bare = replace(op, outputs=[between], options=options, version=version)
    return Change([bare, draft.new(kind, [between], [output])], (number,))


ROWS = (
    Rewrite(
        "fused-activation",
        ("AVERAGE_POOL_2D", "CONCATENATION", "MAX_POOL_2D", "TRANSPOSE_CONV"),
        unfuse_activation,
        "identical",
    ),
)
