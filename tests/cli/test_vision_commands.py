"""classify, detect, segment and pose as a person meets them: photos."""

import json

import numpy as np
import pytest
from cli_runner import atoll_inside, done, refused
from compiled_files import write_pair
from PIL import Image

from atoll.tflite.build import GraphBuilder

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def detect(home, *words):
    model, labels = home / "detector.tflite", home / "labels.txt"
    return atoll_inside("detect", model, *words, "--labels", labels)


def compiled_classifier(folder):
    """A compiled file's path; its twin lies beside it."""
    builder = GraphBuilder("uint8")
    plane = builder.conv2d(builder.input((1, 9, 9, 3)), 6, kernel=3)
    return write_pair(folder, builder.model([builder.dense(builder.mean(plane), 5)]))


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

    @pytest.mark.parametrize("option", ["--draw", "--masks"])
    def test_a_photo_is_never_written_over(self, home, tmp_path, option):
        """`--draw .` is soon typed, and the photo would be gone."""
        photo = tmp_path / "red.png"
        Image.new("RGB", (20, 20), RED).save(photo)
        before = photo.read_bytes()
        for words in (["red.png"], ["."]):
            done(atoll_inside("segment", home / "segmenter.tflite", *words, option, ".",
                              cwd=tmp_path))  # fmt: skip
            assert photo.read_bytes() == before
            assert (tmp_path / "red-2.png").is_file()
        words = ("--masks", tmp_path, "--draw", tmp_path)
        assert "another folder" in refused(
            atoll_inside("segment", home / "segmenter.tflite", photo, *words)
        )

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

    def test_a_bad_photo_in_a_folder_is_skipped_and_said(self, home, tmp_path):
        """One broken file of thousands must not end the work; one that is named is a mistake."""
        Image.new("RGB", (20, 20), GREEN).save(tmp_path / "b.png")
        for name in ("a.jpg", "c.jpg"):
            (tmp_path / name).write_text("no photo")
        process = done(detect(home, tmp_path, "--json"))
        results = json.loads(process.stdout)["results"]
        assert [result["photo"] for result in results] == [str(tmp_path / "b.png")]
        assert [line.rpartition("/")[2] for line in process.stderr.splitlines()] == [
            "a.jpg: skipped: not an image", "c.jpg: skipped: not an image",
        ]  # fmt: skip
        refused(detect(home, tmp_path, tmp_path / "a.jpg"))

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

    def test_labels_of_another_model_are_noticed(self, home, tmp_path):
        """A wrong name with a high score looks like a bad model."""
        words = ("classify", home / "classifier.tflite", home / "red.png", "--json")
        document = json.loads(done(atoll_inside(*words, "--top", "50")).stdout)
        classes = document["results"][0]["classes"]
        count = len(classes)
        assert sorted(found["index"] for found in classes) == list(range(count))
        names = tmp_path / "names.txt"
        for lines, noticed in ((count, False), (count - 1, True), (count + 1, True)):
            names.write_text("".join(f"name {i}\n" for i in range(lines)))
            process = done(atoll_inside(*words, "--labels", names))
            assert (f"{lines} labels for {count} classes" in process.stderr) == noticed

    def test_a_compiled_file_in_software_is_said_to_be_so(self, tmp_path):
        """Its owner would think that the stick works."""
        compiled = compiled_classifier(tmp_path)
        Image.new("RGB", (30, 30), RED).save(tmp_path / "red.png")
        words = ("classify", compiled, tmp_path / "red.png")
        assert "the simulator stands for it" in done(atoll_inside(*words)).stderr
        assert done(atoll_inside(*words, "--device", "sim")).stderr == ""

    def test_who_answered_in_a_devices_place_is_in_the_document(self, tmp_path, monkeypatch):
        """Whoever reads "device" alone would take the simulator for the stick."""
        monkeypatch.setenv("ATOLL_LIBEDGETPU", str(tmp_path / "none.so"))
        Image.new("RGB", (30, 30), RED).save(tmp_path / "red.png")
        words = ("classify", compiled_classifier(tmp_path), tmp_path / "red.png", "--json")
        process = done(atoll_inside(*words, "--device", "usb:0", "--fallback", "sim"))
        document = json.loads(process.stdout)
        assert document["device"] == "usb:0"
        (note,) = document["notes"]
        assert "sim answers" in note
        assert note in process.stderr
        assert "notes" not in json.loads(done(atoll_inside(*words)).stdout)

    def test_one_form_of_output_is_chosen(self, home):
        assert "--jsonl" in refused(detect(home, home / "red.png", "--json", "--jsonl"))

    def test_a_model_of_another_task_is_told_where_it_belongs(self, home):
        line = refused(atoll_inside("detect", home / "classifier.tflite", home / "red.png"))
        assert "Try atoll classify" in line
        line = refused(atoll_inside("pose", home / "detector.tflite", home / "red.png"))
        assert "Try atoll detect" in line

    def test_anchors_are_read_from_a_file(self, home, tmp_path):
        (tmp_path / "anchors.txt").write_text("nonsense")
        process = detect(home, home / "red.png", "--anchors", tmp_path / "anchors.txt")
        assert "anchors.txt" in refused(process)
