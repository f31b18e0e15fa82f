"""Any model as Google's compiler would have compiled it, as far as software can tell."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from atoll.edgetpu.parameters_encode import encode
from atoll.edgetpu.partition import partition
from atoll.edgetpu.simfile import EDGETPU_OP, SIM_OP, to_sim
from atoll.tflite.build import GraphBuilder
from atoll.tflite.reader import parse_model
from atoll.tflite.writer import write_model
from compiled_files.instructions import readable
from compiled_files.package import executable, options, package
from compiled_files.programs import (
    CACHING,
    EXECUTION,
    INFEED,
    INPUT,
    OUTFEED,
    OUTPUT,
    PARAMETER,
    SCRATCH,
    STAND_ALONE,
    TYPES,
    Address,
    FenceHint,
    Hint,
    InstructionHint,
    InterruptHint,
    Layer,
    Program,
    TransferHint,
    addresses,
    code_bytes,
    whole_words,
)
from compiled_files.tiles import tiles

if TYPE_CHECKING:
    from pathlib import Path

    from atoll.tflite.graph import Model, Subgraph, Tensor

_DATA_TYPES = {name: data_type for data_type, name in TYPES.items()}


@dataclass(frozen=True)
class Wrapping:
    """What a compiled file is to be like.

    Attributes:
        seed: Of the instructions, which know nothing of the model; each further part has the next.
        readable: Whether the instructions are whole ones that tell the layers' scales, instead.
        token: Of its parameters in the chip's memory; the same.
        cached: Whether its parameters stay on the chip, or are sent with each run.
        runtime: The oldest runtime that it names.
        chunks: Chunks of instructions in a run.
        chunk_bytes: Bytes of a chunk; more where its addresses need more.
        overlap: Bytes of each input that are sent twice; 0 sends it at once.
        scratch: Bytes of scratch memory that the chip writes and reads back.
        fences: Whether the driver must be through with the inputs before outputs may come, and with
            these before the chip is done.
        empty: Whether there are transfers of no bytes, too.
    """

    seed: int = 1
    readable: bool = False
    token: int = 0x1234
    cached: bool = True
    runtime: int = 14
    chunks: int = 1
    chunk_bytes: int = 512
    overlap: int = 0
    scratch: int = 0
    fences: bool = False
    empty: bool = False


def compiled(model: Model, wrapping: Wrapping = Wrapping()) -> Model:
    """A model whose mapped operators are compiled ones."""
    cut = to_sim(model, partition(model.main, multiple_subgraphs=True))
    operators = []
    for number, op in enumerate(cut.main.operators):
        if op.custom_name == SIM_OP:
            part = parse_model(op.custom_options, "part").main
            token, seed = wrapping.token + number, wrapping.seed + number
            data = _packed(part, replace(wrapping, token=token, seed=seed))
            op = replace(op, custom_name=EDGETPU_OP, custom_options=options(data))
        operators.append(op)
    main = replace(cut.main, operators=operators)
    return replace(cut, subgraphs=[main, *cut.subgraphs[1:]])


def compiled_pair(
    folder: Path, model: Model, wrapping: Wrapping = Wrapping(), name: str = "net"
) -> tuple[Path, Path]:
    """Writes NAME_edgetpu.tflite, and NAME.tflite, its twin.

    Returns:
        The path of the compiled file, and of its twin.
    """
    made, twin = folder / f"{name}_edgetpu.tflite", folder / f"{name}.tflite"
    twin.write_bytes(write_model(model))
    made.write_bytes(write_model(compiled(model, wrapping)))
    return made, twin


def write_pair(folder: Path, model: Model, name: str = "net") -> Path:
    """The same with nothing odd about it; gives the compiled file's path alone."""
    return compiled_pair(folder, model, name=name)[0]


def image_model(style: str = "uint8", side: int = 9, seed: int = 0) -> Model:
    """A model of an image with two outputs: an image in an odd size, and numbers."""
    b = GraphBuilder(style, seed=seed)
    x = b.conv2d(b.input((1, side, side, 3)), 6, kernel=3, activation="RELU6")
    scores = b.dense(b.mean(x), 5)
    return b.model([x, scores])


def _packed(graph: Subgraph, wrapping: Wrapping) -> bytes:
    """The package of a part: a program, and where parameters are cached one that loads them."""
    parameters = b"".join(encode(graph, op) or b"" for op in graph.operators)
    if wrapping.cached and parameters:
        programs = [_run(graph, wrapping, EXECUTION, b""), _load(wrapping, parameters)]
    else:
        programs = [_run(graph, wrapping, STAND_ALONE, parameters)]
    return package(*(executable(each) for each in programs), runtime=wrapping.runtime)


def _run(graph: Subgraph, wrapping: Wrapping, kind: int, parameters: bytes) -> Program:
    inputs = [_layer(graph.tensors[t]) for t in graph.inputs]
    outputs = [_in_tiles(_layer(graph.tensors[t])) for t in graph.outputs]
    faces = [(INPUT, each.name) for each in inputs] + [(OUTPUT, each.name) for each in outputs]
    # Google's compiler writes the first two into every program that runs.
    places = addresses((PARAMETER, ""), (SCRATCH, ""), *faces)
    return Program(
        kind,
        _moved(inputs, outputs, wrapping, parameters),
        inputs,
        outputs,
        [readable(graph, places)]
        if wrapping.readable
        else _code(wrapping, kind, wrapping.chunks, places),
        places,
        parameters,
        wrapping.token,
        wrapping.scratch,
    )


def _load(wrapping: Wrapping, parameters: bytes) -> Program:
    places = addresses((PARAMETER, ""))
    return Program(
        CACHING,
        [InstructionHint(0), *_parameters(parameters), InterruptHint()],
        chunks=[readable(None, places)]
        if wrapping.readable
        else _code(wrapping, CACHING, 1, places),
        addresses=places,
        parameters=parameters,
        token=wrapping.token,
    )


def _code(wrapping: Wrapping, kind: int, count: int, places: list[Address]) -> list[bytes]:
    rng = np.random.default_rng([wrapping.seed, kind])
    size = max(wrapping.chunk_bytes, code_bytes(places))
    return [rng.bytes(size) for _ in range(count)]


def _moved(
    inputs: list[Layer], outputs: list[Layer], wrapping: Wrapping, parameters: bytes
) -> list[Hint]:
    """What a run moves, in order."""
    hints = [InstructionHint(0), *_parameters(parameters)]
    hints += [hint for each in inputs for hint in _sent(each, wrapping.overlap)]
    hints += [InstructionHint(chunk) for chunk in range(1, wrapping.chunks)]
    if wrapping.scratch:
        hints.append(TransferHint(SCRATCH, "", 0, wrapping.scratch, OUTFEED))
        hints.append(TransferHint(SCRATCH, "", 0, wrapping.scratch, INFEED))
    if wrapping.empty:
        hints.insert(1, TransferHint(INPUT, inputs[0].name, 8, 0))
        hints.append(TransferHint(OUTPUT, outputs[0].name, 0, 0))
        hints.append(TransferHint(PARAMETER, "", 0, 0))
    fence = [FenceHint()] * wrapping.fences
    sent = [TransferHint(OUTPUT, each.name, 0, each.sent) for each in outputs]
    return [*hints, *fence, *sent, *fence, InterruptHint()]


def _parameters(parameters: bytes) -> list[Hint]:
    return [TransferHint(PARAMETER, "", 0, len(parameters))] * bool(parameters)


def _sent(layer: Layer, overlap: int) -> list[Hint]:
    """An input, at once or in two transfers that overlap, as in files with a large input."""
    if not overlap:
        return [TransferHint(INPUT, layer.name, 0, layer.sent)]
    half = layer.sent // 2 // 8 * 8
    start = half - min(overlap, half)
    spans = [(0, half), (start, layer.sent - start)]
    return [TransferHint(INPUT, layer.name, first, size) for first, size in spans]


def _layer(tensor: Tensor) -> Layer:
    *_, y, x, z = (1, 1, *tensor.shape)
    quantization = tensor.quantization
    return Layer(
        tensor.name,
        z,
        _DATA_TYPES[tensor.type],
        y_dim=y,
        x_dim=x,
        zero_point=int(quantization.zero_point[0]),
        scale=float(quantization.scale[0]),
    )


def _in_tiles(layer: Layer) -> Layer:
    """An output as it is sent; a single pixel is sent as it is."""
    if layer.y_dim * layer.x_dim == 1:
        return replace(layer, maps=[[0]] * 6)
    maps, size = tiles(layer.y_dim, layer.x_dim, layer.z_dim)
    return replace(layer, maps=maps, size_bytes=whole_words(size))
