"""One virtual stick: plugged in or not, with its firmware or without, in use by one program."""

from __future__ import annotations

import struct
import threading
import time
from typing import TYPE_CHECKING

from atoll.errors import AtollError
from atoll.stick.chip import EVENT_ENDPOINT, FENCE, OUTPUT_ENDPOINT, Chip, Violation
from atoll.stick.faults import Answer, PlannedFault, parse_fault
from atoll.stick.report import Log, LogEntry, Report
from atoll.stick.wire import FromBrain, ResetWhy, Speed, Status, UsbError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from atoll.stick.chip import Frame
    from atoll.stick.known import KnownPart
    from atoll.stick.pace import Pace
    from atoll.stick.program import Program
    from atoll.stick.wire import Channel

# What comes after a call comes when its result is with the program.
_AFTER_A_CALL_S = 0.2
# At a fence a driver must have done what it got before; a real chip computes in that time.
_FENCE_S = 0.005
# So many are told one by one: one that happens every time would be told without end.
_MOST_FAULTS = 100


class Stick:
    """One stick, as tests see it and as connections ask of it.

    Args:
        index: Its number: the driver calls it `usb:index`.
        parts: The models that it knows.
        application: Whether it has its firmware already.
        speed: Of its link.
        pace: How long runs take; None for as long as the computer needs.
        say: Told what must not be missed, a line each.

    Attributes:
        index: As above.
        report: What it saw.
    """

    def __init__(
        self,
        index: int,
        parts: Sequence[KnownPart],
        *,
        application: bool = True,
        speed: Speed = Speed.SUPER,
        pace: Pace | None = None,
        say: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self.index = index
        self.report = Report(f"usb:{index}")
        self._log = Log()
        self._say = say
        self._speed = speed
        self._pace = pace
        self._parts = list(parts)
        self._computers = [part.computer() for part in parts]
        self._chip = Chip(self._parts, self._computers)
        self._changed = threading.Condition(threading.RLock())
        self._channels: list[Channel] = []
        self._user: Channel | None = None
        self._plugged, self._application, self._session = True, application, 1
        self._broken = self._dead = False
        self._faults: list[PlannedFault] = []
        self._counts: dict[str, int] = {}
        self._frames = 0
        self._began: float | None = None

    @property
    def plugged(self) -> bool:
        """Whether it is plugged in."""
        return self._plugged

    @property
    def log(self) -> list[LogEntry]:
        """What happened to it, the last 10,000 things, the oldest first."""
        return self._log.entries()

    def plug(self, *, application: bool = False) -> None:
        """Plugs it in, where it is not.

        Args:
            application: Whether it keeps its firmware, as a real stick never does.
        """
        with self._changed:
            if not self._plugged:
                self._plugged, self._application = True, application
                self._come_back("plugged in")

    def unplug(self) -> None:
        """Pulls it out, where it is plugged in."""
        with self._changed:
            if self._plugged:
                self._plugged = False
                self.report.unplugged += 1
                self._come_back("unplugged")

    def fault(self, fault: str | PlannedFault) -> None:
        """Plans a fault.

        Args:
            fault: As in `atoll stick --fault`. Frames count from now on.

        Raises:
            UsageError: There is no such fault.
        """
        with self._changed:
            planned = parse_fault(fault) if isinstance(fault, str) else fault
            self._faults.append(planned)
            self._counts.clear()
            self._frames = 0

    def join(self, channel: Channel) -> None:
        """A program met it."""
        with self._changed:
            self._channels.append(channel)
            channel.send(FromBrain.STATE, self._state())

    def leave(self, channel: Channel) -> None:
        """A program ended, or its connection did."""
        with self._changed:
            self._channels.remove(channel)
            self.release(channel)

    def open(self, channel: Channel) -> None:
        """A program opens it."""
        with self._changed:
            answer = self._after(["open"], Answer())
            if answer.unplugged:
                self._pull(answer.back_s)
            elif answer.error == UsbError.SUCCESS and self._plugged:
                self.report.opened += 1
                self._note("opened")
        self._reply(channel, answer.error)

    def claim(self, channel: Channel) -> None:
        """A program claims its interface: one at a time has it."""
        with self._changed:
            answer = self._after(["claim"], Answer())
            error = answer.error
            if answer.unplugged:
                self._pull(answer.back_s)
            elif self._user not in (None, channel):
                error = UsbError.BUSY
            elif error == UsbError.SUCCESS and self._plugged:
                self._user = channel
                self._note("claimed")
        self._reply(channel, error)

    def release(self, channel: Channel) -> None:
        """A program lets others have its interface."""
        with self._changed:
            if self._user is channel:
                self._user = None

    def reset(self, channel: Channel, why: ResetWhy, firmware_bytes: int) -> None:
        """A program resets it, which may change its firmware."""
        with self._changed:
            if why == ResetWhy.PLAIN:
                self._note("reset")
                self._take_from_user(channel)
                self._forget()
            else:
                loaded = why == ResetWhy.AFTER_DOWNLOAD
                self._application = loaded
                self.report.firmware += loaded
                self._come_back(f"firmware of {firmware_bytes:,} bytes" if loaded else "detached")
        self._reply(channel, UsbError.SUCCESS if why == ResetWhy.PLAIN else UsbError.NOT_FOUND)

    def _take_from_user(self, channel: Channel) -> None:
        """Another program's reset takes a stick from the one that uses it.

        So does Linux: usb_reset_device unbinds usbfs, which ends its transfers (drivers/usb/core).
        """
        user, self._user = self._user, None
        if user is not None and user is not channel:
            self._session += 1
            user.send(FromBrain.STATE, self._state())
            self._note("taken from the program that used it, by another's reset")

    def write_register(self, address: int, value: int) -> None:
        """A program wrote to a register."""
        with self._changed:
            self._chip.write_register(address, value)

    def out(self, channel: Channel, endpoint: int, data: memoryview) -> None:
        """A program sends data."""
        session, answer = self._session, Answer()
        if self._user is not channel:
            # Another's reset may have taken the stick while this was on its way.
            answer.status = Status.NO_DEVICE
        elif self._broken:
            answer.status = Status.ERROR
        elif not self._dead:
            answer = self._answer(endpoint, data, session)
        with self._changed:
            if answer.wait_s > 0:
                self._changed.wait_for(lambda: self._session != session, answer.wait_s)
            if answer.unplugged:
                self._pull(answer.back_s)
            self._dead = self._dead or answer.dead
            if self._session != session or not self._plugged:
                answer = Answer(status=Status.NO_DEVICE)
            # Still locked: nothing of this may reach the program after it heard of another session.
            for address, value in answer.registers:
                channel.send(FromBrain.REGISTER, struct.pack("=IQ", address, value))
            self._send(channel, answer)

    def _send(self, channel: Channel, answer: Answer) -> None:
        """What goes before a transfer's end, the program sees only behind it (usb/transfers.c)."""
        status, ended = struct.pack("=I", answer.status), False
        for target, content in answer.data:
            if target != FENCE:
                self.report.received += len(content) if target == OUTPUT_ENDPOINT else 0
                channel.send(FromBrain.IN, bytes([target]), content)
                continue
            if not ended:
                channel.send(FromBrain.DONE, status)
                ended = True
            time.sleep(_FENCE_S)
        if not ended:
            channel.send(FromBrain.DONE, status)

    def _answer(self, endpoint: int, data: memoryview, session: int) -> Answer:
        """What it answers to a transfer, faults included."""
        whole = Answer()
        try:
            chip = self._chip
            for frame in chip.take(endpoint, data):
                answer = self._after_frame(frame, chip.clock_divider)
                answer.data = whole.data + answer.data
                answer.registers = whole.registers + answer.registers
                whole = answer
                if answer.unplugged or answer.dead or answer.status != Status.COMPLETED:
                    break
        except (Violation, AtollError) as error:
            if self._session == session:
                self._violate(str(error))
            return Answer(status=Status.ERROR)
        self.report.sent += len(data)
        return whole

    def _after_frame(self, frame: Frame, clock_divider: int) -> Answer:
        number, self._frames = self._frames, self._frames + 1
        answer = Answer(data=frame.answers)
        now = time.monotonic()
        began = self._began = now if self._began is None else self._began
        if frame.done:
            self._began = None
            self._count(frame.program)
            if self._pace is not None:
                due = self._pace(frame.part, frame.program, self._speed, clock_divider)
                answer.wait_s = max(due - (now - began), 0.0)
        answer = self._after(_moments(frame), answer, number)
        if frame.done and not frame.program.is_caching:
            self._plan_idle()
        return answer

    def _count(self, program: Program) -> None:
        """A program is through."""
        if program.is_caching:
            self.report.cachings += 1
            self._note(f"parameters of {program.name}: {program.parameters.size:,} bytes")
        else:
            self.report.runs += 1
            self._note(f"run of {program.name}")

    def _plan_idle(self) -> None:
        """What comes between two calls comes a little after the one before."""
        idle = self._after(["idle"], Answer())
        if idle.unplugged:
            timer = threading.Timer(_AFTER_A_CALL_S, self._pull, [idle.back_s])
            timer.daemon = True
            timer.start()

    def _after(self, moments: Sequence[str], answer: Answer, number: int = -1) -> Answer:
        """An answer, changed by the faults that are due."""
        with self._changed:
            for moment in moments:
                self._counts[moment] = self._counts.get(moment, 0) + 1
            now = {moment: self._counts[moment] for moment in moments}
            for planned in [each for each in self._faults if each.is_due(now, number)]:
                if planned.is_once:
                    self._faults.remove(planned)
                answer = planned.fault.change(answer, planned.value)
                place = ", ".join(f"{moment} {count}" for moment, count in now.items())
                self._note(f"fault: {planned} at {place}")
                if len(self.report.faults) < _MOST_FAULTS:
                    self.report.faults.append(f"{planned} at {place}")
        return answer

    def _pull(self, back_s: float | None) -> None:
        self.unplug()
        if back_s is not None:
            timer = threading.Timer(back_s, self.plug)
            timer.daemon = True
            timer.start()

    def _violate(self, text: str) -> None:
        """The driver did what it must not: the stick fails until it is reset."""
        with self._changed:
            self._broken = True
            line = f"at frame {self._frames}: {text}"
            self.report.violations.append(line)
            self._note(f"violation {line}")
        self._say(f"{self.report.stick}: VIOLATION {line}")

    def _come_back(self, text: str) -> None:
        """It is another device from now on: everybody is told."""
        self._session += 1
        self._user = None
        self._forget()
        self._note(text)
        for channel in self._channels:
            channel.send(FromBrain.STATE, self._state())
        self._changed.notify_all()

    def _forget(self) -> None:
        # Another one, as the one before may be computing still.
        self._chip = Chip(self._parts, self._computers)
        self._began = None
        self._broken = self._dead = False

    def _state(self) -> bytes:
        state = (self._plugged, self._application, self._speed, self._session)
        return struct.pack("=IIII", *map(int, state))

    def _reply(self, channel: Channel, error: UsbError) -> None:
        if not self._plugged and error == UsbError.SUCCESS:
            error = UsbError.NO_DEVICE
        channel.send(FromBrain.ANSWER, struct.pack("=i", error))

    def _note(self, text: str) -> None:
        self._log.note(text)


def _moments(frame: Frame) -> list[str]:
    """What a frame is, for a plan of faults."""
    endpoints = {endpoint for endpoint, _ in frame.answers}
    names = {OUTPUT_ENDPOINT: "output", EVENT_ENDPOINT: "event"}
    return [frame.kind, *(names[each] for each in names if each in endpoints)]
