"""A compiled file of one part, described layer by layer: damaged files differ in a single thing."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass

from atoll.edgetpu.simfile import EDGETPU_OP
from atoll.runtime.parts import CompiledPart, compiled_parts
from atoll.tflite.graph import Model, Operator, Subgraph, Tensor
from atoll.tflite.writer import write_model
from compiled_files.package import executable, options, package
from compiled_files.programs import (
    CACHING,
    EXECUTION,
    INPUT,
    OUTPUT,
    PARAMETER,
    TYPES,
    InstructionHint,
    InterruptHint,
    Layer,
    Program,
    TransferHint,
    addresses,
    code_bytes,
)


@dataclass
class File:
    """A compiled file.

    Attributes:
        inputs: The operator's inputs, as tensors; a program has layers of its own.
        outputs: Its outputs.
        programs: Its programs.
        runtime: The oldest runtime that it names.
    """

    inputs: list[Layer]
    outputs: list[Layer]
    programs: list[Program]
    runtime: int = 14


def sound(inputs=None, outputs=None, parameters=bytes(128)) -> File:
    """A file that keeps every rule: a program that runs, and one that loads parameters."""
    inputs = inputs or [Layer("in", 24)]
    outputs = outputs or [Layer("out", 10)]
    faces = [(INPUT, each) for each in inputs] + [(OUTPUT, each) for each in outputs]
    sent = [TransferHint(base, each.name, 0, each.sent) for base, each in faces]
    run = _program(EXECUTION, sent, [(base, each.name) for base, each in faces])
    run.inputs, run.outputs = list(inputs), list(outputs)
    loaded = [TransferHint(PARAMETER, "", 0, len(parameters))]
    load = _program(CACHING, loaded, [(PARAMETER, "")])
    load.parameters = parameters
    return File([copy(each) for each in inputs], [copy(each) for each in outputs], [run, load])


def part_of(file: File) -> CompiledPart:
    """The file's one part, as the runtime reads it."""
    (part,) = compiled_parts(model_of(file), "made")
    return part


def content_of(file: File) -> bytes:
    """The .tflite file."""
    return write_model(model_of(file))


def model_of(file: File) -> Model:
    """The model that the file is of."""
    tensors = [_tensor(each) for each in (*file.inputs, *file.outputs)]
    count = len(file.inputs)
    made = package(*(executable(each) for each in file.programs), runtime=file.runtime)
    op = Operator(
        "CUSTOM",
        list(range(count)),
        list(range(count, len(tensors))),
        custom_name=EDGETPU_OP,
        custom_options=options(made),
    )
    return Model([Subgraph("main", tensors, [op], op.inputs, op.outputs)])


def _program(kind, moved, of) -> Program:
    places = addresses(*of)
    hints = [InstructionHint(0), *moved, InterruptHint()]
    return Program(kind, hints, chunks=[bytes(code_bytes(places))], addresses=places)


def _tensor(layer: Layer) -> Tensor:
    shape = (layer.y_dim, layer.x_dim, layer.z_dim)
    if layer.y_dim == layer.x_dim == 1:
        shape = shape[2:]
    return Tensor(layer.name, TYPES[layer.data_type], (1, *shape))
