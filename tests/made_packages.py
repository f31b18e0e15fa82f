"""Compiled parts with a single thing wrong: what a damaged file is made of, layer by layer.

Nothing here can run on a chip: the instructions are zeros.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field

from compiled_files import Slots, hint, meta, options, package

from atoll.runtime.parts import CompiledPart, compiled_parts
from atoll.tflite.graph import Model, Operator, Subgraph, Tensor
from atoll.tflite.writer import write_model

OUTPUT, INPUT, PARAMETER, SCRATCH = range(4)
UINT8, INT8, INT16 = 0, 8, 9
RUN, LOAD = 2, 1
TYPES = {UINT8: "UINT8", INT8: "INT8", INT16: "INT16"}
BYTES = {UINT8: 1, INT8: 1, INT16: 2}


@dataclass
class Layer:
    """An input or output layer, one pixel of `channels`; what is None follows from the others."""

    name: str
    channels: int
    kind: int = UINT8
    size_bytes: int | None = None
    y_dim: int = 1
    x_dim: int = 1
    layout: list | None = None  # the six maps of an output

    @property
    def sent(self):
        raw = self.y_dim * self.x_dim * self.channels * BYTES[self.kind]
        return -(-raw // 8) * 8 if self.size_bytes is None else self.size_bytes


@dataclass
class Program:
    """An executable. A hint is ("chunk", index), ("interrupt",) or (base, name, offset, size)."""

    type: int
    hints: list
    inputs: list = field(default_factory=list)
    outputs: list = field(default_factory=list)
    parameters: bytes = b""
    token: int = 0x1234
    chip: str = "beagle"
    batch: int = 1
    determined: bool = True
    chunks: int = 1
    fields: list = field(default_factory=list)  # (base, name)


@dataclass
class File:
    """A compiled file of one part."""

    inputs: list
    outputs: list
    programs: list
    runtime: int = 14


def sound(inputs=None, outputs=None, parameters=bytes(128)) -> File:
    """A file that keeps every rule: one that runs, and one that loads parameters."""
    inputs = inputs or [Layer("in", 24)]
    outputs = outputs or [Layer("out", 10)]
    sent = [(INPUT, each.name, 0, each.sent) for each in inputs]
    sent += [(OUTPUT, each.name, 0, each.sent) for each in outputs]
    fields = [(INPUT, each.name) for each in inputs] + [(OUTPUT, each.name) for each in outputs]
    run = Program(
        RUN, [("chunk", 0), *sent, ("interrupt",)], list(inputs), list(outputs), fields=fields
    )
    load = Program(
        LOAD,
        [("chunk", 0), (PARAMETER, "", 0, len(parameters)), ("interrupt",)],
        parameters=parameters,
        fields=[(PARAMETER, "")],
    )
    tensors = [copy.copy(each) for each in inputs], [copy.copy(each) for each in outputs]
    return File(*tensors, [run, load])


def part_of(file: File) -> CompiledPart:
    """The file's one part, as the runtime reads it."""
    (part,) = compiled_parts(model_of(file), "made")
    return part


def content_of(file: File) -> bytes:
    """The .tflite file."""
    return write_model(model_of(file))


def model_of(file: File) -> Model:
    tensors = [Tensor(each.name, TYPES[each.kind], _shape(each)) for each in file.inputs]
    tensors += [Tensor(each.name, TYPES[each.kind], _shape(each)) for each in file.outputs]
    count = len(file.inputs)
    op = Operator(
        "CUSTOM",
        list(range(count)),
        list(range(count, len(tensors))),
        custom_name="edgetpu-custom-op",
        custom_options=options(_package(file)),
    )
    return Model([Subgraph("main", tensors, [op], op.inputs, op.outputs)])


def _shape(layer):
    if layer.y_dim == layer.x_dim == 1:
        return (1, layer.channels)
    return (1, layer.y_dim, layer.x_dim, layer.channels)


def _transfer(s, what):
    if what[0] == "chunk":
        kind, table, outwards = 2, s.table(1, (0, "Int32", what[1])), 0
    elif what[0] == "interrupt":
        kind, table, outwards = 3, s.table(1, (0, "Int16", 0)), 1
    else:
        base, name, offset, size, *way = what
        of = meta(s, base, name)
        table = s.table(3, (0, "offset", of), (1, "Int32", offset), (2, "Int32", size))
        kind, outwards = 1, way[0] if way else int(base == OUTPUT)
    return hint(s, kind, table, outwards)


def _layer(s, layer, output):
    name = s.builder.CreateString(layer.name)
    numerics = s.table(2, (0, "Int32", 128), (1, "Float32", 0.5))
    if output:
        maps = layer.layout
        inner = maps and s.table(6, *((i, "offset", s.integers(m)) for i, m in enumerate(maps)))
        kind = s.table(3, *([(0, "offset", inner)] if inner else []))
    else:
        kind = s.table(0)
    return s.table(
        12,
        (0, "offset", name),
        (1, "Int32", layer.sent),
        (2, "Int32", layer.y_dim),
        (3, "Int32", layer.x_dim),
        (4, "Int32", layer.channels),
        (5, "offset", numerics),
        (6, "Int16", layer.kind),
        (7, "Uint8", 1 if output else 2),
        (8, "offset", kind),
        (9, "Int32", 1),
    )


def _executable(program):
    s = Slots()
    places = s.vector(
        [
            s.table(2, (0, "offset", meta(s, base, name)), (1, "Int32", 70))
            for base, name in program.fields
        ]
    )
    stream = s.builder.CreateByteVector(bytes(64))
    chunk = s.table(2, (0, "offset", stream), (1, "offset", places))
    chunks = s.vector([chunk] * program.chunks)
    hints = s.vector([_transfer(s, each) for each in program.hints])
    hints = s.table(2, (0, "offset", hints), (1, "Bool", program.determined))
    inputs = s.vector([_layer(s, each, output=False) for each in program.inputs])
    outputs = s.vector([_layer(s, each, output=True) for each in program.outputs])
    parameters = s.builder.CreateByteVector(program.parameters)
    chip = s.builder.CreateString(program.chip)
    return s.finish(
        s.table(
            17,
            (3, "Int32", program.batch),
            (5, "offset", chunks),
            (6, "offset", parameters),
            (7, "offset", hints),
            (8, "offset", inputs),
            (9, "offset", outputs),
            (10, "offset", chip),
            (13, "Int16", program.type),
            (14, "Uint64", program.token),
        )
    )


def _package(file):
    made = [_executable(each) for each in file.programs]
    return package(*made, runtime=file.runtime)
