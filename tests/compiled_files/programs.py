"""What the programs of a compiled file are made of. Nothing here is checked: files may lie."""

from __future__ import annotations

from dataclasses import dataclass, field

OUTPUT, INPUT, PARAMETER, SCRATCH = range(4)
STAND_ALONE, CACHING, EXECUTION = range(3)
INFEED, OUTFEED = range(2)
UINT8, INT8, INT16 = 0, 8, 9
# TFLite's name of each type of a layer, and its bytes.
TYPES = {UINT8: "UINT8", INT8: "INT8", INT16: "INT16"}
BYTES = {UINT8: 1, INT8: 1, INT16: 2}


@dataclass
class Layer:
    """An input or output.

    Attributes:
        name: The tensor's name.
        z_dim: Its channels.
        data_type: A key of `TYPES`.
        size_bytes: Bytes that are sent; None for those that follow from its shape.
        y_dim: Its height.
        x_dim: Its width.
        maps: Where an output's elements lie, as of `tiles`; None leaves that out.
        zero_point: Of its quantisation.
        scale: The same.
    """

    name: str
    z_dim: int
    data_type: int = UINT8
    size_bytes: int | None = None
    y_dim: int = 1
    x_dim: int = 1
    maps: list[list[int]] | None = None
    zero_point: int = 128
    scale: float = 0.5

    @property
    def sent(self) -> int:
        """Bytes that are sent: whole words of 8."""
        if self.size_bytes is not None:
            return self.size_bytes
        return whole_words(self.y_dim * self.x_dim * self.z_dim * BYTES[self.data_type])


@dataclass
class TransferHint:
    """Data is moved; in the direction of its kind where none is named."""

    base: int
    name: str
    start: int
    size: int
    direction: int | None = None


@dataclass
class InstructionHint:
    """A chunk is sent; with another union than 2 the hint is of a kind that it is not."""

    chunk: int
    union: int = 2


@dataclass
class InterruptHint:
    """The chip says that it is done."""


@dataclass
class FenceHint:
    """What stands before must be over first."""


Hint = TransferHint | InstructionHint | InterruptHint | FenceHint


@dataclass
class Address:
    """32 bits of a chunk that the driver fills in: half of an address."""

    base: int
    name: str = ""
    position: int = 0
    offset_bit: int = 70


@dataclass
class Program:
    """An executable.

    Attributes:
        type: STAND_ALONE, CACHING or EXECUTION.
        hints: What is moved, in order.
        inputs: Its input layers.
        outputs: Its output layers.
        chunks: Its instructions.
        addresses: What the driver fills in, in each chunk.
        parameters: As they are laid out for the chip.
        token: Programs of one token share the chip's memory for parameters.
        scratch: Bytes of its scratch memory.
        chip: What it is made for.
        batch: Inputs that it takes at once.
        determined: Whether the hints tell of every transfer.
        narrow_bytes: Bytes of each tile's memory that it uses.
        cycles: How many the compiler takes it for.
    """

    type: int
    hints: list[Hint]
    inputs: list[Layer] = field(default_factory=list)
    outputs: list[Layer] = field(default_factory=list)
    chunks: list[bytes] = field(default_factory=list)
    addresses: list[Address] = field(default_factory=list)
    parameters: bytes = b""
    token: int = 0x1234
    scratch: int = 0
    chip: str = "beagle"
    batch: int = 1
    determined: bool = True
    narrow_bytes: int = 0
    cycles: int = 0


def addresses(*of: tuple[int, str]) -> list[Address]:
    """Both halves of some addresses, (base, name) each, one behind the other.

    They take `code_bytes` of a chunk.
    """
    return [
        Address(*each, half, 70 + 128 * (2 * k + half))
        for k, each in enumerate(of)
        for half in (0, 1)
    ]


def code_bytes(places: list[Address]) -> int:
    """The least bytes of a chunk with these addresses in it, in whole instructions of 16."""
    return 16 * (1 + max((each.offset_bit + 31) // 128 for each in places))


def whole_words(size: int) -> int:
    """Bytes that are sent, 8 at a time."""
    return -(-size // 8) * 8
