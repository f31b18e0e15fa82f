"""classify, detect, segment and pose as a person meets them: photos, videos, clips."""

import json
import os
import signal
import socket
import subprocess
import threading
import time

import numpy as np
import pytest
from cli_runner import ATOLL, atoll_inside, refused
from film_making import SIZE, make_film, numbered, numbers_in
from PIL import Image
from pixel_models import pixel_file
from vision_models import colour_detector, colour_segmenter, constant_file

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A detector and a segmenter of colours, their labels, and photos."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "detector.tflite").write_bytes(colour_detector())
    (folder / "segmenter.tflite").write_bytes(colour_segmenter())
    (folder / "labels.txt").write_text("0:red\n1:green\n2:blue\n")
    photo = np.zeros((100, 200, 3), np.uint8)
    photo[50:75, 100:125] = RED
    Image.fromarray(photo).save(folder / "red.png")
    Image.new("RGB", (50, 50)).save(folder / "black.png")
    points = np.linspace(0.1, 0.9, 17)
    triples = np.float32(np.column_stack([points, points, np.full(17, 0.9)]))
    constant_file(folder / "movenet.tflite", {"o": triples.reshape(1, 1, 17, 3)})
    pixel_file(folder / "classifier.tflite")
    return folder


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


def done(process):
    assert process.returncode == 0, process.stderr
    return process


class TestPhotos:
    def test_detect_says_what_is_where(self, home):
        text = done(detect(home, home / "red.png")).stdout
        assert text.splitlines() == [str(home / "red.png"), "  0.9414  red  100,50 to 125,75"]

    def test_nothing_is_said_to_be_nothing(self, home):
        assert done(detect(home, home / "black.png")).stdout.splitlines()[1] == "  nothing"

    def test_the_document_has_boxes_in_pixels(self, home):
        process = done(detect(home, home / "red.png", home / "black.png", "--json"))
        document = json.loads(process.stdout)
        assert document["model"] == str(home / "detector.tflite")
        assert document["device"] == "cpu"
        one, two = document["results"]
        assert one == {
            "photo": str(home / "red.png"),
            "width": 200,
            "height": 100,
            "objects": [
                {"label": "red", "score": 0.9414, "box": [100.0, 50.0, 125.0, 75.0], "index": 0}
            ],
        }
        assert two["objects"] == []

    def test_lines_are_documents_of_their_own(self, home):
        process = done(detect(home, home / "red.png", home / "black.png", "--jsonl"))
        lines = [json.loads(line) for line in process.stdout.splitlines()]
        assert [len(line["objects"]) for line in lines] == [1, 0]

    def test_the_simulator_sees_the_same(self, home):
        cpu = json.loads(done(detect(home, home / "red.png", "--json")).stdout)
        sim = json.loads(done(detect(home, home / "red.png", "--json", "--device", "sim")).stdout)
        assert sim["device"] == "sim"
        assert sim["results"] == cpu["results"]

    def test_the_drawn_photo_has_a_frame_around_the_thing(self, home, tmp_path):
        process = done(detect(home, home / "red.png", "--draw", tmp_path / "new" / "d", "--json"))
        drawn = json.loads(process.stdout)["results"][0]["drawn"]
        with Image.open(drawn) as image:
            factor = image.width / 200
            assert image.height == 100 * factor
            pixels = np.asarray(image).astype(int)
        edge = pixels[int(62 * factor), int(100 * factor) + 1]
        assert abs(edge - (0, 158, 255)).max() < 60
        assert (pixels[int(62 * factor), int(112 * factor)] == RED).all()

    def test_photos_of_one_name_do_not_overwrite_each_other(self, home, tmp_path):
        for folder in ("a", "b"):
            (tmp_path / folder).mkdir()
            Image.new("RGB", (20, 20), (folder == "a" and RED) or BLUE).save(
                tmp_path / folder / "1.png"
            )
        inputs = [tmp_path / "a" / "1.png", tmp_path / "b" / "1.png"]
        done(detect(home, *inputs, "--draw", tmp_path / "drawn"))
        assert sorted(p.name for p in (tmp_path / "drawn").iterdir()) == ["1-2.png", "1.png"]

    def test_a_folder_is_its_photos(self, home, tmp_path):
        for name in ("b.png", "a.png"):
            Image.new("RGB", (20, 20), GREEN).save(tmp_path / name)
        (tmp_path / "notes.txt").write_text("no photo")
        results = json.loads(done(detect(home, tmp_path, "--json")).stdout)["results"]
        assert [r["photo"] for r in results] == [str(tmp_path / "a.png"), str(tmp_path / "b.png")]
        (tmp_path / "empty").mkdir()
        assert "must hold photos" in refused(detect(home, tmp_path / "empty"))

    def test_a_bad_photo_leaves_no_half_of_a_document(self, home, tmp_path):
        (tmp_path / "bad.jpg").write_text("no photo")
        process = detect(home, home / "red.png", tmp_path / "bad.jpg", "--json")
        assert "bad.jpg" in refused(process)
        assert process.stdout == ""

    def test_thresholds_and_counts_are_kept(self, home, tmp_path):
        Image.new("RGB", (64, 64), (200, 120, 0)).save(tmp_path / "x.png")
        found = json.loads(done(detect(home, tmp_path / "x.png", "--json")).stdout)
        every = json.loads(
            done(detect(home, tmp_path / "x.png", "--json", "--threshold", "0.4")).stdout
        )
        few = json.loads(done(detect(home, tmp_path / "x.png", "--json", "--top", "3")).stdout)
        counts = [len(d["results"][0]["objects"]) for d in (found, every, few)]
        assert counts[0] > 3
        assert counts[2] == 3
        assert {o["label"] for o in found["results"][0]["objects"]} == {"red"}
        assert "--top" in refused(detect(home, tmp_path / "x.png", "--top", "0"))

    def test_segment_tells_shares_and_writes_masks(self, home, tmp_path):
        photo = np.full((40, 60, 3), RED, np.uint8)
        photo[:, 30:] = BLUE
        Image.fromarray(photo).save(tmp_path / "p.png")
        words = (home / "segmenter.tflite", tmp_path / "p.png", "--labels", home / "labels.txt")
        text = done(atoll_inside("segment", *words, "--draw", tmp_path, "--masks", tmp_path / "m"))
        assert "50.0%  blue" in text.stdout
        mask = np.asarray(Image.open(tmp_path / "m" / "p.png"))
        assert mask.shape == (40, 60)
        assert (mask == photo.argmax(axis=2)).all()
        parts = json.loads(done(atoll_inside("segment", *words, "--json")).stdout)["results"][0]
        assert parts["parts"] == [{"label": "blue", "share": 0.5, "index": 2}]

    def test_pose_tells_17_points(self, home):
        words = (home / "movenet.tflite", home / "red.png")
        assert "0.9000  person  17 of 17 points" in done(atoll_inside("pose", *words)).stdout
        (pose,) = json.loads(done(atoll_inside("pose", *words, "--json")).stdout)["results"][0][
            "poses"
        ]
        assert len(pose["keypoints"]) == 17
        assert pose["keypoints"][0]["name"] == "nose"

    def test_classify_leaves_out_what_is_not_sure(self, home):
        words = (home / "classifier.tflite", home / "red.png", "--json", "--top", "50")
        every = json.loads(done(atoll_inside("classify", *words)).stdout)
        sure = json.loads(done(atoll_inside("classify", *words, "--threshold", "0.5")).stdout)
        scores = [c["score"] for c in every["results"][0]["classes"]]
        assert [c["score"] for c in sure["results"][0]["classes"]] == [
            s for s in scores if s >= 0.5
        ]
        assert set(every["results"][0]) == {"photo", "classes"}

    def test_a_model_of_another_task_is_told_where_it_belongs(self, home):
        line = refused(atoll_inside("detect", home / "classifier.tflite", home / "red.png"))
        assert "Try atoll classify" in line
        line = refused(atoll_inside("pose", home / "detector.tflite", home / "red.png"))
        assert "Try atoll detect" in line

    def test_anchors_are_read_from_a_file(self, home, tmp_path):
        (tmp_path / "anchors.txt").write_text("nonsense")
        process = detect(home, home / "red.png", "--anchors", tmp_path / "anchors.txt")
        assert "anchors.txt" in refused(process)


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
            (("--record-on", "rde", "--clips", "x"), "Did you mean 'red'"),
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
