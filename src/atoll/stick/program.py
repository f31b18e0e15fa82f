"""What the chip can be asked to do: the programs of compiled files, step by step."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np

from atoll.edgetpu.package_tables import (
    BaseAddress,
    Direction,
    ExecutableType,
    Fence,
    Instructions,
    Interrupt,
    Transfer,
)
from atoll.errors import ModelError
from atoll.stick.frames import Tag
from atoll.stick.layout import LayerLayout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from atoll.edgetpu.package_tables import Chunk, DmaHint, Executable

_FIELD_BITS = 32


class What(Enum):
    """What a step moves. The first four are for the driver to do, the others for the chip."""

    INSTRUCTIONS = "instructions"
    INPUT = "input"
    PARAMETERS = "parameters"
    SCRATCH_IN = "scratch memory, to be read back"
    OUTPUT = "output"
    SCRATCH_OUT = "scratch memory"
    INTERRUPT = "interrupt"


_BY_DRIVER = {
    What.INSTRUCTIONS: Tag.INSTRUCTIONS,
    What.INPUT: Tag.INPUT,
    What.PARAMETERS: Tag.PARAMETERS,
    # The published driver sends scratch memory as if it was an input.
    What.SCRATCH_IN: Tag.INPUT,
}


@dataclass(frozen=True)
class Step:
    """One step of a program.

    Attributes:
        what: What is moved.
        name: The layer's name, for an input or an output.
        start: Its first byte in the buffer; the number of a chunk or an interrupt.
        size: Bytes; 0 for an interrupt.
        known: Bytes from its start that an earlier step of the same layer sent too.
        fenced: Whether what stands before must be over for the driver too.
    """

    what: What
    name: str
    start: int
    size: int
    known: int = 0
    fenced: bool = False

    @property
    def tag(self) -> Tag | None:
        """The tag of the frame that the driver sends; None where it is the chip's step."""
        return _BY_DRIVER.get(self.what)

    def __str__(self) -> str:
        if self.what == What.INSTRUCTIONS:
            return f"instructions (chunk {self.start}) of {self.size} bytes"
        name = f" {self.name!r}" if self.name else ""
        place = f" from {self.start} on" if self.start else ""
        return f"{self.what.value}{name} of {self.size} bytes{place}"


class Code:
    """A chunk of instructions, and which of its bits the driver fills in."""

    def __init__(self, chunk: Chunk) -> None:
        bits = 8 * len(chunk.bitstream)
        free = np.zeros(bits, bool)
        for field in chunk.field_offsets:
            free[field.offset_bit : field.offset_bit + _FIELD_BITS] = True
        self._mask = ~np.packbits(free, bitorder="little")
        self._fixed = np.frombuffer(chunk.bitstream, np.uint8) & self._mask
        self.size = len(chunk.bitstream)

    def fits(self, sent: np.ndarray) -> bool:
        """Whether what was sent is this chunk, but for what the driver fills in."""
        return sent.size == self.size and np.array_equal(sent & self._mask, self._fixed)

    def first_difference(self, sent: np.ndarray) -> int:
        """The first byte that differs; the shorter length where none does."""
        size = min(sent.size, self.size)
        differs = np.flatnonzero((sent[:size] & self._mask[:size]) != self._fixed[:size])
        return int(differs[0]) if differs.size else size


class Program:
    """An executable, ready to be compared with what the driver sends.

    Args:
        executable: The executable.
        name: What to call it in a message.

    Attributes:
        name: As above.
        type: What it is for.
        token: Programs of one token share the parameter cache.
        steps: What happens in a run, in order.
        code: The chunks.
        parameters: uint8, what it sends to the chip.
        inputs: The layout of each input, by name.
        outputs: The layout of each output, by name.

    Raises:
        ModelError: It contradicts itself, or does what a virtual stick cannot.
    """

    def __init__(self, executable: Executable, name: str) -> None:
        self.name = name
        self.type = executable.type
        self.token = executable.parameter_caching_token
        self.code = [Code(chunk) for chunk in executable.chunks]
        self.parameters = np.frombuffer(executable.parameters, np.uint8)
        self.inputs = {each.name: LayerLayout(each, name) for each in executable.input_layers}
        self.outputs = {each.name: LayerLayout(each, name) for each in executable.output_layers}
        self._scratch_bytes = executable.scratch_size_bytes
        hints = executable.dma_hints.hints if executable.dma_hints is not None else ()
        self.steps = _without_repeats(self._fenced(hints))
        if executable.batch_size != 1:
            raise self._unknown("one input at a time", f"a batch of {executable.batch_size}")
        if not self.steps or self.steps[0].what != What.INSTRUCTIONS:
            raise self._unknown("instructions first", "a program that begins otherwise")

    @property
    def is_caching(self) -> bool:
        """Whether it only loads parameters."""
        return self.type == ExecutableType.PARAMETER_CACHING

    def _fenced(self, hints: Sequence[DmaHint]) -> list[Step]:
        """The steps, each knowing whether a fence stands right before it."""
        found: list[Step] = []
        fenced = False
        for hint in hints:
            if isinstance(hint.what, Fence):
                fenced = True
            elif (step := self._step(hint)) is not None:
                found.append(replace(step, fenced=fenced))
                fenced = False
        return found

    def _step(self, hint: DmaHint) -> Step | None:
        what = hint.what
        if isinstance(what, Instructions):
            return Step(What.INSTRUCTIONS, "", what.chunk, self.code[what.chunk].size)
        if isinstance(what, Interrupt):
            return Step(What.INTERRUPT, "", what.number, 0)
        if not isinstance(what, Transfer) or what.meta is None or what.size_in_bytes == 0:
            return None  # for no bytes the driver sends nothing, not even a header
        base, start, size = what.meta.base, what.offset_in_bytes, what.size_in_bytes
        kinds = {
            BaseAddress.INPUT: (What.INPUT, self._size_of(self.inputs, what.meta.name)),
            BaseAddress.OUTPUT: (What.OUTPUT, self._size_of(self.outputs, what.meta.name)),
            BaseAddress.PARAMETER: (What.PARAMETERS, self.parameters.size),
            BaseAddress.SCRATCH: (_SCRATCH[hint.direction], self._scratch_bytes),
        }
        kind, limit = kinds[base]
        if not 0 <= start <= start + size <= limit:
            raise self._unknown("transfers within their buffers", f"{size} bytes at {start}")
        return Step(kind, what.meta.name, start, size)

    def _size_of(self, layers: dict[str, LayerLayout], name: str) -> int:
        return layers[name].size if name in layers else -1

    def _unknown(self, rule: str, received: str) -> ModelError:
        return ModelError(
            self.name,
            f"a virtual stick runs programs with {rule}",
            received=received,
            fix="Compile the model again",
        )


_SCRATCH = {Direction.INFEED: What.SCRATCH_IN, Direction.OUTFEED: What.SCRATCH_OUT}


def _without_repeats(steps: list[Step]) -> tuple[Step, ...]:
    """The steps, each input's knowing how much of it was sent before."""
    ends: dict[str, int] = {}
    found: list[Step] = []
    for step in steps:
        if step.what == What.INPUT:
            known = min(max(ends.get(step.name, 0) - step.start, 0), step.size)
            ends[step.name] = max(ends.get(step.name, 0), step.start + step.size)
            step = replace(step, known=known)
        found.append(step)
    return tuple(found)
