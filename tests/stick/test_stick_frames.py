"""Frames are cut rightly wherever the transfers' borders lie: USB promises nothing about these."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from atoll.stick.frames import FrameParser, Header, Tag, event, header

frames = st.lists(st.tuples(st.integers(0, 15), st.binary(max_size=300)), max_size=6)
cuts = st.lists(st.integers(0, 2000), max_size=20)


def parsed(pieces):
    """The whole frames in some transfers, and what is left of one."""
    parser, found, current = FrameParser(), [], None
    for piece in pieces:
        for part in parser.feed(memoryview(piece)):
            if isinstance(part, Header):
                assert current is None
                current = (part.tag, part.length, bytearray())
                continue
            current[2].extend(part.data)
            assert part.last == (len(current[2]) == current[1])
            if part.last:
                found.append((current[0], bytes(current[2])))
                current = None
    return found, current


@given(frames, cuts)
def test_frames_come_out_as_they_went_in(sent, places):
    """A driver may send a header by itself, or with the data, or half of it."""
    stream = b"".join(header(tag, len(data)) + data for tag, data in sent)
    bounds = [0, *sorted(min(place, len(stream)) for place in places), len(stream)]
    pieces = [stream[a:b] for a, b in pairwise(bounds)]
    found, left = parsed(pieces)
    assert found == sent
    assert left is None


@given(st.binary(max_size=200))
def test_any_bytes_are_some_frames(data):
    """What is no frame of ours is for the chip to refuse: the parser takes all bytes in order."""
    found, left = parsed([data])
    taken = sum(8 + len(content) for _, content in found) + (8 + len(left[2]) if left else 0)
    assert len(data) - taken in range(8)


def test_headers_and_events_are_those_that_were_measured():
    """The published driver's own bytes."""
    assert header(Tag.PARAMETERS, 0x10203) == bytes([0x03, 0x02, 0x01, 0, 2, 0, 0, 0])
    # The driver looks at four bits of the tag.
    assert parsed([bytes([1, 0, 0, 0, 0x32, 9, 9, 9, 0xAA])]) == ([(2, b"\xaa")], None)
    done = event(Tag.INTERRUPT)
    assert len(done) == 16
    assert (done[12], sum(done)) == (4, 4)
