"""The command line as a person meets it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cli_runner import ATOLL, atoll, atoll_inside, refused
from PIL import Image

FULL = Path("/dev/full")


@pytest.mark.smoke
def test_help_names_every_command():
    process = atoll("--help")
    assert process.returncode == 0
    for command in ("build", "classify"):
        assert command in process.stdout


@pytest.mark.smoke
def test_version():
    assert atoll("--version").stdout.startswith("atoll 0.")


@pytest.mark.smoke
@pytest.mark.parametrize(
    "statement", ["import atoll", "from atoll.cli.app import make_app; make_app()"]
)
def test_the_light_start_never_loads_what_is_slow(statement):
    """`atoll --help` would take ten seconds with TensorFlow behind it."""
    check = f"{statement}; import sys; print([m for m in sys.modules if m in {sorted(SLOW)!r}])"
    process = subprocess.run(
        [sys.executable, "-c", check], capture_output=True, text=True, check=True
    )
    assert process.stdout.strip() == "[]"


SLOW = {"tensorflow", "keras", "numpy", "PIL", "ai_edge_litert", "jinja2"}


@pytest.mark.smoke
@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["fly"], "atoll: atoll: no such command 'fly'. Received: fly. Run: atoll --help."),
        (["clasify", "x"], "no such command 'clasify'. Received: clasify x. Write 'classify'."),
        (["build", "--no-such-flag"], "atoll: build: no such option: --no-such-flag"),
        (["check", "x", "--link", "usb4"], "'usb4' is not one of 'usb3', 'usb2', 'pcie'"),
        (["classify", "x"], "missing argument 'PHOTO...'. Received: x. Run: atoll classify --help"),
        (["devices", "x"], "got unexpected extra argument(s) (x)"),
    ],
)
def test_wrong_words_are_one_line(words, line):
    """As all bad input is; a program that reads standard error need not know two forms."""
    process = atoll_inside(*words)
    assert line in refused(process)
    assert len(process.stderr.splitlines()) == 1


@pytest.mark.smoke
def test_a_command_without_words_shows_its_help():
    process = atoll_inside("build")
    assert process.returncode == 2
    assert "Usage: atoll build" in process.stdout + process.stderr


@pytest.mark.parametrize("word", ["devices", "--help"])
def test_a_reader_that_goes_away_is_no_limit_that_was_crossed(word):
    """`| head` is no failure, and 1 is what --fail-on gives."""
    reads, writes = os.pipe()
    os.close(reads)
    with os.fdopen(writes, "w") as gone:
        process = subprocess.run([ATOLL, word], stdout=gone, stderr=subprocess.PIPE, text=True)
    assert process.returncode == 141
    assert process.stderr == ""


@pytest.mark.skipif(not FULL.exists(), reason="there is no device that is always full")
def test_an_output_that_cannot_be_printed_is_one_line():
    """A traceback, and the status 1 of a limit that was crossed, is what a full disk gave."""
    with FULL.open("w") as full:
        process = subprocess.run([ATOLL, "--help"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert "standard output: the disk is full" in refused(process)


def test_closed_streams_are_no_failure():
    """A service starts programs so; Python has no stream there at all."""
    process = subprocess.run(["bash", "-c", f"{ATOLL} --version >&- 2>&-"], check=False)
    assert process.returncode == 0


class TestClassify:
    @pytest.fixture
    def photo(self, digits):
        return sorted((digits / "digit 0").iterdir())[0]

    def test_a_run_names_what_is_on_a_photo(self, built, photo):
        process = atoll("classify", built, photo)
        assert process.returncode == 0, process.stderr
        assert "digit 0" in process.stdout.splitlines()[1]

    def test_the_model_alone_knows_its_labels(self, built, photo):
        process = atoll("classify", built / "model_quant.tflite", photo, "--json", "--top", "2")
        document = json.loads(process.stdout)
        assert document["device"] == "cpu"
        assert len(document["results"][0]["classes"]) == 2
        assert document["results"][0]["classes"][0]["label"] == "digit 0"

    def test_the_drawn_photo_is_a_picture(self, built, photo, tmp_path):
        process = atoll("classify", built, photo, "--draw", tmp_path / "drawn", "--json")
        drawn = json.loads(process.stdout)["results"][0]["drawn"]
        with Image.open(drawn) as image:
            assert min(image.size) >= 240

    @pytest.mark.parametrize(
        ("content", "reason"), [(b"text", "not an image"), (b"", "an empty file")]
    )
    def test_what_is_no_photo_is_refused(self, built, tmp_path, content, reason):
        path = tmp_path / "photo.jpg"
        path.write_bytes(content)
        assert reason in refused(atoll("classify", built, path))

    def test_no_such_model_device_or_photo(self, built, photo, tmp_path):
        assert "nowhere" in refused(atoll("classify", tmp_path / "nowhere", photo))
        assert "edgetpu" in refused(atoll("classify", built, photo, "--device", "edgetpu"))
        assert "no such file" in refused(atoll("classify", built, tmp_path / "no.jpg"))
        assert "--top" in refused(atoll("classify", built, photo, "--top", "0"))
