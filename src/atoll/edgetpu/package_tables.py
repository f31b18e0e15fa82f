"""What a compiled part is made of: the tables of the package that the Edge TPU's runtime reads.

Fields stand in the order of the schema that the published runtime carries (executable.fbs of
google-coral/libedgetpu, Apache 2.0), and keep its names where they are clear.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated

from atoll.edgetpu.package_slots import (
    Blob,
    Blobs,
    Child,
    Children,
    Enumeration,
    Flag,
    Number,
    Numbers,
    Text,
    Union,
)

I32 = Annotated[int, Number("i")]
I32s = Annotated[tuple[int, ...], Numbers()]
Bool = Annotated[bool, Flag()]
Str = Annotated[str, Text()]
Data = Annotated[bytes, Blob()]


class ExecutableType(IntEnum):
    """What an executable is for."""

    STAND_ALONE = 0
    PARAMETER_CACHING = 1
    EXECUTION_ONLY = 2


class BaseAddress(IntEnum):
    """Which buffer's address is meant."""

    OUTPUT = 0
    INPUT = 1
    PARAMETER = 2
    SCRATCH = 3


class Position(IntEnum):
    """Which half of a 64-bit address is meant."""

    LOWER = 0
    UPPER = 1


class Direction(IntEnum):
    """Which way a transfer goes, seen from the chip."""

    INFEED = 0
    OUTFEED = 1


class DataType(IntEnum):
    """The type of a layer's elements."""

    FIXED_POINT8 = 0
    FIXED_POINT16 = 1
    SIGNED_FIXED_POINT32 = 2
    BFLOAT = 3
    HALF = 4
    SINGLE = 5
    SIGNED_FIXED_POINT8 = 8
    SIGNED_FIXED_POINT16 = 9


@dataclass(frozen=True)
class Meta:
    """Which address an instruction or a transfer needs.

    Attributes:
        base: The buffer.
        batch: Which of a batch; 0 for parameters.
        name: The layer's name; empty for parameters and scratch.
        position: Which half of the address.
    """

    base: Annotated[BaseAddress, Enumeration(BaseAddress)]
    batch: I32
    name: Str
    position: Annotated[Position, Enumeration(Position)]


@dataclass(frozen=True)
class FieldOffset:
    """A place in a chunk of instructions that the driver fills in.

    Attributes:
        meta: What with.
        offset_bit: Where, in bits from the chunk's start; 32 bits are filled.
    """

    meta: Annotated[Meta | None, Child(Meta)]
    offset_bit: I32


@dataclass(frozen=True)
class Chunk:
    """Instructions that are sent at once.

    Attributes:
        bitstream: The instructions.
        field_offsets: What the driver fills in.
    """

    bitstream: Data
    field_offsets: Annotated[tuple[FieldOffset, ...], Children(FieldOffset)]


@dataclass(frozen=True)
class Transfer:
    """A hint: the chip will ask for this transfer.

    Attributes:
        meta: Of what.
        offset_in_bytes: Its start within the buffer.
        size_in_bytes: Its size.
    """

    meta: Annotated[Meta | None, Child(Meta)]
    offset_in_bytes: I32
    size_in_bytes: I32


@dataclass(frozen=True)
class Instructions:
    """A hint: a chunk of instructions is sent.

    Attributes:
        chunk: Its index.
    """

    chunk: I32


@dataclass(frozen=True)
class Interrupt:
    """A hint: the chip will raise an interrupt.

    Attributes:
        number: 0 to 3.
    """

    number: Annotated[int, Number("h")]


@dataclass(frozen=True)
class Fence:
    """A hint: what stands before it must be over first."""


@dataclass(frozen=True)
class DmaHint:
    """One of the transfers of a run.

    Attributes:
        what: What is transferred.
        direction: Which way.
    """

    what: Annotated[
        Transfer | Instructions | Interrupt | Fence | None,
        Union({1: Transfer, 2: Instructions, 3: Interrupt, 4: Fence}),
    ]
    direction: Annotated[Direction, Enumeration(Direction)]


@dataclass(frozen=True)
class DmaHints:
    """The transfers of a run.

    Attributes:
        hints: In order.
        fully_deterministic: Whether they are all there are.
    """

    hints: Annotated[tuple[DmaHint, ...], Children(DmaHint)]
    fully_deterministic: Bool


@dataclass(frozen=True)
class Numerics:
    """A layer's quantisation.

    Attributes:
        zero_point: The stored value that means 0.
        scale: The real value of one step.
    """

    zero_point: I32
    scale: Annotated[float, Number("f")]


@dataclass(frozen=True)
class OutputLayout:
    """Where the elements of an output lie in what the tiles send.

    The element (y, x, z) is of tile `y_tile[y] + x_tile[x]`, at byte `tile_offset[tile] +
    y_local[y] * x_row_size[x] + x_local[x] + z`.

    Attributes:
        y_tile: For every y, the first tile of its row of tiles.
        x_tile: For every x, the tile within the row.
        tile_offset: For every tile, its first byte.
        x_local: For every x, its byte within a row of the tile.
        y_local: For every y, its row within the tile.
        x_row_size: For every x, the bytes of a row of its tile.
    """

    y_tile: I32s
    x_tile: I32s
    tile_offset: I32s
    x_local: I32s
    y_local: I32s
    x_row_size: I32s


@dataclass(frozen=True)
class TensorShape:
    """A tensor's shape.

    Attributes:
        dimensions: Of every dimension the first and the last index, both included.
    """

    dimensions: Annotated[tuple[tuple[int, int], ...], Numbers(each=2)]


@dataclass(frozen=True)
class TensorLayout:
    """How a tensor lies in memory.

    Attributes:
        shape: Its shape.
        stride: Of every dimension the distance of two neighbours, in elements.
    """

    shape: Annotated[TensorShape | None, Child(TensorShape)]
    stride: I32s


@dataclass(frozen=True)
class OutputShapeInfo:
    """An output as the tiles send it, slice by slice.

    Attributes:
        slice_layout: Each slice's layout.
        slice_offset: Each slice's first byte.
    """

    slice_layout: Annotated[tuple[TensorLayout, ...], Children(TensorLayout)]
    slice_offset: I32s


@dataclass(frozen=True)
class OutputLayer:
    """What only outputs have.

    Attributes:
        layout: Where the elements lie, for outputs of more than one pixel.
        data_type: No longer used.
        shape_info: Its slices.
    """

    layout: Annotated[OutputLayout | None, Child(OutputLayout)]
    data_type: Annotated[DataType, Enumeration(DataType)]
    shape_info: Annotated[OutputShapeInfo | None, Child(OutputShapeInfo)]


@dataclass(frozen=True)
class InputLayer:
    """What only inputs have: nothing."""


@dataclass(frozen=True)
class Layer:
    """An input or an output.

    Attributes:
        name: The tensor's name.
        size_bytes: Its size as it is sent, padding included.
        y_dim: Height, 1 where there is none.
        x_dim: Width, 1 where there is none.
        z_dim: Channels.
        numerics: Its quantisation.
        data_type: Its elements' type.
        kind: What only an input or only an output has.
        execution_count_per_inference: How often it is sent in one call.
        cache_on_dram: Whether it may stay in the chip's own DRAM, where there is one.
        shape: Its shape.
    """

    name: Str
    size_bytes: I32
    y_dim: I32
    x_dim: I32
    z_dim: I32
    numerics: Annotated[Numerics | None, Child(Numerics)]
    data_type: Annotated[DataType, Enumeration(DataType)]
    kind: Annotated[OutputLayer | InputLayer | None, Union({1: OutputLayer, 2: InputLayer})]
    execution_count_per_inference: Annotated[int, Number("i", 1)]
    cache_on_dram: Bool
    shape: Annotated[TensorShape | None, Child(TensorShape)]


@dataclass(frozen=True)
class Executable:
    """A program for the chip, and what it needs.

    Attributes:
        version: The format's version, 0.
        name: The model's name.
        serialized_model: Empty.
        batch_size: Inputs that are taken at once.
        scratch_size_bytes: Memory of the host that the program works in.
        chunks: The program.
        parameters: What it sends to the chip beside inputs: cached or streamed parameters.
        dma_hints: The transfers of a run.
        input_layers: What goes in.
        output_layers: What comes out.
        chip: The chip's name.
        estimated_cycles: No longer used.
        narrow_bytes_per_tile: Activation memory that it uses, in bytes a tile.
        type: What it is for.
        parameter_caching_token: Executables of one token share the cache.
        use_tpu_dram_for_parameters: Whether parameters may lie in the chip's own DRAM.
        estimated_cycles_64bit: The compiler's estimate of a run; 0 where it made none.
    """

    version: I32
    name: Str
    serialized_model: Data
    batch_size: I32
    scratch_size_bytes: I32
    chunks: Annotated[tuple[Chunk, ...], Children(Chunk)]
    parameters: Data
    dma_hints: Annotated[DmaHints | None, Child(DmaHints)]
    input_layers: Annotated[tuple[Layer, ...], Children(Layer)]
    output_layers: Annotated[tuple[Layer, ...], Children(Layer)]
    chip: Str
    estimated_cycles: I32
    narrow_bytes_per_tile: I32
    type: Annotated[ExecutableType, Enumeration(ExecutableType)]
    parameter_caching_token: Annotated[int, Number("Q")]
    use_tpu_dram_for_parameters: Bool
    estimated_cycles_64bit: Annotated[int, Number("q")]


@dataclass(frozen=True)
class MultiExecutable:
    """The executables of a package, each a FlatBuffer of its own."""

    serialized_executables: Annotated[tuple[bytes, ...], Blobs()]


@dataclass(frozen=True)
class SerializedPackage:
    """The package of one of several chips, a FlatBuffer of its own."""

    serialized_package: Data


@dataclass(frozen=True)
class PackageTable:
    """The package as it lies in the file: its executables are still closed.

    Attributes:
        min_runtime_version: The oldest runtime that runs it.
        serialized_multi_executable: The executables, a FlatBuffer of its own.
        signature: The maker's signature of these; not always there.
        keypair_version: Which key it was made with.
        compiler_version: The compiler's version.
        virtual_chip_id: Which of several chips it is for.
        multi_chip_package: The packages for several chips.
        model_identifier: A name that the user gave.
    """

    min_runtime_version: I32
    serialized_multi_executable: Data
    signature: Data
    keypair_version: I32
    compiler_version: Str
    virtual_chip_id: I32
    multi_chip_package: Annotated[tuple[SerializedPackage, ...], Children(SerializedPackage)]
    model_identifier: Str
