"""Damaged models, and what each part of the front makes of them.

Two kinds of damage: bytes of a file (what the reader must stand), and the graph that a file holds
(what every pass behind the reader must stand: a well-formed file with a senseless graph).
"""

import contextlib
import copy
import dataclasses
import random
import struct

import numpy as np

from atoll.compiler.advice import weigh
from atoll.compiler.caveats import caveats
from atoll.compiler.hypothetical import as_quantized
from atoll.compiler.pipeline import cut_into
from atoll.edgetpu.analysis import Analysis, analyse
from atoll.edgetpu.rules import NEWEST_RUNTIME
from atoll.edgetpu.simfile import compile_for_sim
from atoll.errors import AtollError, UsageError
from atoll.legalize.job import legalize
from atoll.report.model_page import render
from atoll.tflite.build import GraphBuilder
from atoll.tflite.graph import Model, Tensor
from atoll.tflite.reader import parse_model
from atoll.tflite.types import BY_NAME
from atoll.tflite.writer import write_model

_INTERESTING = (0, 1, 2, 3, 4, 5, 7, 8, 127, 128, 255, 256, 0x7FFF, 0xFFFF, 1 << 20, 1 << 24,
                0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFFE)  # fmt: skip
_SIZES = (-1, 0, 1, 2, 3, 5, 7, 64, 65, 1000, 1 << 16, 1 << 30, (1 << 31) - 1)


def corpus() -> list[bytes]:
    """Small models that together hold every kind of operator that a pass looks at."""
    return [write_model(model) for model in (_classifier(), _segmenter(), _detector(), _vector())]


def _classifier() -> Model:
    b = GraphBuilder("int8", seed=1)
    x = b.input((1, 16, 16, 3), type="UINT8")
    x = b.conv2d(b.quantize(x), 8, 3, 2, activation="RELU6")
    y = b.depthwise(x, 3)
    (y,) = b.op("HARD_SWISH", [y], [b.shape(y)])
    y = b.conv2d(y, 8, 1)
    x = b.add(x, y)
    gate = b.logistic(b.conv2d(b.mean(x, keepdims=True), 8, 1))
    x = b.mul(x, gate)
    (x,) = b.op("LEAKY_RELU", [x], [b.shape(x)])
    x = b.mean(b.max_pool(x, 2))
    return b.model(b.dequantize(b.softmax(b.dense(x, 5))))


def _segmenter() -> Model:
    b = GraphBuilder("uint8", seed=2)
    x = b.input((1, 8, 8, 3))
    down = b.conv2d(x, 8, 3, 2, activation="RELU")
    up = b.resize(b.average_pool(down, 2, 2), (4, 4), "nearest")
    x = b.concat([down, up])
    x = b.transpose_conv(b.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)]), 4, 3)
    x = b.resize(x, (16, 16), "bilinear")
    axis = b.constant(np.array(3, np.int32))
    (x,) = b.op("ARG_MAX", [x, axis], [(1, 16, 16)], output_type="INT32")
    return b.model(x)


def _detector() -> Model:
    b = GraphBuilder("int8", seed=3)
    x = b.input((1, 8, 8, 4))
    turned = b.constant(np.array([0, 3, 1, 2], np.int32))
    back = b.constant(np.array([0, 2, 3, 1], np.int32))
    (t,) = b.op("TRANSPOSE", [x, turned], [(1, 4, 8, 8)])
    (t,) = b.op("TRANSPOSE", [t, back], [(1, 8, 8, 4)])
    half, rest = b.op("SPLIT", [b.constant(np.array(3, np.int32)), t], [(1, 8, 8, 2), (1, 8, 8, 2)])
    boxes = b.reshape(b.conv2d(half, 4, 1), (1, 64, 4))
    scores = b.tanh(b.reshape(b.conv2d(rest, 4, 1), (1, 64, 4)))
    found = b.op(
        "CUSTOM", [boxes, scores], [(1, 10, 4)], custom_name="TFLite_Detection_PostProcess",
        custom_options=b"\x01\x02", output_type="FLOAT32",
    )  # fmt: skip
    return b.model([found[0], b.sub(boxes, scores)])


def _vector() -> Model:
    b = GraphBuilder("int8", seed=4)
    x = b.input((1, 12), type="FLOAT32")
    x = b.dense(b.quantize(x), 6, activation="RELU")
    x = b.add(x, b.random_constant((1, 6)))
    (x,) = b.op("GELU", [x], [b.shape(x)])
    (x,) = b.op("RSQRT", [x], [b.shape(x)])
    return b.model(b.relu(b.reshape(x, (1, 2, 3))))


def damage(data: bytes, rng: random.Random) -> bytes:
    """One damaged copy of a file: of its bytes, or of the graph in it."""
    return _damage_graph(data, rng) if rng.random() < 0.4 else _damage_bytes(data, rng)


def _damage_bytes(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        at = rng.randrange(len(changed))
        kind = rng.randrange(6)
        if kind == 0:
            changed[at] = rng.randrange(256)
        elif kind == 1:
            changed[at] ^= 1 << rng.randrange(8)
        elif kind == 2:
            at = min(at & ~3, len(changed) - 4)
            changed[at : at + 4] = struct.pack("<I", rng.choice(_INTERESTING))
        elif kind == 3:
            del changed[at:]
        elif kind == 4:
            end = min(len(changed), at + rng.randrange(1, 64))
            changed[at:end] = bytes(end - at)
        else:
            other = rng.randrange(len(changed))
            count = rng.randrange(1, 64)
            changed[at : at + count] = changed[other : other + count]
        if len(changed) < 8:
            break
    return bytes(changed)


def _damage_graph(data: bytes, rng: random.Random) -> bytes:
    model = copy.deepcopy(parse_model(data, "corpus"))
    for _ in range(rng.choice((1, 1, 2, 3, 6))):
        rng.choice((_tensor, _tensor, _operator, _operator, _ends))(model, rng)
    try:
        return write_model(model)
    except TypeError:
        # The damage has no form in the file: a number where the schema has a truth value.
        return _damage_bytes(data, rng)


def _tensor(model: Model, rng: random.Random) -> None:
    graph = model.main
    at = rng.randrange(len(graph.tensors))
    tensor = graph.tensors[at]
    kind = rng.randrange(6)
    if kind == 0 and not tensor.is_constant:
        shape = tuple(max(0, rng.choice(_SIZES)) for _ in range(rng.randrange(7)))
        graph.tensors[at] = dataclasses.replace(tensor, shape=shape, shape_signature=None)
    elif kind == 1 and not tensor.is_constant:
        signature = tuple(rng.choice((-1, size)) for size in tensor.shape)
        graph.tensors[at] = dataclasses.replace(tensor, shape_signature=signature)
    elif kind == 2:
        graph.tensors[at] = dataclasses.replace(tensor, quantization=None)
    elif kind == 3 and not tensor.is_constant:
        graph.tensors[at] = dataclasses.replace(tensor, type=rng.choice(sorted(BY_NAME)))
    elif kind == 4 and tensor.quantization is not None:
        scale = np.full_like(
            tensor.quantization.scale, rng.choice((0.0, -1.0, 1e-38, 3e38, np.nan, np.inf))
        )
        quantization = dataclasses.replace(tensor.quantization, scale=scale)
        graph.tensors[at] = dataclasses.replace(tensor, quantization=quantization)
    elif tensor.is_constant and tensor.data is not None:
        if rng.random() < 0.5:
            noise = np.frombuffer(rng.randbytes(tensor.data.nbytes), tensor.data.dtype)
            graph.tensors[at] = dataclasses.replace(tensor, data=noise.reshape(tensor.data.shape))
        else:
            graph.tensors[at] = dataclasses.replace(tensor, data=None)


def _operator(model: Model, rng: random.Random) -> None:
    graph = model.main
    at = rng.randrange(len(graph.operators))
    op = graph.operators[at]
    kind = rng.randrange(7)
    if kind == 0:
        op.options = None
    elif kind == 1 and op.inputs:
        op.inputs[rng.randrange(len(op.inputs))] = rng.randrange(-1, len(graph.tensors))
    elif kind == 2 and op.outputs:
        op.outputs[rng.randrange(len(op.outputs))] = rng.randrange(len(graph.tensors))
    elif kind == 3:
        graph.operators[at] = dataclasses.replace(
            rng.choice(graph.operators), inputs=list(op.inputs), outputs=list(op.outputs)
        )
    elif kind == 4:
        rng.choice((op.inputs, op.outputs)).clear()
    elif kind == 5:
        op.version = rng.choice((0, 1, 2, 99, -1))
    else:
        _option(op.options, rng)


def _option(options: object, rng: random.Random) -> None:
    values = {} if options is None else vars(options)
    fields = [name for name, value in values.items() if isinstance(value, int)]
    if fields:
        name = rng.choice(fields)
        most = 1 if isinstance(values[name], bool) else 100
        setattr(options, name, min(most, rng.choice((0, 1, 2, 3, 100))))


def _ends(model: Model, rng: random.Random) -> None:
    graph = model.main
    ends = rng.choice((graph.inputs, graph.outputs))
    if ends and rng.random() < 0.3:
        ends.clear()
    else:
        ends.append(rng.randrange(len(graph.tensors)))
    if rng.random() < 0.2:
        graph.tensors.append(Tensor("", "INT8", ()))


def _cut(model: Model, analysis: Analysis) -> None:
    with contextlib.suppress(UsageError):  # there may be less than two mapped operators
        cut_into(model, analysis.verdicts, 2, NEWEST_RUNTIME)


def survey(data: bytes, *, whole: bool = True) -> str:
    """Runs the whole front on a file.

    Args:
        data: The file's content.
        whole: Whether the slower parts (the legaliser, what is weighed, segments, the page) are run
            too.

    Returns:
        "ok", or the kind of error that said clearly what is wrong.

    Raises:
        Exception: Anything else: that is what is looked for.
    """
    try:
        model = parse_model(data, "model.tflite")
        analysis = analyse(model.main)
        analyse(model.main, multiple_subgraphs=True, min_runtime=10)
        write_model(compile_for_sim(model))
        caveats(model.main, analysis.verdicts)
        if whole:
            legalize(model, verify=False)
            weigh(analyse(as_quantized(model.main)))
            _cut(model, analysis)
            render("model", analysis, [])
    except AtollError as error:
        message = str(error)
        assert message
        assert "\n" not in message
        return type(error).__name__
    return "ok"
