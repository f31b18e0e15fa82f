"""Graphs that make no sense: a file from elsewhere must not end the program."""

from dataclasses import replace

import numpy as np
import pytest
from legalize.structures import CASES

from atoll.errors import AtollError
from atoll.legalize.job import legalize
from atoll.tflite.graph import Quantization
from atoll.tflite.writer import write_model

_SIZES = (0, 1, 2, 3, 5, 64, 1 << 16, (1 << 31) - 1)


def _shape(rng, tensor):
    kept = [n for n in tensor.shape if rng.random() < 0.8]
    return replace(
        tensor,
        shape=tuple(int(rng.choice(_SIZES)) if rng.random() < 0.4 else n for n in kept),
        data=None,
    )


def _signature(rng, tensor):
    return replace(tensor, shape_signature=tuple(int(rng.choice((-1, n))) for n in tensor.shape))


def _type(rng, tensor):
    return replace(tensor, type=str(rng.choice(("INT8", "UINT8", "FLOAT32", "INT32", "INT64"))),
                   data=None)  # fmt: skip


def _scales(rng, tensor):
    count = int(rng.integers(0, 4))
    made = Quantization(np.full(count, 0.1, np.float32), np.zeros(count, np.int64))
    return replace(tensor, quantization=made if count else None)


def _numbers(rng, tensor):
    if tensor.data is None or tensor.data.dtype.kind not in "iu":
        return tensor
    limits = np.iinfo(tensor.data.dtype)
    choices = [n for n in (-(1 << 31), -2, -1, 0, 1, 3, 1000, (1 << 31) - 1) if n <= limits.max]
    choices = [n for n in choices if n >= limits.min]
    return replace(tensor, data=rng.choice(choices, tensor.data.shape).astype(tensor.data.dtype))


def _inputs(rng, op):
    made = [t if rng.random() < 0.7 else -1 for t in op.inputs]
    return replace(op, inputs=made[: int(rng.integers(0, len(made) + 1))])


def _outputs(rng, op):
    return replace(op, outputs=op.outputs[: int(rng.integers(0, len(op.outputs) + 1))])


def _options(rng, op):
    return replace(op, options=None)


def _other(rng, op):
    kinds = ("RESHAPE", "TRANSPOSE", "PADV2", "TILE", "GATHER", "DEPTH_TO_SPACE", "LEAKY_RELU")
    return replace(op, type=str(rng.choice(kinds)))


def spoiled(model, seed):
    """A model with a few things in its graph that do not fit together."""
    rng = np.random.default_rng(seed)
    graph = model.main
    tensors, operators = list(graph.tensors), list(graph.operators)
    for _ in range(int(rng.integers(1, 4))):
        if rng.random() < 0.6:
            place = int(rng.integers(len(tensors)))
            change = (_shape, _signature, _type, _scales, _numbers)[int(rng.integers(5))]
            tensors[place] = change(rng, tensors[place])
        else:
            place = int(rng.integers(len(operators)))
            change = (_inputs, _outputs, _options, _other)[int(rng.integers(4))]
            operators[place] = change(rng, operators[place])
    return replace(model, subgraphs=[replace(graph, tensors=tensors, operators=operators)])


@pytest.mark.parametrize("name", CASES)
def test_a_senseless_graph_gives_a_graph_or_one_error(name):
    """A traceback would stand where a person wants to know what is wrong with the file."""
    model = CASES[name][0]()
    for seed in range(40):
        bad = spoiled(model, seed)
        try:
            done = legalize(bad, verify=False)
        except AtollError:
            continue
        assert write_model(done.model)
