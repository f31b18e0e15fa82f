"""The chip: it checks each frame against the compiled files, and says what it would answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from atoll.edgetpu.package_tables import ExecutableType
from atoll.stick.frames import FrameParser, Header, Tag, event
from atoll.stick.program import What

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from atoll.stick.known import Computer, KnownPart
    from atoll.stick.program import Program, Step

# Registers that say how the chip was set up, and what they must say.
_RUN_CONTROL = 0x44018
_MANY_ENDPOINTS = 0x4C160
_DESCRIPTORS = 0x4C148
_ALL_DESCRIPTORS = 0xFF
_POWER = 0x1A318
_FORCE_SLEEP = 3 << 22
# The endpoints on which it answers.
OUTPUT_ENDPOINT, EVENT_ENDPOINT = 1, 2
# Among the answers: what follows comes only when the driver is through with what stands before.
FENCE = 0


class Violation(Exception):  # noqa: N818 - what the driver did, and no fault of ours
    """What a driver sent that no chip could make sense of.

    Args:
        due: What should have come.
        came: What came.
    """

    def __init__(self, due: object, came: object) -> None:
        self.due, self.came = str(due), str(came)
        super().__init__(f"due: {self.due}; came: {self.came}")


@dataclass
class Frame:
    """A frame that has come in whole, and what the chip answers.

    Attributes:
        kind: "caching" or "program" for instructions, "parameters", "input".
        answers: What goes back: endpoint and bytes; `FENCE` and none for a pause.
        program: The program that it belongs to.
        part: The compiled part that this belongs to.
        done: Whether it was the program's last.
    """

    kind: str
    program: Program
    part: KnownPart
    answers: list[tuple[int, bytes]] = field(default_factory=list)
    done: bool = False


class Chip:
    """One chip's state between frames.

    Args:
        parts: The models that it knows.
        computers: What computes for each of them.
    """

    def __init__(self, parts: Sequence[KnownPart], computers: Sequence[Computer]) -> None:
        self._programs = [(program, part) for part in parts for program in part.programs]
        self._computers = {id(p): computer for p, computer in zip(parts, computers, strict=True)}
        self._registers: dict[int, int] = {}
        self._sleep()

    def write_register(self, address: int, value: int) -> None:
        """The driver wrote to a register."""
        self._registers[address] = value
        if address == _POWER and value & _FORCE_SLEEP == _FORCE_SLEEP:
            self._sleep()

    @property
    def clock_divider(self) -> int:
        """The power of two that the driver divides 500 MHz by."""
        return self._registers.get(_POWER, 0) >> 28 & 3

    def take(self, endpoint: int, data: memoryview) -> Iterator[Frame]:
        """Takes what the driver sent in one transfer.

        Args:
            endpoint: The endpoint.
            data: The bytes.

        Yields:
            The frames that it completes.

        Raises:
            Violation: It is not what was due.
        """
        self._check_set_up(endpoint)
        for part in self._parser.feed(data):
            if isinstance(part, Header):
                self._begin(part)
                continue
            self._add(np.frombuffer(part.data, np.uint8))
            if part.last:
                yield self._end()

    def _sleep(self) -> None:
        self._parser = FrameParser()
        self._cached: list[Program] = []
        self._candidates: list[tuple[Program, KnownPart]] = []
        self._at = 0
        self._taken = 0
        self._code = np.empty(0, np.uint8)
        self._inputs: dict[str, np.ndarray] = {}
        self._outputs: dict[str, np.ndarray] | None = None
        # Which bytes of scratch memory the program wrote: zeros, all of them.
        self._scratch = np.empty(0, bool)

    def _check_set_up(self, endpoint: int) -> None:
        if self._registers.get(_RUN_CONTROL) != 1:
            raise Violation("that the chip is told to run (0x44018 = 1)", "data before that")
        if endpoint != 1 or self._registers.get(_MANY_ENDPOINTS):
            raise Violation("one endpoint for all (USB_OPERATING_MODE=2)", f"endpoint {endpoint}")
        if self._registers.get(_DESCRIPTORS) == _ALL_DESCRIPTORS:
            raise Violation(
                "a driver that goes by the file's hints "
                "(USB_ENABLE_BULK_DESCRIPTORS_FROM_DEVICE=false)",
                "one that waits for the chip to ask",
            )

    def _begin(self, header: Header) -> None:
        came = f"tag {header.tag}, {header.length} bytes"
        if not self._candidates:
            self._start_program(header, came)
        left = [
            (program, part)
            for program, part in self._candidates
            if (program.steps[self._at].tag, program.steps[self._at].size)
            == (header.tag, header.length)
        ]
        if not left:
            raise Violation(self._due, came)
        self._candidates = left
        self._taken = 0
        if self._due.what == What.INSTRUCTIONS:
            self._code = np.empty(header.length, np.uint8)

    def _start_program(self, header: Header, came: str) -> None:
        self._at = 0
        self._inputs, self._outputs = {}, None
        self._scratch = np.empty(0, bool)
        sizes = sorted({program.steps[0].size for program, _ in self._programs})
        if header.tag != Tag.INSTRUCTIONS or header.length not in sizes:
            known = ", ".join(map(str, sizes)) or "no model"
            raise Violation(f"the instructions of a known program ({known} bytes)", came)
        self._candidates = list(self._programs)

    @property
    def _due(self) -> Step:
        return self._candidates[0][0].steps[self._at]

    def _add(self, data: np.ndarray) -> None:
        """Some of a frame's bytes."""
        step, start = self._due, self._taken
        self._taken += data.size
        if step.what == What.PARAMETERS:
            self._compare_parameters(data, start)
        elif step.what == What.SCRATCH_IN:
            # What the chip has not written yet may be anything.
            place = step.start + start
            written = self._scratch[place : place + data.size]
            data = data[: written.size]
            self._compare(step, np.where(written, 0, data), data, start)
        elif step.what == What.INSTRUCTIONS:
            self._code[start : start + data.size] = data
        else:
            self._add_input(step, data, start)

    def _add_input(self, step: Step, data: np.ndarray, start: int) -> None:
        layout = self._candidates[0][0].inputs[step.name]
        if step.name not in self._inputs:
            self._inputs[step.name] = np.zeros(layout.size, np.uint8)
        buffer = self._inputs[step.name]
        place = step.start + start
        known = max(min(step.known - start, data.size, layout.steady_bytes - place), 0)
        self._compare(step, buffer[place : place + known], data[:known], start)
        buffer[place : place + data.size] = data

    def _compare_parameters(self, data: np.ndarray, start: int) -> None:
        def wanted(program: Program) -> np.ndarray:
            place = program.steps[self._at].start + start
            return program.parameters[place : place + data.size]

        left = [each for each in self._candidates if np.array_equal(wanted(each[0]), data)]
        if not left:
            self._compare(self._due, wanted(self._candidates[0][0]), data, start)
        self._candidates = left

    def _compare(self, step: Step, wanted: np.ndarray, data: np.ndarray, start: int) -> None:
        if not np.array_equal(wanted, data):
            first = start + int(np.flatnonzero(wanted != data)[0])
            raise Violation(step, f"other bytes, the first of them at {first}")

    def _end(self) -> Frame:
        """A frame is there: what it was, and what the chip does until the next is due."""
        step = self._due
        if step.what == What.INSTRUCTIONS:
            self._recognise(self._code, step)
        program, part = self._candidates[0]
        frame = Frame(_kind(program, step), program, part)
        self._at += 1
        while self._at < len(program.steps) and self._due.tag is None:
            if self._due.fenced:
                frame.answers.append((FENCE, b""))
            frame.answers.append(self._answer(program, part, self._due))
            self._at += 1
        if self._at == len(program.steps):
            self._finish(frame, program)
        return frame

    def _recognise(self, sent: np.ndarray, step: Step) -> None:
        """Keeps the programs whose instructions these are."""
        left = [each for each in self._candidates if each[0].code[step.start].fits(sent)]
        if not left:
            code = self._candidates[0][0].code[step.start]
            place = code.first_difference(sent)
            raise Violation(step, f"other instructions, from byte {place} on")
        ready = [each for each in left if self._is_ready(*each)]
        if not ready:
            program = left[0][0]
            held = ", ".join(f"{each.token:#x}" for each in self._cached) or "none"
            raise Violation(
                f"the parameters of {program.name!r}, token {program.token:#x}, first",
                f"a run of it, with the parameters of {held} on the chip",
            )
        # What has the same code and other hints cannot be told apart; what has all the same may be.
        self._candidates = [each for each in ready if each[0].steps == ready[0][0].steps]

    def _is_ready(self, program: Program, part: KnownPart) -> bool:
        """Whether the parameters that a program works with are on the chip."""
        if program.type != ExecutableType.EXECUTION_ONLY:
            return True
        caching = [each for each in part.programs if each.is_caching]
        return all(each in self._cached for each in caching)

    def _answer(self, program: Program, part: KnownPart, step: Step) -> tuple[int, bytes]:
        if step.what == What.INTERRUPT:
            return EVENT_ENDPOINT, event(Tag.INTERRUPT + step.start)
        if step.what == What.SCRATCH_OUT:
            grown = np.zeros(max(self._scratch.size, step.start + step.size), bool)
            grown[: self._scratch.size] = self._scratch
            grown[step.start : step.start + step.size] = True
            self._scratch = grown
            return OUTPUT_ENDPOINT, bytes(step.size)
        if self._outputs is None:
            missing = [name for name in program.inputs if name not in self._inputs]
            if missing:
                raise Violation(f"input {missing[0]!r}", "nothing for it")
            self._outputs = self._computers[id(part)](program, self._inputs)
        buffer = self._outputs[step.name]
        return OUTPUT_ENDPOINT, buffer[step.start : step.start + step.size].tobytes()

    def _finish(self, frame: Frame, program: Program) -> None:
        frame.done = True
        if program.is_caching:
            # All that could not be told apart have the same parameters.
            loaded = [each for each, _ in self._candidates]
            kept = [each for each in self._cached_with(program) if each not in loaded]
            self._cached = kept + loaded
        elif program.type == ExecutableType.STAND_ALONE:
            self._cached = self._cached_with(program)
        self._candidates = []

    def _cached_with(self, program: Program) -> list[Program]:
        """What stays on the chip beside a program: that of its own token, if it has one."""
        return [each for each in self._cached if each.token == program.token != 0]


def _kind(program: Program, step: Step) -> str:
    if step.what == What.INSTRUCTIONS:
        return "caching" if program.is_caching else "program"
    return "parameters" if step.what == What.PARAMETERS else "input"
