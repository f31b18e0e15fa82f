"""What can go wrong with a stick: one table of faults, each a function on the stick's answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from atoll.errors import UsageError
from atoll.stick.chip import EVENT_ENDPOINT, OUTPUT_ENDPOINT
from atoll.stick.frames import Tag, event
from atoll.stick.wire import Status, UsbError

_INTERRUPT_ENDPOINT = 3
_FATAL, _SHUTDOWN, _WARNING = 1 << 0, 1 << 1, 1 << 4
# Registers in which the chip says why it raised an interrupt.
_HIB_ERROR, _HIB_FIRST_ERROR, _THERMAL = 0x486F0, 0x48700, 0x1A0DC
# No chip tells of instructions. (Numbers that are no tag at all the published driver passes over.)
_UNKNOWN_TAG = Tag.INSTRUCTIONS

# Kinds of frames, in the order in which a driver first sends them: the last two are those that an
# output, or an event, is the answer to. Before and after these are other moments.
FRAMES = ("caching", "parameters", "program", "input", "output", "event")
MOMENTS = ("open", "claim", *FRAMES, "idle")


@dataclass
class Answer:
    """What the stick does after a moment, before a fault changes it.

    Attributes:
        error: Of opening or claiming.
        status: How the transfer ends.
        data: What goes back: endpoint and bytes.
        registers: Registers that change by themselves: address and value.
        wait_s: How long the stick takes, in seconds.
        unplugged: Whether it is pulled out instead.
        back_s: After how many seconds it is plugged in again; None for never.
        dead: Whether it never answers any more, until it is reset or plugged in anew.
    """

    error: UsbError = UsbError.SUCCESS
    status: Status = Status.COMPLETED
    data: list[tuple[int, bytes]] = field(default_factory=list)
    registers: list[tuple[int, int]] = field(default_factory=list)
    wait_s: float = 0.0
    unplugged: bool = False
    back_s: float | None = None
    dead: bool = False


# Changes an answer; the number is the fault's value.
Change = Callable[[Answer, float], Answer]


@dataclass(frozen=True)
class Fault:
    """One row.

    Attributes:
        name: What `--fault` calls it.
        change: What it does. Its docstring is the sentence that the user reads.
        at: When it happens, where no moment is named.
        only: The moments that it can happen at.
        value: Its number, where none is given.
        unit: What the number counts; empty where it has none.
        every: Whether it happens every time, where no count is given.
    """

    name: str
    change: Change
    at: str = "input"
    only: tuple[str, ...] = FRAMES
    value: float = 0.0
    unit: str = ""
    every: bool = False

    @property
    def sentence(self) -> str:
        """What it does, for the user."""
        return " ".join((self.change.__doc__ or "").split())


@dataclass(frozen=True)
class PlannedFault:
    """A fault that is to happen once, or every time.

    Attributes:
        fault: What happens.
        value: Its number.
        moment: When: one of `MOMENTS`; empty where it is at a frame of a number.
        count: At which of these moments, from 1; 0 for each of them. The number of a frame, from
            0, where there is no moment.
        stick: The stick that it happens to.
    """

    fault: Fault
    value: float
    moment: str
    count: int
    stick: int = 0

    def is_due(self, counts: Mapping[str, int], number: int) -> bool:
        """Whether it happens now.

        Args:
            counts: The moments that it is now, and how many of each there were, this one included.
            number: The number of frames before this one; -1 where this is no frame.
        """
        if not self.moment:
            return number == self.count
        return self.moment in counts and self.count in (0, counts[self.moment])

    @property
    def is_once(self) -> bool:
        """Whether it happens once."""
        return self.count != 0 or not self.moment

    def __str__(self) -> str:
        value = f"={self.value:g}" if self.fault.unit else ""
        return f"{self.fault.name}{value}"


def _unplug(answer: Answer, _value: float) -> Answer:
    """It is pulled out."""
    return Answer(unplugged=True)


def _replug(answer: Answer, value: float) -> Answer:
    """It is pulled out, and plugged in again after so many seconds, without its firmware."""
    return Answer(unplugged=True, back_s=value)


def _stall(answer: Answer, _value: float) -> Answer:
    """The endpoint halts."""
    return Answer(status=Status.STALL)


def _io_error(answer: Answer, _value: float) -> Answer:
    """The transfer fails on the way: a bad cable or hub."""
    return Answer(status=Status.ERROR)


def _timeout(answer: Answer, _value: float) -> Answer:
    """The transfer ends with a time-out, and nothing is answered."""
    return Answer(status=Status.TIMED_OUT, dead=True)


def _overflow(answer: Answer, _value: float) -> Answer:
    """The transfer ends with an overflow."""
    return Answer(status=Status.OVERFLOW)


def _silent(answer: Answer, _value: float) -> Answer:
    """It takes everything and answers nothing, until it is reset or plugged in anew."""
    return Answer(dead=True)


def _short(answer: Answer, value: float) -> Answer:
    """So many bytes of the output come, and no more."""
    left, data = int(value), []
    for endpoint, content in answer.data:
        if endpoint == OUTPUT_ENDPOINT:
            content, left = content[:left], left - min(left, len(content))
        if content:
            data.append((endpoint, content))
    return replace(answer, data=data)


def _surplus(answer: Answer, value: float) -> Answer:
    """So many bytes more come than the output has."""
    events = [each for each in answer.data if each[0] != OUTPUT_ENDPOINT]
    outputs = [each for each in answer.data if each[0] == OUTPUT_ENDPOINT]
    return replace(answer, data=[*outputs, (OUTPUT_ENDPOINT, bytes(int(value))), *events])


def _garbage(answer: Answer, value: float) -> Answer:
    """So many bytes come that nobody asked for, and then the output."""
    return replace(answer, data=[(OUTPUT_ENDPOINT, b"\xee" * int(value)), *answer.data])


def _slow(answer: Answer, value: float) -> Answer:
    """It answers so many seconds late."""
    return replace(answer, wait_s=answer.wait_s + value)


def _short_event(answer: Answer, _value: float) -> Answer:
    """The event that says that it is done has half its bytes."""
    return replace(answer, data=[(endpoint, content[: len(content) // 2])
                                 if endpoint == EVENT_ENDPOINT else (endpoint, content)
                                 for endpoint, content in answer.data])  # fmt: skip


def _unknown_event(answer: Answer, _value: float) -> Answer:
    """An event comes that means nothing."""
    return replace(answer, data=[(EVENT_ENDPOINT, event(_UNKNOWN_TAG)), *answer.data])


def _fatal(answer: Answer, _value: float) -> Answer:
    """A fatal error: it raises the interrupt for it, and stops."""
    registers = [(_HIB_ERROR, 1 << 2), (_HIB_FIRST_ERROR, 1 << 2)]
    return Answer(data=[_interrupt(_FATAL)], registers=registers, dead=True)


def _alarm(answer: Answer, _value: float) -> Answer:
    """It raises the interrupt for a fatal error with no error behind it, and goes on."""
    return replace(answer, data=[_interrupt(_FATAL), *answer.data])


def _hot(answer: Answer, _value: float) -> Answer:
    """It warns that it is hot, and goes on."""
    return replace(
        answer, data=[_interrupt(_WARNING), *answer.data], registers=[(_THERMAL, 1 << 31)]
    )


def _too_hot(answer: Answer, _value: float) -> Answer:
    """It says that it is too hot, and stops."""
    return Answer(data=[_interrupt(_SHUTDOWN)], registers=[(_THERMAL, 1 << 30)], dead=True)


def _access(answer: Answer, _value: float) -> Answer:
    """It may not be opened: a missing udev rule."""
    return Answer(error=UsbError.ACCESS)


def _busy(answer: Answer, _value: float) -> Answer:
    """Another program has it."""
    return Answer(error=UsbError.BUSY)


def _interrupt(bits: int) -> tuple[int, bytes]:
    return _INTERRUPT_ENDPOINT, bits.to_bytes(4, "little")


FAULTS = {
    row.name: row
    for row in (
        Fault("unplug", _unplug, only=MOMENTS),
        Fault("replug", _replug, only=MOMENTS, value=1.0, unit="seconds"),
        Fault("stall", _stall),
        Fault("io-error", _io_error),
        Fault("timeout", _timeout),
        Fault("overflow", _overflow),
        Fault("silent", _silent),
        Fault("short", _short, at="output", only=("output",), value=8, unit="bytes"),
        Fault("surplus", _surplus, at="output", only=("output",), value=16, unit="bytes"),
        Fault("garbage", _garbage, at="output", only=("output",), value=64, unit="bytes"),
        Fault("slow", _slow, value=1.0, unit="seconds"),
        Fault("short-event", _short_event, at="event", only=("event",)),
        Fault("unknown-event", _unknown_event, at="event", only=("event",)),
        Fault("fatal", _fatal),
        Fault("alarm", _alarm),
        Fault("hot", _hot),
        Fault("too-hot", _too_hot),
        Fault("access", _access, at="open", only=("open",), every=True),
        Fault("busy", _busy, at="claim", only=("claim",), every=True),
    )
}

_SPEC = re.compile(
    r"(?P<name>[a-z-]+)(=(?P<value>[0-9.]+))?"
    r"(@(?P<moment>[a-z]+)?(?P<colon>:)?(?P<count>\d+|every)?)?(#(?P<stick>\d))?"
)


def parse_fault(text: str) -> PlannedFault:
    """Reads a fault as the command line has it: NAME[=VALUE][@MOMENT[:COUNT]][#STICK].

    Args:
        text: "unplug", "short=100", "stall@input:3", "slow=0.2@input:every#1", "unplug@5".

    Returns:
        The fault.

    Raises:
        UsageError: There is no such fault or moment.
    """
    found = _SPEC.fullmatch(text)
    if found is None:
        raise _refused(text, "it is NAME, NAME=VALUE or NAME@MOMENT:COUNT, with #STICK behind")
    fault = FAULTS.get(found["name"])
    if fault is None:
        raise _refused(text, f"it must be one of {', '.join(FAULTS)}")
    if found["value"] is not None and not fault.unit:
        raise _refused(text, f"{fault.name} has no value")
    moment, count = found["moment"] or "", found["count"]
    if not moment and count is None:
        moment = fault.at
    if moment and moment not in fault.only:
        raise _refused(text, f"{fault.name} happens at {', '.join(fault.only)}")
    if (moment != "" and count is not None) != (found["colon"] is not None) or (
        moment and count == "0"
    ):
        raise _refused(text, "a moment's count follows a colon, and begins with 1")
    if not moment and (count == "every" or not set(FRAMES) & set(fault.only)):
        raise _refused(text, f"{fault.name} happens at {', '.join(fault.only)}")
    try:
        value = fault.value if found["value"] is None else float(found["value"])
    except ValueError:
        raise _refused(text, "its value must be a number") from None
    count = count or ("every" if fault.every else "1")
    number = 0 if count == "every" else int(count)
    return PlannedFault(fault, value, moment, number, int(found["stick"] or 0))


def _refused(text: str, rule: str) -> UsageError:
    return UsageError("--fault", rule, received=text, fix="Run: atoll stick --faults")
