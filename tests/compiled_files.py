"""Files in the form of those that Google's compiler makes, for tests that have none of them.

Their parameters, layers, transfers and output layouts are as docs/format.md tells; their
instructions are no program. FlatBuffers are written by the stock builder, slot by slot.
"""

from dataclasses import replace

import flatbuffers
import numpy as np
from flatbuffers import flexbuffers

from atoll.edgetpu.parameters_encode import encode
from atoll.edgetpu.partition import partition
from atoll.edgetpu.simfile import EDGETPU_OP, SIM_OP, to_sim
from atoll.tflite.reader import parse_model
from atoll.tflite.types import BY_NAME
from atoll.tflite.writer import write_model

TILES = 4
CACHING, EXECUTION = 1, 2
_DATA_TYPES = {"UINT8": 0, "INT8": 8}
_OUTPUT, _INPUT, _PARAMETER = 0, 1, 2


class Slots:
    """Writes tables from (slot, kind, value); what is 0 is left out, as the builder does."""

    def __init__(self):
        self.builder = flatbuffers.Builder(0)

    def table(self, count, *fields):
        b = self.builder
        b.StartObject(count)
        for slot, kind, value in fields:
            if kind == "offset":
                b.PrependUOffsetTRelativeSlot(slot, value, 0)
            else:
                getattr(b, f"Prepend{kind}Slot")(slot, value, 0)
        return b.EndObject()

    def vector(self, offsets):
        b = self.builder
        b.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            b.PrependUOffsetTRelative(offset)
        return b.EndVector()

    def integers(self, values):
        b = self.builder
        b.StartVector(4, len(values), 4)
        for value in reversed(values):
            b.PrependInt32(int(value))
        return b.EndVector()

    def finish(self, root, identifier=None):
        self.builder.Finish(root, identifier)
        return bytes(self.builder.Output())


def meta(s, base, name="", position=0):
    text = s.builder.CreateString(name)
    return s.table(4, (0, "Int16", base), (2, "offset", text), (3, "Int16", position))


def hint(s, kind, table, direction=0):
    return s.table(3, (0, "Uint8", kind), (1, "offset", table), (2, "Int16", direction))


def package(*executables, identifier=b"DWN1", runtime=14):
    """A package of serialised executables."""
    s = Slots()
    inner = s.vector([s.builder.CreateString(each) for each in executables])
    multi = s.finish(s.table(1, (0, "offset", inner)))
    s = Slots()
    data, version = s.builder.CreateByteVector(multi), s.builder.CreateString("cl/1")
    table = s.table(8, (0, "Int32", runtime), (1, "offset", data), (4, "offset", version))
    return s.finish(table, identifier)


def options(data):
    """The custom operator's payload; the package is a string there, as Google's compiler has it."""
    builder = flexbuffers.Builder()
    with builder.Map():
        builder.Key("1")
        builder.Int(0)
        if data is not None:
            builder.Key("4")
            # What the builder's own String does, but for encoding text.
            builder._WriteBlob(data, append_zero=True, type_=flexbuffers.Type.STRING)
        builder.Key("5")
        builder.Int(-1)
        builder.Key("6")
        builder.VectorFromElements([18])
    return bytes(builder.Finish())


def compiled(model, *, token=0x1234, streamed=False, runtime=14):
    """A model as Google's compiler would have compiled it, as far as software can tell.

    Args:
        model: A plain model.
        token: Of its parameters in the chip's memory.
        streamed: Whether its parameters are sent at every call.
        runtime: The oldest runtime that it names.
    """
    cut = to_sim(model, partition(model.main, multiple_subgraphs=True))
    operators = []
    for number, op in enumerate(cut.main.operators):
        if op.custom_name == SIM_OP:
            part = parse_model(op.custom_options, "part").main
            data = _packed(part, token + number, streamed, runtime)
            op = replace(op, custom_name=EDGETPU_OP, custom_options=options(data))
        operators.append(op)
    main = replace(cut.main, operators=operators)
    return replace(cut, subgraphs=[main, *cut.subgraphs[1:]])


def write_pair(folder, model, name="net", **how):
    """Writes NAME.tflite and NAME_edgetpu.tflite, and gives the latter's path."""
    (folder / f"{name}.tflite").write_bytes(write_model(model))
    path = folder / f"{name}_edgetpu.tflite"
    path.write_bytes(write_model(compiled(model, **how)))
    return path


def _packed(graph, token, streamed, runtime):
    blob = b"".join(encode(graph, op) or b"" for op in graph.operators)
    if not blob or streamed:
        return package(_executable(graph, 0, 0, blob), runtime=runtime)
    return package(
        _executable(graph, EXECUTION, token, b""),
        _executable(None, CACHING, token, blob),
        runtime=runtime,
    )


def _executable(graph, kind, token, blob):
    s = Slots()
    inputs = [graph.tensors[t] for t in graph.inputs] if graph else []
    outputs = [graph.tensors[t] for t in graph.outputs] if graph else []
    bases = [(_PARAMETER, "")] * bool(blob)
    bases += [(_INPUT, t.name) for t in inputs] + [(_OUTPUT, t.name) for t in outputs]
    seed = np.random.default_rng(len(blob) + kind)
    stream = s.builder.CreateByteVector(seed.bytes(16 * (4 + 2 * len(bases))))
    places = s.vector(
        [
            s.table(2, (0, "offset", meta(s, base, name, p)), (1, "Int32", 70 + 128 * (2 * i + p)))
            for i, (base, name) in enumerate(bases)
            for p in (0, 1)
        ]
    )
    chunks = s.vector([s.table(2, (0, "offset", stream), (1, "offset", places))])
    sizes = [(_PARAMETER, "", len(blob), 0)] * bool(blob)
    sizes += [(_INPUT, t.name, _size(t), 0) for t in inputs]
    sizes += [(_OUTPUT, t.name, _size(t), 1) for t in outputs]
    hints = [hint(s, 2, s.table(1))]
    for base, name, size, way in sizes:
        table = s.table(3, (0, "offset", meta(s, base, name)), (2, "Int32", size))
        hints.append(hint(s, 1, table, way))
    hints.append(hint(s, 3, s.table(1), 1))
    hints = s.table(2, (0, "offset", s.vector(hints)), (1, "Bool", True))
    inputs = s.vector([_layer(s, t, 2) for t in inputs])
    outputs = s.vector([_layer(s, t, 1) for t in outputs])
    parameters = s.builder.CreateByteVector(blob)
    chip, name = s.builder.CreateString("beagle"), s.builder.CreateString("model")
    return s.finish(
        s.table(
            17,
            (1, "offset", name),
            (3, "Int32", 1),
            (5, "offset", chunks),
            (6, "offset", parameters),
            (7, "offset", hints),
            (8, "offset", inputs),
            (9, "offset", outputs),
            (10, "offset", chip),
            (13, "Int16", kind),
            (14, "Uint64", token),
        )
    )


def _dims(tensor):
    """(height, width, channels) as the chip counts them."""
    *_, y, x, z = (1, 1, *tensor.shape)
    return y, x, z


def _size(tensor):
    """Bytes as they are sent: each value has its own, the whole is filled up to 8."""
    return -(-int(np.prod(tensor.shape)) * BY_NAME[tensor.type].dtype.itemsize // 8) * 8


def _layer(s, tensor, kind):
    y, x, z = _dims(tensor)
    quantization = tensor.quantization
    numerics = s.table(
        2,
        (0, "Int32", int(quantization.zero_point[0])),
        (1, "Float32", float(quantization.scale[0])),
    )
    layout = s.table(6, *((i, "offset", s.integers(m)) for i, m in enumerate(_layout(y, x, z))))
    inside = s.table(0) if kind == 2 else s.table(3, (0, "offset", layout))
    return s.table(
        12,
        (0, "offset", s.builder.CreateString(tensor.name)),
        (1, "Int32", _size(tensor)),
        (2, "Int32", y),
        (3, "Int32", x),
        (4, "Int32", z),
        (5, "offset", numerics),
        (6, "Int16", _DATA_TYPES[tensor.type]),
        (7, "Uint8", kind),
        (8, "offset", inside),
    )


def _layout(height, width, channels):
    """The six maps of an image that lies on 4 x 4 tiles, tile after tile."""
    rows = [-(-height * k // TILES) for k in range(TILES + 1)]
    columns = [-(-width * k // TILES) for k in range(TILES + 1)]
    row_of = np.searchsorted(rows, np.arange(height), side="right") - 1
    column_of = np.searchsorted(columns, np.arange(width), side="right") - 1
    offsets, end = [], 0
    for r in range(TILES):
        for c in range(TILES):
            offsets.append(end)
            end += (rows[r + 1] - rows[r]) * (columns[c + 1] - columns[c]) * channels
    return (
        row_of * TILES,
        column_of,
        offsets,
        (np.arange(width) - np.take(columns, column_of)) * channels,
        np.arange(height) - np.take(rows, row_of),
        np.take(np.diff(columns), column_of) * channels,
    )
