"""Compiled files with no compiler: a small model's operators in the wrapping that the chip's files
have, with instructions that mean nothing.

All that a driver and a virtual stick look at is there and true: layers, hints, parameters as they
are laid out, places that the driver fills in, outputs in tiles. Tables are written by the stock
FlatBuffers builder, in the slots of docs/format.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import flatbuffers
import numpy as np
from flatbuffers import flexbuffers

from atoll.edgetpu.parameters_encode import encode
from atoll.tflite.build import GraphBuilder
from atoll.tflite.graph import Model, Operator, Subgraph
from atoll.tflite.writer import write_model

EDGETPU_OP = "edgetpu-custom-op"
_DATA_TYPES = {"UINT8": 0, "INT8": 8}
_STAND_ALONE, _CACHING, _EXECUTION = 0, 1, 2
_OUTPUT, _INPUT, _PARAMETER, _SCRATCH = 0, 1, 2, 3
_TILES = 4


@dataclass(frozen=True)
class Wrapping:
    """What a compiled file is to be like.

    Attributes:
        seed: Of the instructions.
        token: Of the parameter cache.
        cached: Whether parameters are cached, or sent with each run.
        chunks: Chunks of instructions in a run.
        overlap: Bytes of the first input that are sent twice.
        scratch: Bytes of scratch memory that the chip writes and reads back.
        fences: Whether the driver must be through with the inputs before outputs may come, and with
            these before the chip is done.
        empty: Whether there are transfers of no bytes, too.
        chunk_bytes: Bytes of a chunk.
    """

    seed: int = 1
    token: int = 0x1234
    cached: bool = True
    chunks: int = 1
    overlap: int = 0
    scratch: int = 0
    fences: bool = False
    empty: bool = False
    chunk_bytes: int = 512


def image_model(style="uint8", side=9, seed=0) -> Model:
    """A model of an image with two outputs: an image in an odd size, and numbers."""
    b = GraphBuilder(style, seed=seed)
    x = b.conv2d(b.input((1, side, side, 3)), 6, kernel=3, activation="RELU6")
    scores = b.dense(b.mean(x), 5)
    return b.model([x, scores])


def compiled(model: Model, wrapping: Wrapping = Wrapping()) -> Model:
    """A model whose only operator is the compiled one, with the faces of the model given."""
    graph = model.main
    tensors = [graph.tensors[i] for i in (*graph.inputs, *graph.outputs)]
    count = len(graph.inputs)
    places = list(range(count)), list(range(count, len(tensors)))
    op = Operator(
        "CUSTOM", *places, custom_name=EDGETPU_OP, custom_options=payload(graph, wrapping)
    )
    return Model([Subgraph("main", tensors, [op], *places)], description="compiled")


def compiled_pair(folder, model: Model, wrapping: Wrapping = Wrapping(), name="model"):
    """The files of a compiled model and its twin beside it.

    Returns:
        The compiled file's path, and the twin's.
    """
    twin, made = folder / f"{name}.tflite", folder / f"{name}_edgetpu.tflite"
    twin.write_bytes(write_model(model))
    made.write_bytes(write_model(compiled(model, wrapping)))
    return made, twin


def payload(graph: Subgraph, wrapping: Wrapping) -> bytes:
    """The custom operator's options: a map with the package in it."""
    builder = flexbuffers.Builder()
    with builder.Map():
        builder.Key("1")
        builder.Int(0)
        builder.Key("4")
        # What the builder's own String does, but for encoding text.
        builder._WriteBlob(
            package(graph, wrapping), append_zero=True, type_=flexbuffers.Type.STRING
        )
        builder.Key("5")
        builder.Int(-1)
    return bytes(builder.Finish())


def package(graph: Subgraph, wrapping: Wrapping) -> bytes:
    """The package, with one executable, or with two where parameters are cached."""
    blocks = [block for op in graph.operators if (block := encode(graph, op)) is not None]
    parameters = b"".join(blocks)
    run = _Executable(graph, wrapping, _EXECUTION if wrapping.cached else _STAND_ALONE)
    made = [run.write(b"" if wrapping.cached else parameters)]
    if wrapping.cached:
        made.append(_Executable(graph, wrapping, _CACHING).write(parameters))
    s = _Slots()
    inner = s.offsets([s.builder.CreateString(each) for each in made])
    multi = s.finish(s.table(1, (0, inner)))
    s = _Slots()
    data = s.builder.CreateByteVector(multi + bytes(-len(multi) % 4096))
    version = s.builder.CreateString("test")
    return s.finish(s.table(8, (0, "Int32", 13), (1, data), (4, version)), b"DWN1")


def tiles(height: int, width: int, depth: int) -> tuple[list[list[int]], int]:
    """The six maps of an output in tiles of 4 x 4, and its size in bytes.

    Rows and columns are cut where Google's compiler cuts them; a pixel's channels are padded to 4.
    """
    y_tile, y_local, _ = _cut(height)
    x_tile, x_local, x_width = _cut(width)
    pixel = -(-depth // 4) * 4
    rows, columns = max(y_tile) + 1, max(x_tile) + 1
    heights = [y_tile.count(t) for t in range(rows)]
    widths = [x_tile.count(t) for t in range(columns)]
    sizes = [h * w * pixel for h in heights for w in widths]
    # A gap between the tiles, as the chip sends whole words.
    offsets = [0, *np.cumsum([size + 8 for size in sizes]).tolist()]
    maps = [
        [t * columns for t in y_tile],
        x_tile,
        offsets[:-1],
        [x * pixel for x in x_local],
        y_local,
        [w * pixel for w in x_width],
    ]
    return maps, offsets[-1]


def _cut(size: int) -> tuple[list[int], list[int], list[int]]:
    """For each place its tile, its place within, and the tile's size."""
    bounds = sorted({-(-size * k // _TILES) for k in range(_TILES + 1)})
    tile, local, width = [], [], []
    for number, (start, end) in enumerate(pairwise(bounds)):
        tile += [number] * (end - start)
        local += range(end - start)
        width += [end - start] * (end - start)
    return tile, local, width


class _Slots:
    """Writes tables from (slot, offset) and (slot, kind, number)."""

    def __init__(self):
        self.builder = flatbuffers.Builder(1 << 16)

    def table(self, count, *fields):
        b = self.builder
        b.StartObject(count)
        for slot, *value in fields:
            if len(value) == 1:
                b.PrependUOffsetTRelativeSlot(slot, value[0], 0)
            else:
                getattr(b, f"Prepend{value[0]}Slot")(slot, value[1], 0)
        return b.EndObject()

    def offsets(self, values):
        self.builder.StartVector(4, len(values), 4)
        for value in reversed(values):
            self.builder.PrependUOffsetTRelative(value)
        return self.builder.EndVector()

    def integers(self, values):
        self.builder.StartVector(4, len(values), 4)
        for value in reversed(values):
            self.builder.PrependInt32(value)
        return self.builder.EndVector()

    def finish(self, root, identifier=None):
        self.builder.Finish(root, identifier)
        return bytes(self.builder.Output())


class _Executable:
    """One executable of a graph."""

    def __init__(self, graph: Subgraph, wrapping: Wrapping, kind: int):
        self.s = _Slots()
        self.graph, self.wrapping, self.kind = graph, wrapping, kind
        self.rng = np.random.default_rng([wrapping.seed, kind])
        self.addresses = [(_PARAMETER, "")]
        if kind != _CACHING:
            faces = ((_INPUT, graph.inputs), (_OUTPUT, graph.outputs))
            self.addresses += [(d, graph.tensors[t].name) for d, ts in faces for t in ts]
            self.addresses += [(_SCRATCH, "")] * bool(wrapping.scratch)

    def write(self, parameters: bytes) -> bytes:
        s, wrapping = self.s, self.wrapping
        runs = self.kind != _CACHING
        sizes: dict[str, int] = {}
        inputs = [self.layer(t, None, sizes) for t in self.graph.inputs] if runs else []
        outputs = [self.layer(t, 1, sizes) for t in self.graph.outputs] if runs else []
        chunks = [self.chunk() for _ in range(wrapping.chunks if runs else 1)]
        hints = s.table(2, (0, s.offsets(self.hints(parameters, sizes))), (1, "Bool", True))
        blob = s.builder.CreateByteVector(parameters)
        chip = s.builder.CreateString("beagle")
        return s.finish(
            s.table(
                17,
                (3, "Int32", 1),
                (4, "Int32", wrapping.scratch if runs else 0),
                (5, s.offsets(chunks)),
                (6, blob),
                (7, hints),
                (8, s.offsets(inputs)),
                (9, s.offsets(outputs)),
                (10, chip),
                (13, "Int16", self.kind),
                (14, "Uint64", wrapping.token),
            )
        )

    def chunk(self):
        """Random instructions, with places for both halves of every address."""
        s, size = self.s, self.wrapping.chunk_bytes
        places = [
            s.table(2, (0, self.meta(*address, half)), (1, "Int32", 70 + 128 * (2 * k + half)))
            for k, address in enumerate(self.addresses)
            for half in (0, 1)
        ]
        stream = s.builder.CreateByteVector(self.rng.bytes(size))
        return s.table(2, (0, stream), (1, s.offsets(places)))

    def hints(self, parameters: bytes, sizes: dict[str, int]):
        if self.kind == _CACHING:
            return [
                self.instructions(0),
                self.transfer(_PARAMETER, "", 0, len(parameters)),
                self.interrupt(),
            ]
        names = [self.graph.tensors[t].name for t in self.graph.inputs]
        found = [self.instructions(0)]
        if parameters:
            found.append(self.transfer(_PARAMETER, "", 0, len(parameters)))
        for name in names:
            half = sizes[name] // 2 // 8 * 8
            start = half - min(self.wrapping.overlap, half)
            found.append(self.transfer(_INPUT, name, 0, half))
            found.append(self.transfer(_INPUT, name, start, sizes[name] - start))
        found += [self.instructions(k) for k in range(1, self.wrapping.chunks)]
        if self.wrapping.scratch:
            found.append(self.transfer(_SCRATCH, "", 0, self.wrapping.scratch, 1))
            found.append(self.transfer(_SCRATCH, "", 0, self.wrapping.scratch, 0))
        outputs = [self.graph.tensors[tensor].name for tensor in self.graph.outputs]
        if self.wrapping.empty:
            found.insert(1, self.transfer(_INPUT, names[0], 8, 0))
            found.append(self.transfer(_OUTPUT, outputs[0], 0, 0, 1))
            found.append(self.transfer(_PARAMETER, "", 0, 0))
        fence = [self.hint(4, self.s.table(0), 0)] if self.wrapping.fences else []
        found += fence
        for name in outputs:
            found.append(self.transfer(_OUTPUT, name, 0, sizes[name], 1))
        return [*found, *fence, self.interrupt()]

    def instructions(self, chunk: int):
        return self.hint(2, self.s.table(1, (0, "Int32", chunk)), 0)

    def interrupt(self):
        return self.hint(3, self.s.table(1), 1)

    def transfer(self, base: int, name: str, start: int, size: int, direction: int = 0):
        meta = self.meta(base, name, 0)
        table = self.s.table(3, (0, meta), (1, "Int32", start), (2, "Int32", size))
        return self.hint(1, table, direction)

    def hint(self, kind: int, table, direction: int):
        return self.s.table(3, (0, "Uint8", kind), (1, table), (2, "Int16", direction))

    def meta(self, base: int, name: str, position: int):
        text = self.s.builder.CreateString(name)
        return self.s.table(4, (0, "Int16", base), (2, text), (3, "Int16", position))

    def layer(self, index: int, kind: int | None, sizes: dict[str, int]):
        s, tensor = self.s, self.graph.tensors[index]
        image = len(tensor.shape) == 4
        y, x = tensor.shape[1:3] if image else (1, 1)
        z = tensor.shape[-1]
        size = -(-y * x * z // 8) * 8
        maps = [[0] for _ in range(6)]
        if kind == 1 and y * x > 1:
            maps, size = tiles(y, x, z)
            size = -(-size // 8) * 8
        sizes[tensor.name] = size
        details = (
            s.table(3, (0, s.table(6, *((i, s.integers(m)) for i, m in enumerate(maps)))))
            if kind == 1
            else s.table(0)
        )
        text = s.builder.CreateString(tensor.name)
        numerics = s.table(2, (0, "Int32", 0), (1, "Float32", 1.0))
        return s.table(
            12,
            (0, text),
            (1, "Int32", size),
            (2, "Int32", y),
            (3, "Int32", x),
            (4, "Int32", z),
            (5, numerics),
            (6, "Int16", _DATA_TYPES[tensor.type]),
            (7, "Uint8", kind or 2),
            (8, details),
        )
