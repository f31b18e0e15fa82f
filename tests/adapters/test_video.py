"""Video in and out: every frame once, at its time, in bounded memory."""

import contextlib
import socket
import struct
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from film_making import make_film, number_of, numbered, numbers_in

from atoll.adapters.film import Film
from atoll.adapters.video import Video, is_live, is_video, shown_name
from atoll.errors import DatasetError, ExtraError, OutputError

pytest.importorskip("av")


@pytest.fixture
def film(tmp_path):
    return make_film(tmp_path / "film.mp4", (numbered(i) for i in range(60)))


def test_every_frame_comes_once_and_in_order(film):
    with Video(str(film)) as video:
        frames = [(f.number, f.time, number_of(f.pixels())) for f in video.frames()]
    assert [row[0] for row in frames] == [row[2] for row in frames] == list(range(60))
    assert np.allclose([row[1] for row in frames], np.arange(60) / 25, atol=1e-3)
    assert video.rate == pytest.approx(25, abs=0.5)
    assert (video.dropped, video.damaged, video.live) == (0, 0, False)


def test_times_are_the_frames_own(tmp_path):
    """A telephone's video has no fixed rate."""
    times = np.cumsum([0, 0.04, 0.5, 0.04, 0.2, 1.0])
    path = make_film(tmp_path / "v.mkv", (numbered(i) for i in range(6)), times=times)
    with Video(str(path)) as video:
        assert np.allclose([f.time for f in video.frames()], times, atol=2e-3)


def turned(content: bytes, matrix) -> bytes:
    """An MP4 whose track says that it is to be shown turned."""
    at = content.index(b"tkhd")
    version = content[at + 4]
    start = at + 4 + (40 if version == 0 else 52)
    assert struct.unpack(">9i", content[start : start + 36])[8] == 1 << 30
    return content[:start] + struct.pack(">9i", *matrix) + content[start + 36 :]


@pytest.mark.parametrize(
    ("matrix", "turns"),
    [
        ((0, 1, 0, -1, 0, 0, 0, 0, 1), 3),
        ((-1, 0, 0, 0, -1, 0, 0, 0, 1), 2),
        ((0, -1, 0, 1, 0, 0, 0, 0, 1), 1),
    ],
    ids=["right", "over", "left"],
)
def test_a_telephone_s_video_is_upright(tmp_path, matrix, turns):
    """It is stored as the sensor lies, with a note how to turn it: so people lie on their sides."""
    plain = make_film(tmp_path / "v.mp4", [numbered(5)])
    fixed = [v * (1 << (30 if i == 8 else 16)) for i, v in enumerate(matrix)]
    path = tmp_path / "turned.mp4"
    path.write_bytes(turned(plain.read_bytes(), fixed))
    with Video(str(path)) as video:
        (frame,) = video.frames()
        pixels = frame.pixels()
    assert frame.turns == turns
    assert np.array_equal(pixels, np.rot90(next(iter(Video(str(plain)).frames())).pixels(), turns))
    # Written again, it needs no note.
    out = Film(tmp_path / "out.mp4", 25)
    out.write(frame)
    out.close()
    with Video(str(out.path)) as video:
        (again,) = video.frames()
    assert again.turns == 0
    assert again.pixels().shape == pixels.shape


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "nvalid data"), (b"no video at all" * 100, "nvalid data")],
)
def test_what_is_no_video_is_one_line(tmp_path, content, reason):
    path = tmp_path / "x.mp4"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=reason) as caught:
        Video(str(path))
    assert "x.mp4" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_sound_file_are_one_line(tmp_path):
    import av

    with pytest.raises(DatasetError, match="No such file"):
        Video(str(tmp_path / "no.mp4"))
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as sound:
        stream = sound.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.rate = 8000
        sound.mux(stream.encode(frame))
        sound.mux(stream.encode())
    with pytest.raises(DatasetError, match="no picture"):
        Video(str(path))


def test_a_truncated_video_gives_what_it_has(film, tmp_path):
    """A recording that was cut off by a power failure."""
    path = make_film(tmp_path / "v.ts", (numbered(i) for i in range(60)), container="mpegts")
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with Video(str(path)) as video:
        numbers = [number_of(f.pixels()) for f in video.frames()]
    assert 20 < len(numbers) < 60
    assert numbers[:20] == list(range(20))


def test_damaged_videos_do_no_harm(film, tmp_path):
    """Every byte of it may be wrong: frames or one line, never more."""
    content = film.read_bytes()
    rng = np.random.default_rng(0)
    path = tmp_path / "v.mp4"
    for _ in range(40):
        data = bytearray(content)
        for place in rng.integers(0, len(data), 20):
            data[place] = rng.integers(0, 256)
        path.write_bytes(data)
        try:
            with Video(str(path)) as video:
                for frame in video.frames():
                    frame.pixels()
        except DatasetError as error:
            assert "\n" not in str(error)


def test_a_playlist_does_not_lead_elsewhere(tmp_path, film):
    """A file that is named as a video may be a list of addresses."""
    server = socket.create_server(("127.0.0.1", 0))
    address = f"http://127.0.0.1:{server.getsockname()[1]}/secret.ts"
    path = tmp_path / "list.mp4"
    path.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{address}\n#EXT-X-ENDLIST\n")
    with pytest.raises(DatasetError), Video(str(path)) as video:
        list(video.frames())
    server.settimeout(0.05)
    with server, pytest.raises(TimeoutError):
        server.accept()


def test_names_of_videos_and_cameras():
    for name in ("a.mp4", "A.MOV", "dir/b.webm", "/dev/video0", "rtsp://camera/1", "http://x/y"):
        assert is_video(name)
    for name in ("a.jpg", "mp4", "/dev/videos", "/dev/null", "a.mp4.png"):
        assert not is_video(name)
    for name in ("/dev/video2", "rtsp://user:pw@camera", "RTSPS://x", "udp://0.0.0.0:5000"):
        assert is_live(name)
    assert not is_live("http://server/film.mp4")
    assert not is_live("film.mp4")


def test_a_password_is_not_shown():
    """Messages end up in logs and in questions to others."""
    assert shown_name("rtsp://me:secret@camera:554/s1") == "rtsp://me:***@camera:554/s1"
    assert shown_name("rtsp://camera/s1") == "rtsp://camera/s1"
    with pytest.raises(DatasetError) as caught:
        Video("rtsp://me:secret@127.0.0.1:9/s1")
    assert "secret" not in str(caught.value)
    assert "Check that it is there" in str(caught.value)


def serve(path, rate=None):
    """Sends a file over TCP, as a live encoder does; gives its address."""
    server = socket.create_server(("127.0.0.1", 0))
    content = path.read_bytes()

    def send():
        connection, _ = server.accept()
        # The reader may leave at any time.
        with connection, contextlib.suppress(OSError):
            step = len(content) // 20 + 1
            for start in range(0, len(content), step):
                connection.sendall(content[start : start + step])
                if rate:
                    time.sleep(rate)

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    return f"tcp://127.0.0.1:{server.getsockname()[1]}", server


def test_of_a_live_stream_the_newest_frames_count(tmp_path):
    """A model that is slower than a camera must not look at what was a minute ago."""
    path = make_film(tmp_path / "v.ts", (numbered(i) for i in range(100)), container="mpegts")
    address, server = serve(path)
    with server, Video(address) as video:
        assert video.live
        numbers = []
        for frame in video.frames():
            numbers.append(number_of(frame.pixels()))
            if len(numbers) == 1:
                time.sleep(0.5)  # the model takes its time
    assert numbers == sorted(set(numbers))
    assert numbers[-1] == 99
    assert video.dropped > 0
    assert len(numbers) + video.dropped == 100


def test_a_live_stream_can_be_left_at_any_moment(tmp_path):
    """Its thread must be gone before what it decodes from is closed."""
    path = make_film(tmp_path / "v.ts", (numbered(i) for i in range(100)), container="mpegts")
    address, server = serve(path, rate=0.02)
    before = threading.active_count()
    with server, Video(address) as video:
        for _ in video.frames():
            break
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= before + 1  # the server of this test may still send


def test_without_pyav_it_is_said_what_to_install(monkeypatch, film):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ExtraError, match=r"atoll\[video\]"):
        Video(str(film))


def test_a_film_has_every_frame_at_its_time(film, tmp_path):
    with Video(str(film)) as video:
        out = Film(tmp_path / "out.mp4", video.rate)
        for frame in video.frames():
            out.write(frame)
            assert not out.path.exists()
        out.close()
    numbers, times = numbers_in(out.path)
    assert numbers == list(range(60))
    assert np.allclose(times, np.arange(60) / 25, atol=1e-3)
    assert list(tmp_path.glob(".*")) == []


def test_times_that_stand_still_or_run_back_do_no_harm(film, tmp_path):
    """Cameras that set their clock; two frames of one time are two frames."""
    from dataclasses import replace

    with Video(str(film)) as video:
        frames = list(video.frames())[:6]
    out = Film(tmp_path / "out.mp4", 25)
    for frame, when in zip(frames, (0, 1, 1, 0.5, 1.5, 1.5), strict=True):
        out.write(replace(frame, time=when))
    out.close()
    numbers, times = numbers_in(out.path)
    assert numbers == list(range(6))
    assert times == sorted(set(times))


@pytest.mark.parametrize("size", [(161, 97), (3, 3), (1920, 2)])
def test_odd_sizes_are_cut_by_a_pixel(tmp_path, film, size):
    """H.264 with colours for blocks of two by two has no odd sizes."""
    with Video(str(film)) as video:
        frame = next(iter(video.frames()))
    out = Film(tmp_path / "out.mp4", 25)
    out.write(frame, np.zeros((size[1], size[0], 3), np.uint8))
    out.close()
    with Video(str(out.path)) as video:
        (again,) = video.frames()
    assert again.pixels().shape == (size[1] // 2 * 2, size[0] // 2 * 2, 3)


def test_a_film_that_is_given_up_leaves_nothing(tmp_path, film):
    with Video(str(film)) as video:
        frame = next(iter(video.frames()))
    for frames in (0, 3):
        out = Film(tmp_path / "x.mp4", 25)
        for _ in range(frames):
            out.write(frame)
        out.discard()
    Film(tmp_path / "y.mp4", 25).close()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["film.mp4"]


def test_a_place_that_cannot_be_written_to_is_one_line(film):
    with Video(str(film)) as video:
        frame = next(iter(video.frames()))
    out = Film(Path("/proc/x.mp4"), 25)
    with pytest.raises(OutputError) as caught:
        out.write(frame)
    assert "/proc/x.mp4" in str(caught.value)
