"""The command line as a person meets it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from cli_runner import ATOLL, atoll, refused
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
@pytest.mark.parametrize("words", [["build"], ["classify"], ["fly"], ["build", "--no-such-flag"]])
def test_wrong_usage_exits_with_2_and_no_traceback(words):
    process = atoll(*words)
    assert process.returncode == 2 or "Usage" in process.stdout
    assert "Traceback" not in process.stderr


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
