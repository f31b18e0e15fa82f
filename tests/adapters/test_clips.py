"""Clips of what was seen: nothing missing, nothing twice, nothing half-written."""

import pytest
from film_making import make_film, numbered, numbers_in
from hypothesis import given, settings
from hypothesis import strategies as st

from atoll.adapters.clips import ClipRecorder
from atoll.adapters.video import Video
from atoll.errors import OutputError

pytest.importorskip("av")
RATE = 10
LENGTH = 80


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    return make_film(path, (numbered(i) for i in range(LENGTH)), rate=RATE)


@pytest.fixture(scope="module")
def frames(film):
    with Video(str(film)) as video:
        return list(video.frames())


def record(folder, frames, seen, before, after):
    recorder = ClipRecorder(folder, "x", RATE, before_s=before, after_s=after)
    for frame in frames:
        recorder.add(frame, frame.number in seen)
    recorder.close()
    return recorder.clips


def test_a_clip_has_what_was_before_and_after(tmp_path, frames):
    (clip,) = record(tmp_path, frames, {30}, 1.0, 2.0)
    assert numbers_in(clip.path)[0] == list(range(20, 51))
    assert (clip.start, clip.end, clip.frames) == (2.0, 5.0, 31)
    assert clip.path.name == "x_000002000.mp4"


def test_what_is_seen_again_makes_a_clip_longer(tmp_path, frames):
    """A person who walks up and down is one event."""
    (clip,) = record(tmp_path, frames, {30, 40, 49}, 1.0, 1.0)
    assert numbers_in(clip.path)[0] == list(range(20, 60))


def test_what_is_seen_at_both_ends_of_a_video(tmp_path, frames):
    first, last = record(tmp_path, frames, {0, LENGTH - 1}, 1.0, 1.0)
    assert numbers_in(first.path)[0] == list(range(11))
    assert numbers_in(last.path)[0] == list(range(LENGTH - 11, LENGTH))


def test_a_pre_roll_does_not_repeat_the_clip_before(tmp_path, frames):
    """Two events close to each other: together they have each frame once."""
    first, second = record(tmp_path, frames, {20, 35}, 2.0, 1.0)
    one, two = numbers_in(first.path)[0], numbers_in(second.path)[0]
    assert one == list(range(31))
    assert two == list(range(31, 46))


def test_nothing_seen_is_nothing_written(tmp_path, frames):
    assert record(tmp_path, frames, set(), 1.0, 1.0) == []
    assert list(tmp_path.iterdir()) == []


@settings(max_examples=12, deadline=None)
@given(
    seen=st.sets(st.integers(0, LENGTH - 1), max_size=5),
    before=st.floats(0, 3),
    after=st.floats(0, 3),
)
def test_every_frame_near_what_is_seen_is_in_one_clip(
    tmp_path_factory, frames, seen, before, after
):
    """Whatever is seen when: no gap, no double frame, nothing that is far from all of it."""
    clips = record(tmp_path_factory.mktemp("clips"), frames, seen, before, after)
    numbers = [numbers_in(clip.path)[0] for clip in clips]
    for run in numbers:
        assert run == list(range(run[0], run[-1] + 1))
        assert seen & set(run)
    together = [number for run in numbers for number in run]
    assert together == sorted(set(together))
    slack = 1.5e-3  # the film's clock has milliseconds
    for frame in frames:
        near = any(
            frames[s].time - before + slack <= frame.time <= frames[s].time + after - slack
            for s in seen
        )
        far = not any(
            frames[s].time - before - slack <= frame.time <= frames[s].time + after + slack
            for s in seen
        )
        assert not (near and frame.number not in together)
        assert not (far and frame.number in together)


def test_a_clip_has_its_name_only_when_it_is_whole(tmp_path, frames):
    """A program that watches the folder must not take half a clip."""
    recorder = ClipRecorder(tmp_path, "x", RATE, before_s=0.5, after_s=0.5)
    for frame in frames[:33]:
        recorder.add(frame, frame.number == 30)
    assert list(tmp_path.glob("*.mp4")) == [] or all(
        path.name.startswith(".") for path in tmp_path.iterdir()
    )
    recorder.close()
    assert [path.name for path in tmp_path.iterdir()] == ["x_000002500.mp4"]


def test_memory_does_not_grow_while_nothing_is_seen(tmp_path, frames):
    recorder = ClipRecorder(tmp_path, "x", RATE, before_s=1.0, after_s=1.0)
    for frame in frames:
        recorder.add(frame, False)
        assert len(recorder._waiting) <= RATE + 1
    assert recorder._bytes == sum(size for *_, size in recorder._waiting)


def test_a_pre_roll_has_a_bound_in_memory(tmp_path, frames, monkeypatch):
    """An hour of pre-roll is a typing error, and no reason to end the machine."""
    size = sum(plane.buffer_size for plane in frames[0].native.planes)
    monkeypatch.setattr("atoll.adapters.clips._MOST_BYTES", 5 * size)
    (clip,) = record(tmp_path, frames, {40}, 3600.0, 0.0)
    assert numbers_in(clip.path)[0] == list(range(35, 41))


def test_a_folder_that_is_gone_is_one_line(tmp_path, frames):
    recorder = ClipRecorder(tmp_path / "gone", "x", RATE)
    with pytest.raises(OutputError, match="gone"):
        recorder.add(frames[0], True)
    recorder.close()
