"""Messages between two processes: nothing that arrives is trusted."""

import os
import socket
import struct
import threading

import pytest

from atoll.errors import DeviceError, ModelError
from atoll.runtime.driver.wire import (
    Channel,
    ConnectionLost,
    Kind,
    Message,
    from_error,
    shown,
    to_error,
)


@pytest.fixture
def ends():
    ours, theirs = socket.socketpair()
    yield Channel(ours), theirs
    theirs.close()


def answered_with(ends, *raw):
    """What a request gives where the other side answers with these bytes, and ends."""
    channel, theirs = ends

    def answer():
        theirs.recv(1 << 16)
        for data in raw:
            theirs.sendall(data)
        theirs.shutdown(socket.SHUT_WR)

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        return channel.request(Kind.CALL, 3, timeout_s=5)
    finally:
        thread.join()


def header(kind, number=1, value=0, size=0):
    return struct.pack("<IIII", kind, number, value, size)


def test_a_request_and_its_reply(ends):
    """Body, value and files arrive as they were sent."""
    channel, theirs = ends
    other = Channel(theirs)
    got = []

    def answer():
        message = other.receive()
        got.append(message)
        os.write(message.files[0], b"written by the other side")
        os.close(message.files[0])
        other.send(Message(Kind.DONE, message.number, 7, {"a": [1, 2]}))

    thread = threading.Thread(target=answer)
    thread.start()
    read, write = os.pipe()
    reply = channel.request(Kind.LOAD, 5, {"b": "c"}, (write,), timeout_s=5)
    thread.join()
    os.close(write)
    assert os.read(read, 100) == b"written by the other side"
    os.close(read)
    assert (got[0].kind, got[0].value, got[0].body) == (Kind.LOAD, 5, {"b": "c"})
    assert (reply.value, reply.body) == (7, {"a": [1, 2]})


@pytest.mark.parametrize(
    "raw",
    [
        [header(99)],
        [header(Kind.CALL)],
        [header(Kind.DONE, size=1 << 30)],
        [header(Kind.DONE, size=3), b"xyz"],
        [header(Kind.DONE, size=2), b"[]"],
        [header(Kind.DONE)[:9]],
        [header(Kind.DONE, number=0)] * 100,
    ],
)
def test_nonsense_is_a_lost_device(ends, raw):
    """A driver that has written over its own memory may say anything."""
    with pytest.raises(ConnectionLost, match=r"no sense|ended"):
        answered_with(ends, *raw)


def test_the_reply_to_an_interrupted_request_is_passed_over(ends):
    """After Ctrl-C in a call, the next must not get the answer of the last."""
    reply = answered_with(ends, header(Kind.DONE, number=0, value=1), header(Kind.DONE, value=2))
    assert reply.value == 2


def test_the_other_sides_end_is_noticed_at_once(ends):
    with pytest.raises(ConnectionLost, match="ended"):
        answered_with(ends)
    channel, theirs = ends
    theirs.close()
    with pytest.raises(ConnectionLost, match="ended"):
        channel.request(Kind.CALL, timeout_s=5)


def test_silence_ends_in_time(ends):
    channel, _ = ends
    with pytest.raises(ConnectionLost, match=r"no answer in 0\.05 s"):
        channel.request(Kind.CALL, timeout_s=0.05)


def test_errors_cross_with_all_they_say(ends):
    """The cure is in the message, and the kind decides what the caller does."""
    error = ModelError("x.tflite", "a rule", received="y", fix="Do z")
    back = to_error(from_error(error))
    assert type(back) is ModelError
    assert str(back) == str(error)
    odd = to_error({"kind": "SystemExit", "received": "\x1b[31m a\nb" + "c" * 1000})
    assert type(odd) is DeviceError
    assert "\x1b" not in str(odd)
    assert len(str(odd)) < 600


def test_texts_from_outside_are_one_printable_line():
    """A driver's words stand in our messages."""
    assert shown("a\n  b\tc\x00d") == "a b c?d"
