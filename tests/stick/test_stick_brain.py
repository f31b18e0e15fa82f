"""The brain takes no harm from what is no driver, and sticks are one program's at a time."""

import contextlib
import socket
import struct
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stick_programs import wait_for

from atoll.stick.brain import Brain
from atoll.stick.stick import Stick
from atoll.stick.wire import VERSION, FromBrain, ResetWhy, Status, ToBrain, UsbError


class Client:
    """Speaks to a brain as the stand-in libusb does, or otherwise."""

    def __init__(self, brain, stick=0, version=VERSION, greet=True):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(10)
        self.socket.connect(str(brain.path))
        if greet:
            self.send(ToBrain.HELLO, struct.pack("=III", version, stick, 1))

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.socket.close()

    def send(self, kind, body=b""):
        self.raw(struct.pack("=II", kind, len(body)) + body)

    def raw(self, data):
        with contextlib.suppress(OSError):
            self.socket.sendall(data)

    def receive(self):
        """The next message; None where the brain has closed."""
        try:
            start = self.socket.recv(8, socket.MSG_WAITALL)
            if len(start) < 8:
                return None
            kind, length = struct.unpack("=II", start)
            return kind, self.socket.recv(length, socket.MSG_WAITALL)
        except ConnectionResetError:
            return None

    def ask(self, kind, body=b""):
        self.send(kind, body)
        answer = self.receive()
        assert answer[0] == FromBrain.ANSWER
        return struct.unpack("=i", answer[1])[0]

    def state(self):
        kind, body = self.receive()
        assert kind == FromBrain.STATE
        return struct.unpack("=IIII", body)


@pytest.fixture
def told():
    return []


@pytest.fixture
def brain(told):
    """Two sticks that know no model."""
    sticks = [Stick(index, [], say=told.append) for index in range(2)]
    with Brain(sticks, told.append) as running:
        running.sticks = sticks
        yield running


def is_well(brain):
    """Whether a right client is answered."""
    with Client(brain) as client:
        return client.state()[:2] == (1, 1) and client.ask(ToBrain.OPEN) == UsbError.SUCCESS


HOSTILE = {
    "nothing": b"",
    "half a message": b"\x01\x00\x00",
    "text": b"GET / HTTP/1.1\r\n\r\n",
    "an endless message": struct.pack("=II", ToBrain.HELLO, 2**32 - 1),
    "no greeting": struct.pack("=II", ToBrain.OPEN, 0),
    "another version": struct.pack("=IIIII", ToBrain.HELLO, 12, 99, 0, 1),
    "a stick that is not there": struct.pack("=IIIII", ToBrain.HELLO, 12, VERSION, 7, 1),
    "a short greeting": struct.pack("=III", ToBrain.HELLO, 4, VERSION),
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_what_is_no_driver_is_shown_the_door(brain, told, data):
    """Any process of this user can write to the socket."""
    with Client(brain, greet=False) as client:
        client.raw(data)
        client.socket.shutdown(socket.SHUT_WR)
        assert client.receive() is None
    assert is_well(brain)
    assert all(len(line.splitlines()) == 1 for line in told)


AFTER = {
    "an unknown kind": (99, b""),
    "a second greeting": (ToBrain.HELLO, struct.pack("=III", VERSION, 0, 1)),
    "a reset for no reason": (ToBrain.RESET, struct.pack("=II", 77, 0)),
    "a short reset": (ToBrain.RESET, b"\0"),
    "a long register": (ToBrain.REGISTER, bytes(99)),
    "a transfer to nowhere": (ToBrain.OUT, b""),
}


@pytest.mark.parametrize("message", AFTER.values(), ids=AFTER)
def test_messages_that_mean_nothing_end_the_connection(brain, told, message):
    """And are told in one line."""
    with Client(brain) as client:
        client.state()
        client.send(*message)
        assert client.receive() is None
    assert is_well(brain)
    (line,) = told
    assert "Atoll's own stand-in" in line


@given(st.lists(st.tuples(st.integers(0, 12), st.binary(max_size=40)), max_size=12))
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_messages_harm_the_others(brain, messages):
    """Whatever one program sends, the next one finds a stick."""
    with Client(brain) as client:
        for message in messages:
            client.send(*message)
        client.socket.shutdown(socket.SHUT_WR)
        while client.receive() is not None:
            pass
    with Client(brain) as client:
        client.state()
        assert client.ask(ToBrain.OPEN) == UsbError.SUCCESS


def test_one_program_at_a_time_has_a_stick(brain):
    """Until it lets go, or ends."""
    with Client(brain) as first, Client(brain) as second, Client(brain, stick=1) as other:
        for client in (first, second, other):
            client.state()
        assert first.ask(ToBrain.CLAIM) == UsbError.SUCCESS
        assert first.ask(ToBrain.CLAIM) == UsbError.SUCCESS
        assert second.ask(ToBrain.CLAIM) == UsbError.BUSY
        assert other.ask(ToBrain.CLAIM) == UsbError.SUCCESS
        first.send(ToBrain.RELEASE)
        wait_for(lambda: second.ask(ToBrain.CLAIM) == UsbError.SUCCESS)
        second.socket.close()
        wait_for(lambda: first.ask(ToBrain.CLAIM) == UsbError.SUCCESS)


def test_who_has_not_claimed_a_stick_sends_nothing(brain):
    """The transfer ends as if the stick was gone."""
    with Client(brain) as client:
        client.state()
        client.send(ToBrain.OUT, b"\x01abc")
        assert client.receive() == (FromBrain.DONE, struct.pack("=I", Status.NO_DEVICE))
    assert brain.sticks[0].report.violations == []


def test_everybody_hears_that_a_stick_is_pulled_and_plugged_in(brain):
    """Also a program that does nothing at the time."""
    stick = brain.sticks[0]
    with Client(brain) as client:
        _, _, _, session = client.state()
        stick.unplug()
        assert client.state()[:2] == (0, 1)
        assert client.ask(ToBrain.OPEN) == UsbError.NO_DEVICE
        stick.unplug()
        stick.plug()
        plugged, application, speed, again = client.state()
        assert (plugged, application, speed) == (1, 0, 4)
        assert again > session
        stick.plug()
        assert client.ask(ToBrain.OPEN) == UsbError.SUCCESS
    assert stick.report.unplugged == 1


def test_resets_change_the_firmware_where_they_come_after_that(brain):
    """A stick that got firmware comes back as another device."""
    with Client(brain) as client:
        client.state()
        plain = struct.pack("=II", ResetWhy.PLAIN, 0)
        assert client.ask(ToBrain.RESET, plain) == UsbError.SUCCESS
        client.send(ToBrain.RESET, struct.pack("=II", ResetWhy.AFTER_DETACH, 0))
        assert client.state()[:2] == (1, 0)
        assert struct.unpack("=i", client.receive()[1])[0] == UsbError.NOT_FOUND
        client.send(ToBrain.RESET, struct.pack("=II", ResetWhy.AFTER_DOWNLOAD, 10_783))
        assert client.state()[:2] == (1, 1)
    assert brain.sticks[0].report.firmware == 1
    assert "firmware of 10,783 bytes" in [entry.text for entry in brain.sticks[0].log]


def test_a_stick_that_is_pulled_does_not_wait_to_answer(brain):
    """A slow answer must not hold up its end."""
    stick = brain.sticks[0]
    with Client(brain) as client:
        client.state()
        assert client.ask(ToBrain.CLAIM) == UsbError.SUCCESS
        stick.write_register(0x44018, 1)
        stick.fault("slow=30@input:every")
        began = time.monotonic()
        # A violation, as the stick knows no model; answered with an error at once.
        client.send(ToBrain.OUT, b"\x01" + struct.pack("<IB3x", 5, 0))
        assert client.receive() == (FromBrain.DONE, struct.pack("=I", Status.ERROR))
        stick.unplug()
        assert client.state()[0] == 0
        assert time.monotonic() - began < 10


def test_the_socket_is_this_users_alone(brain, tmp_path, monkeypatch):
    """And its path fits, however long TMPDIR is."""
    assert brain.path.parent.stat().st_mode & 0o077 == 0
    deep = tmp_path / ("x" * 90)
    deep.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    with Brain([], print) as other:
        assert len(str(other.path)) < 100
    assert not other.path.parent.exists()
