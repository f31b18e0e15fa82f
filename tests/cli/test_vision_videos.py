"""classify, detect, segment and pose as a person meets them: videos, cameras, clips."""

import json
import os
import signal
import socket
import subprocess
import threading
import time

import numpy as np
import pytest
from cli_runner import ATOLL, atoll_inside, done, refused
from film_making import SIZE, make_film, numbered, numbers_in

RED, BLUE = (255, 0, 0), (0, 0, 255)


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """100 frames at 25 a second; a red square on frames 30 to 39, a blue one from 80 on."""
    pytest.importorskip("av")

    def frames():
        for i in range(100):
            yield numbered(i, colour=RED if 30 <= i < 40 else BLUE if i >= 80 else None)

    return make_film(tmp_path_factory.mktemp("film") / "yard.mp4", frames())


def detect(home, *words):
    model, labels = home / "detector.tflite", home / "labels.txt"
    return atoll_inside("detect", model, *words, "--labels", labels)


class TestVideos:
    def test_frames_are_told_with_their_times(self, home, film):
        document = json.loads(done(detect(home, film, "--json")).stdout)
        (video,) = document["results"]
        assert video["video"] == str(film)
        assert [f["frame"] for f in video["frames"]] == list(range(100))
        assert video["frames"][31]["time"] == pytest.approx(31 / 25, abs=2e-3)
        reds = [f["frame"] for f in video["frames"] if "red" in {o["label"] for o in f["objects"]}]
        assert reds == list(range(30, 40))

    def test_text_tells_only_frames_with_something_on(self, home, film):
        process = done(detect(home, film))
        lines = process.stdout.splitlines()
        assert lines[0] == str(film)
        assert len(lines) == 1 + 10 + 20
        assert "1.200 s  red" in lines[1]
        assert "100 frames" in process.stderr

    def test_photos_and_videos_mix_in_one_document(self, home, film):
        process = done(detect(home, home / "red.png", film, home / "black.png", "--json"))
        results = json.loads(process.stdout)["results"]
        assert [next(iter(r)) for r in results] == ["photo", "video", "photo"]
        lines = done(detect(home, home / "red.png", film, "--jsonl")).stdout.splitlines()
        assert len([json.loads(line) for line in lines]) == 1 + 100 + 1

    def test_a_document_is_printed_as_it_comes(self, home, film):
        """A camera never ends: what was seen must not wait for that."""
        command = [ATOLL, "detect", home / "detector.tflite", film, "--json"]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with subprocess.Popen(command, **pipes) as process:
            head = [process.stdout.readline() for _ in range(3)]
            # Nobody listens any more: no traceback, and it does not go on for nobody.
            process.stdout.close()
            errors = process.stderr.read()
        assert json.loads(head[2].decode().rstrip(",\n"))["frame"] == 0
        assert process.returncode == 141
        assert b"Traceback" not in errors

    def test_the_drawn_video_has_all_frames(self, home, film, tmp_path):
        process = done(detect(home, film, "--draw", tmp_path / "drawn", "--json"))
        drawn = json.loads(process.stdout)["results"][0]["drawn"]
        assert drawn == str(tmp_path / "drawn" / "yard.mp4")
        _, times = numbers_in(drawn)
        assert len(times) == 100
        assert np.allclose(times, np.arange(100) / 25, atol=2e-3)

    def test_clips_of_what_was_seen(self, home, film, tmp_path):
        words = (
            "--record-on",
            "red",
            "--clips",
            tmp_path,
            "--pre-roll",
            "0.4",
            "--post-roll",
            "0.6",
        )
        process = done(detect(home, film, *words, "--json"))
        (clip,) = json.loads(process.stdout)["results"][0]["clips"]
        numbers, _ = numbers_in(clip["path"])
        assert numbers == list(range(20, 55))
        assert (clip["start"], clip["end"], clip["frames"]) == (0.8, 2.16, 35)
        assert [p.name for p in tmp_path.iterdir()] == ["yard_000000800.mp4"]

    def test_clips_of_several_classes(self, home, film, tmp_path):
        words = ("--record-on", "red", "--record-on", "blue", "--clips", tmp_path,
                 "--pre-roll", "0.2", "--post-roll", "0.2")  # fmt: skip
        done(detect(home, film, *words))
        runs = [numbers_in(path)[0] for path in sorted(tmp_path.iterdir())]
        assert runs == [list(range(25, 45)), list(range(75, 100))]

    def test_segment_and_pose_and_classify_look_at_videos_too(self, home, film, tmp_path):
        seg = (home / "segmenter.tflite", film, "--labels", home / "labels.txt", "--every", "20")
        document = json.loads(
            done(atoll_inside("segment", *seg, "--json", "--draw", tmp_path)).stdout
        )
        assert document["results"][0]["frames"][99]["parts"][0]["label"] == "blue"
        pose = (home / "movenet.tflite", film, "--record-on", "person", "--clips", tmp_path / "c")
        done(atoll_inside("pose", *pose, "--seconds", "1"))
        (clip,) = (tmp_path / "c").iterdir()
        assert numbers_in(clip)[0] == list(range(26))
        classify = (home / "classifier.tflite", film, "--seconds", "0.2", "--json")
        frames = json.loads(done(atoll_inside("classify", *classify)).stdout)["results"][0][
            "frames"
        ]
        assert len(frames) == 6
        assert len(frames[0]["classes"]) == 3

    def test_every_nth_frame_stands_for_those_after_it(self, home, film):
        document = json.loads(done(detect(home, film, "--every", "25", "--json")).stdout)
        frames = document["results"][0]["frames"]
        assert len(frames) == 100
        assert not any(f["objects"] for f in frames[:75])

    @pytest.mark.parametrize(
        ("words", "reason"),
        [
            (("--record-on", "red"), "Add --clips DIR"),
            (("--clips", "x"), "Add --record-on CLASS"),
            (("--record-on", "rde", "--clips", "x"), "Write 'red'"),
            (("--record-on", "zebra", "--clips", "x"), "a class that the model knows"),
        ],
    )
    def test_options_that_make_no_sense_are_refused_before_anything(
        self, home, film, tmp_path, words, reason
    ):
        process = atoll_inside(
            "detect", home / "detector.tflite", film, "--labels", home / "labels.txt", *words,
            cwd=tmp_path,
        )  # fmt: skip
        assert reason in refused(process)
        assert list(tmp_path.iterdir()) == []

    def test_what_is_written_keeps_the_videos_name(self, home, film, tmp_path):
        """Blanks, and letters of all languages; no colon, which is a protocol for FFmpeg."""
        for name in ("Hof früh 庭.mp4", "a:b.mp4"):
            (tmp_path / name).write_bytes(film.read_bytes())
            words = (home / "detector.tflite", name, "--draw", ".", "--seconds", "0.1")
            done(atoll_inside("detect", *words, cwd=tmp_path))
        made = {path.name for path in tmp_path.iterdir()}
        assert made == {"Hof früh 庭.mp4", "Hof früh 庭-2.mp4", "a:b.mp4", "a-b.mp4"}
        assert (tmp_path / "Hof früh 庭.mp4").read_bytes() == film.read_bytes()

    def test_clips_of_photos_are_refused(self, home, tmp_path):
        words = ("--record-on", "red", "--clips", tmp_path / "x")
        assert "photos alone" in refused(detect(home, home / "red.png", *words))

    def test_a_video_that_is_none_still_ends_the_document(self, home, film, tmp_path):
        (tmp_path / "bad.mp4").write_text("no video")
        process = detect(home, film, tmp_path / "bad.mp4", "--json")
        assert "bad.mp4" in refused(process)
        assert len(json.loads(process.stdout)["results"][0]["frames"]) == 100


@pytest.fixture
def camera(tmp_path):
    """A stream that sends a film over TCP and then stays silent, as a camera that hangs."""
    pytest.importorskip("av")
    path = make_film(
        tmp_path / "camera.ts", (numbered(i, SIZE, RED) for i in range(60)), container="mpegts"
    )
    server = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def send():
        connection, _ = server.accept()
        with connection:
            connection.sendall(path.read_bytes())
            over.wait(30)

    threading.Thread(target=send, daemon=True).start()
    yield f"tcp://127.0.0.1:{server.getsockname()[1]}"
    over.set()
    server.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_camera_that_is_stopped_leaves_whole_files(home, camera, tmp_path, number):
    """Ctrl-C is how a camera's command ends: the clip that runs is the one that matters."""
    out = tmp_path / "out"
    command = [
        ATOLL, "detect", home / "detector.tflite", camera, "--labels", home / "labels.txt",
        "--record-on", "red", "--clips", out, "--draw", out / "drawn", "--json",
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        # Until frames come.
        head = [process.stdout.readline() for _ in range(6)]
        time.sleep(0.5)
        os.kill(process.pid, number)
        rest, errors = process.stdout.read(), process.stderr.read()
    assert process.returncode == 130, errors
    assert b"Traceback" not in errors
    document = json.loads(b"".join([*head, rest]))
    (video,) = document["results"]
    (clip,) = video["clips"]
    numbers, _ = numbers_in(clip["path"])
    assert numbers == sorted(set(numbers))
    assert len(numbers) == clip["frames"] == len(video["frames"])
    assert len(numbers_in(video["drawn"])[1]) == len(numbers)
    assert not list(out.rglob(".*"))
