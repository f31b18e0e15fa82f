"""`atoll compile`, `check` and `profile` as a person and a script meet them."""

import json

import pytest
from cli_runner import atoll_inside as atoll
from cli_runner import refused

from atoll.tflite.build import GraphBuilder
from atoll.tflite.writer import write_model


def half_mapped():
    b = GraphBuilder("int8", seed=1)
    x = b.conv2d(b.input((1, 8, 8, 4)), 8, 1, activation="RELU")
    return b.model(b.resize(x, (80, 80)))


def streamed():
    """More parameters than the chip caches."""
    b = GraphBuilder("int8", seed=1)
    x = b.input((1, 1024))
    for _ in range(10):
        x = b.dense(x, 1024)
    return b.model(x)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    (folder / "half.tflite").write_bytes(write_model(half_mapped()))
    (folder / "streamed.tflite").write_bytes(write_model(streamed()))
    return folder


def compiled(folder, *words):
    return atoll("compile", *words, "--backend", "sim", cwd=folder)


class TestCompile:
    def test_googles_short_and_long_flags_mean_the_same(self, folder, tmp_path):
        """Scripts that call edgetpu_compiler are to work with the name changed."""
        short = compiled(folder, "-sad", "-m", "13", "-t", "60", "-k", "2", "-o", tmp_path / "a",
                         "half.tflite")  # fmt: skip
        long = compiled(folder, "half.tflite", "--show_operations", "--enable_multiple_subgraphs",
                        "--search_delegate", "--min_runtime_version=13", "--timeout_sec=60",
                        "--delegate_search_step=2", "--num_segments=1",
                        f"--out_dir={tmp_path / 'b'}")  # fmt: skip
        assert short.returncode == long.returncode == 0, short.stderr + long.stderr
        assert "Operator                       Count      Status" in short.stdout
        one, two = ((tmp_path / at / "half_sim.tflite").read_bytes() for at in "ab")
        assert one == two

    def test_v_is_the_version(self):
        assert atoll("compile", "-v").stdout == atoll("--version").stdout

    def test_the_way_to_check_is_told_only_where_it_would_say_the_same(self, folder, tmp_path):
        """Of a cut that was asked for, `atoll check` knows nothing: it would say that all maps."""
        words = ("half.tflite", "-o", tmp_path)
        assert "or: atoll check half.tflite" in compiled(folder, *words).stdout
        name = half_mapped().main.tensors[half_mapped().main.operators[0].outputs[0]].name
        asked = compiled(folder, *words, "-i", name)
        assert "half.log" in asked.stdout
        assert "atoll check" not in asked.stdout

    def test_one_json_document_and_nothing_else_on_standard_output(self, folder, tmp_path):
        process = compiled(folder, "half.tflite", "streamed.tflite", "-o", tmp_path, "--json")
        assert process.returncode == 0, process.stderr
        one, two = json.loads(process.stdout)["models"]
        assert (one["ops_tpu"], one["ops_cpu"]) == (1, 1)
        assert two["offchip_bytes"] > 0
        assert sorted(p.name for p in tmp_path.iterdir()) == [
            "half.log", "half_sim.tflite", "streamed.log", "streamed_sim.tflite",
        ]  # fmt: skip

    def test_without_a_folder_it_writes_where_it_is(self, folder, tmp_path):
        """As edgetpu_compiler does."""
        process = atoll("compile", folder / "half.tflite", "--backend", "sim", cwd=tmp_path)
        assert process.returncode == 0, process.stderr
        assert sorted(p.name for p in tmp_path.iterdir()) == ["half.log", "half_sim.tflite"]

    def test_a_limit_that_is_crossed_is_status_1_and_the_work_is_done(self, folder, tmp_path):
        """A build server fails on it, and has the files to look at."""
        process = compiled(folder, "half.tflite", "-o", tmp_path, "--fail-on", "cpu-ops", "--json")
        assert process.returncode == 1
        assert "operators on the CPU: 1 (--fail-on cpu-ops)" in process.stderr
        assert json.loads(process.stdout)["models"]
        assert (tmp_path / "half_sim.tflite").is_file()
        process = compiled(folder, "half.tflite", "-o", tmp_path, "--fail-on", "off-chip")
        assert process.returncode == 0
        process = compiled(folder, "streamed.tflite", "-o", tmp_path, "--fail-on", "off-chip",
                           "--fail-on", "cpu-ops")  # fmt: skip
        assert process.returncode == 1

    def test_the_page_is_written_too(self, folder, tmp_path):
        page = tmp_path / "page.html"
        process = compiled(folder, "half.tflite", "-o", tmp_path, "--html", page)
        assert process.returncode == 0, process.stderr
        assert "RESIZE_BILINEAR" in page.read_text()

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["no.tflite"], "no.tflite"),
            (["half.tflite", "-m", "15"], "10 to 14"),
            (["half.tflite", "-n", "0"], "--num_segments"),
            (["half.tflite", "-t", "0"], "--timeout_sec"),
            (["half.tflite", "-i", "nowhere"], "nowhere"),
            (["half.tflite", "streamed.tflite", "-i", "a"], "colons"),
            (["half.tflite", "half.tflite"], "different names"),
            (["half.tflite", "streamed.tflite", "--html", "x.html"], "--html"),
            (["text.tflite"], "not a TFLite model"),
            (["empty.tflite"], "not a TFLite model"),
            (["cut.tflite"], "damaged"),
        ],
    )
    def test_bad_input_is_one_line_and_leaves_nothing(self, folder, tmp_path, words, said):
        (folder / "text.tflite").write_text("a text, not a model")
        (folder / "empty.tflite").write_bytes(b"")
        (folder / "cut.tflite").write_bytes((folder / "half.tflite").read_bytes()[:600])
        assert said in refused(compiled(folder, *words, "-o", tmp_path / "out"))
        assert not (tmp_path / "out").exists()

    def test_a_folder_that_cannot_be_written_is_one_line(self, folder, tmp_path):
        (tmp_path / "file").write_text("")
        refused(compiled(folder, "half.tflite", "-o", tmp_path / "file"))

    def test_google_where_it_is_not_is_one_line(self, folder, monkeypatch):
        """It must name how to have it."""
        monkeypatch.setenv("PATH", "/usr/bin:/bin")
        process = atoll("compile", folder / "half.tflite", "--backend", "google")
        assert "ATOLL_EDGETPU_COMPILER" in refused(process)


class TestCheck:
    def test_the_verdict_comes_first_and_the_reason_behind(self, folder):
        """It is read before hardware is bought."""
        process = atoll("check", folder / "half.tflite")
        assert process.returncode == 0, process.stderr
        first, rest = process.stdout.split("\n", 1)
        assert first == "half.tflite: 1 of 2 operators map, 1 stays on the CPU."
        assert "Predicted time of a call, not measured" in rest
        assert "1. RESIZE_BILINEAR: costs " in rest
        whole = atoll("check", folder / "streamed.tflite").stdout
        assert whole.startswith("streamed.tflite: maps fully: all 10 operators")
        assert "sent again at every call; if all fitted" in whole

    def test_json_limit_and_page(self, folder, tmp_path):
        process = atoll("check", folder / "half.tflite", "--json", "--fail-on", "cpu-ops",
                        "--html", tmp_path / "page.html", "--link", "pcie")  # fmt: skip
        assert process.returncode == 1
        (model,) = json.loads(process.stdout)["models"]
        assert model["blockers"][0]["type"] == "RESIZE_BILINEAR"
        assert "RESIZE_BILINEAR" in (tmp_path / "page.html").read_text()
        assert sorted(p.name for p in tmp_path.iterdir()) == ["page.html"]

    def test_bad_input_is_one_line(self, folder, tmp_path):
        refused(atoll("check", tmp_path / "none.tflite"))
        assert "10 to 14" in refused(atoll("check", folder / "half.tflite", "-m", "9"))


class TestProfile:
    def test_the_slowest_come_first(self, folder):
        """Where the time goes is what it is asked for."""
        process = atoll("profile", folder / "streamed.tflite", "--top", "3", "--link", "usb2")
        assert process.returncode == 0, process.stderr
        assert "predicted, not measured" in process.stdout.splitlines()[0]
        assert process.stdout.count("FULLY_CONNECTED") == 3
        assert "and 7 more" in process.stdout
        assert "streaming" in process.stdout
        assert "If all fitted the cache" in process.stdout

    def test_links_and_clocks_change_the_prediction(self, folder):
        """A slower link and clock must not be predicted to be faster."""

        def ms(*words):
            process = atoll("profile", folder / "streamed.tflite", "--json", *words)
            assert process.returncode == 0, process.stderr
            return json.loads(process.stdout)["models"][0]["ms"]

        assert ms("--link", "usb2") > ms("--link", "usb3")
        assert ms("--clock", "std") >= ms("--clock", "max")

    def test_wrong_values_are_refused(self, folder):
        assert "--top" in refused(atoll("profile", folder / "half.tflite", "--top", "-1"))
        for words in (["--link", "usb4"], ["--clock", "fast"]):
            process = atoll("profile", folder / "half.tflite", *words)
            assert process.returncode == 2
            assert "Traceback" not in process.stderr


@pytest.mark.smoke
def test_h_is_help_everywhere():
    """edgetpu_compiler has it."""
    for words in ([], ["compile"], ["check"]):
        assert "Usage: atoll" in atoll(*words, "-h").stdout
