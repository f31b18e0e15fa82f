"""The main job, end to end, through the real command."""

import csv
import json
import os
import shutil
import signal
import subprocess
import time
import zipfile

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter as LiteRT
from cli_runner import ATOLL, atoll, refused
from PIL import Image

from atoll.build.run_folder import FILES


def report(run):
    return json.loads((run / "report.json").read_text())


def epochs(run):
    with (run / "epochs.csv").open() as file:
        return list(csv.DictReader(file))


def test_a_run_holds_every_file_that_the_report_names(built):
    made_only_by_googles_compiler = {"model_quant_edgetpu.tflite", "model_quant_edgetpu.log"}
    there = {path.name for path in built.iterdir() if not path.name.startswith(".")}
    assert there == set(FILES) - made_only_by_googles_compiler


def test_it_learns_and_quantisation_keeps_it(built):
    """Digits are easy: a build that does not tell four of them apart is broken."""
    figures = {m["kind"]: m for m in report(built)["evaluation"]["models"]}
    assert figures["float"]["top1"] >= 0.9
    assert abs(figures["int8"]["top1"] - figures["float"]["top1"]) <= 0.05
    assert figures["sim"]["top1"] == figures["int8"]["top1"]


def test_every_operator_maps(built):
    compiled = report(built)["compile"]
    assert compiled["ops_cpu"] == 0
    assert compiled["ops_total"] == len(compiled["ops"])


def test_the_reported_top1_is_what_the_bare_interpreter_gives(built, digits):
    """The figure is counted again with nothing of ours but the split: uint8 pixels go in raw."""
    interpreter = LiteRT(str(built / "model_quant.tflite"))
    interpreter.allocate_tensors()
    image, scores = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    labels = (built / "labels.txt").read_text().splitlines()
    right = []
    with (built / "split.csv").open() as file:
        for row in csv.DictReader(file):
            if row["split"] == "test":
                pixels = np.asarray(Image.open(digits / row["path"]).convert("RGB"))
                interpreter.set_tensor(image["index"], pixels[None])
                interpreter.invoke()
                best = int(interpreter.get_tensor(scores["index"])[0].argmax())
                right.append(labels[best] == row["label"])
    model = next(m for m in report(built)["evaluation"]["models"] if m["kind"] == "int8")
    assert model["images"] == len(right)
    assert model["top1"] == pytest.approx(np.mean(right))


def test_labels_and_preprocessing_travel_in_the_model(built):
    """A program that is given the .tflite alone finds its labels: the standard's zip archive."""
    with zipfile.ZipFile(built / "model_quant.tflite") as archive:
        assert archive.read("labels.txt").decode().split("\n")[:1] == ["digit 0"]


def test_a_finished_run_is_not_done_again(built, digits):
    before = (built / "model_quant.tflite").stat().st_mtime_ns
    process = atoll("build", digits, "-o", built, "--epochs", "8")
    assert process.returncode == 0
    assert "finished before" in process.stderr
    assert (built / "model_quant.tflite").stat().st_mtime_ns == before


def test_json_goes_to_standard_output_alone(built, digits):
    process = atoll("build", digits, "-o", built, "--epochs", "8", "--json")
    assert json.loads(process.stdout) == report(built)


@pytest.mark.slow
def test_killed_in_training_it_goes_on_and_ends_with_the_same_bytes(built, digits, tmp_path):
    run = tmp_path / "run"
    words = [str(ATOLL), "build", str(digits), "-o", str(run), "--epochs", "8"]
    process = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    while not (run / "epochs.csv").exists() or len(epochs(run)) < 2:
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (run / "report.html").exists()
    done = len(epochs(run))

    again = atoll(*words[1:])
    assert again.returncode == 0, again.stderr
    after = int(again.stderr.split("Going on after epoch ")[1].split()[0])
    assert after in (done, done + 1)  # the state is written a moment before the CSV
    assert [int(row["epoch"]) for row in epochs(run)] == list(range(1, 9))
    for name in ("model_quant.tflite", "model_quant_sim.tflite", "labels.txt", "split.csv"):
        assert (run / name).read_bytes() == (built / name).read_bytes(), name


def test_a_run_of_another_data_set_is_left_alone(built, digits, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(digits, other)
    next((other / "digit 1").iterdir()).unlink()
    line = refused(atoll("build", other, "-o", built, "--epochs", "8"))
    assert "480 photos" in line
    assert "479 photos" in line


def test_other_settings_are_not_mixed_into_a_run(built, digits):
    assert "epochs 8" in refused(atoll("build", digits, "-o", built, "--epochs", "9"))


def test_a_folder_with_other_things_is_not_taken_for_a_run(digits, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    assert "thesis.txt" in refused(atoll("build", digits, "-o", tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.slow
def test_a_truncated_photo_and_a_bomb_among_good_ones_are_skipped_and_listed(digits, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(digits, data)
    photo = next((data / "digit 0").iterdir())
    photo.write_bytes(photo.read_bytes()[:-60])
    bomb = data / "digit 0" / "bomb.png"
    Image.new("1", (60_000, 60_000)).save(bomb)
    (data / "digit 2" / "notes.txt").write_text("not a photo")
    run = tmp_path / "run"
    process = atoll("build", data, "-o", run, "--epochs", "1")
    assert process.returncode == 0, process.stderr
    with (run / "skipped.csv").open() as file:
        reasons = {row["path"]: row["reason"] for row in csv.DictReader(file)}
    assert set(reasons) == {
        f"digit 0/{photo.name}",
        "digit 0/bomb.png",
        "digit 2/notes.txt",
    }
    assert "megapixels" in reasons["digit 0/bomb.png"]
    assert "truncated" in reasons[f"digit 0/{photo.name}"]
    assert "bomb.png" in (run / "report.html").read_text()


class TestRefusals:
    """Bad input ends in one clear line and status 2, and leaves no RUN that looks like one."""

    def refuse(self, data, tmp_path, *flags):
        run = tmp_path / "run"
        line = refused(atoll("build", data, "-o", run, *flags))
        assert not run.exists()
        return line

    def test_an_empty_folder(self, tmp_path):
        (tmp_path / "data").mkdir()
        assert "an empty folder" in self.refuse(tmp_path / "data", tmp_path)

    def test_a_folder_of_text_files_renamed_jpg(self, tmp_path):
        for kind in ("ant", "bee"):
            (tmp_path / "data" / kind).mkdir(parents=True)
            for i in range(3):
                (tmp_path / "data" / kind / f"{i}.jpg").write_text(f"{kind} {i}")
        line = self.refuse(tmp_path / "data", tmp_path)
        assert "none of 6 files is a readable photo" in line
        assert "not an image" in line

    def test_no_such_data_set(self, tmp_path):
        assert "no such folder" in self.refuse(tmp_path / "nowhere", tmp_path)

    def test_one_class_only(self, digits, tmp_path):
        shutil.copytree(digits / "digit 0", tmp_path / "data" / "digit 0")
        assert "two classes" in self.refuse(tmp_path / "data", tmp_path)

    def test_weights_that_are_no_model(self, digits, tmp_path):
        bad = tmp_path / "bad.tflite"
        bad.write_bytes(b"not a model at all")
        assert "bad.tflite" in self.refuse(digits, tmp_path, "--init-from", bad)

    @pytest.mark.parametrize(
        ("flag", "value"),
        [
            ("--backbone", "resnet9000"),
            ("--size", "huge"),
            ("--size", "7"),
            ("--alpha", "3"),
            ("--epochs", "0"),
            ("--learning-rate", "-1"),
            ("--augment", "upside-down"),
            ("--resize", "melt"),
            ("--calibration", "0"),
        ],
    )
    def test_a_flag_that_means_nothing(self, digits, tmp_path, flag, value):
        assert flag in self.refuse(digits, tmp_path, flag, value)

    def test_a_run_below_a_file(self, digits, tmp_path):
        (tmp_path / "file").write_text("")
        line = refused(atoll("build", digits, "-o", tmp_path / "file" / "run"))
        assert str(tmp_path / "file" / "run") in line

    def test_a_folder_that_may_not_be_written_to(self, digits):
        """/proc takes no folders, even from root."""
        assert "/proc/run" in refused(atoll("build", digits, "-o", "/proc/run"))


@pytest.fixture
def tiny_disk(tmp_path):
    """A file system of its own with a megabyte of space."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("a small file system can only be mounted by root")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


@pytest.mark.parametrize("room", [0, 300_000, 900_000])
def test_a_full_disk_is_one_clear_line_wherever_it_strikes(digits, tiny_disk, room):
    """From the first file to the middle of training; never a report, never a signal."""
    (tiny_disk / "ballast").write_bytes(bytes((1 << 20) - 8192 - room))
    line = refused(atoll("build", digits, "-o", tiny_disk / "run", "--epochs", "2"))
    assert "the disk is full" in line
    assert not (tiny_disk / "run" / "report.html").exists()
    assert not (tiny_disk / "run" / "report.json").exists()


@pytest.fixture
def google_stand_in(tmp_path):
    """A script that writes what Google's compiler would; the compiler itself cannot be had here."""
    script = tmp_path / "edgetpu_compiler"
    script.write_text(
        "#!/bin/sh\n"
        'while [ $# -gt 1 ]; do [ "$1" = -o ] && out=$2; shift; done\n'
        'name=$(basename "$1" .tflite)\n'
        'cp "$1" "$out/${name}_edgetpu.tflite"\n'
        "echo 'Model compiled successfully in 1 ms.'\n"
        'echo "Output model: $out/${name}_edgetpu.tflite"\n'
    )
    script.chmod(0o755)
    return script


@pytest.mark.slow
def test_with_googles_compiler_both_files_are_made(digits, tmp_path, google_stand_in):
    """The simulator's file is still measured where there is a compiler for the chip."""
    run = tmp_path / "run"
    environment = os.environ | {"ATOLL_EDGETPU_COMPILER": str(google_stand_in)}
    process = atoll("build", digits, "-o", run, "--epochs", "1", env=environment)
    assert process.returncode == 0, process.stderr
    assert (run / "model_quant_edgetpu.tflite").exists()
    assert (run / "model_quant_sim.tflite").exists()
    assert report(run)["compile"]["backend"] == "google"
