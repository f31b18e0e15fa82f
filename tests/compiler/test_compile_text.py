"""The text of a compile: scripts that read edgetpu_compiler's must read ours."""

import re

import pytest
from google_stand_in import REPORT, VERSION, chain, say
from google_stand_in import compiled as google_made
from google_stand_in import program as put_program

from atoll.compiler import program
from atoll.compiler.googlelog import parse_reports, parse_size
from atoll.compiler.job import compile_models
from atoll.compiler.request import Request
from atoll.compiler.text import format_size, report
from atoll.tflite.build import GraphBuilder
from atoll.tflite.writer import write_model
from atoll.version import __version__


def half_mapped():
    """A model whose last operator stays on the CPU, the one before a tensor of its own scale."""
    b = GraphBuilder("int8", seed=1)
    x = b.conv2d(b.input((1, 8, 8, 4)), 8, 1, activation="RELU")
    return b.model(b.resize(x, (80, 80)))


@pytest.fixture
def compiled(tmp_path):
    def make(show_operations=False, models=None, **asked):
        models = models or {"m": chain(3)}
        paths = []
        for name, model in models.items():
            paths.append(tmp_path / f"{name}.tflite")
            paths[-1].write_bytes(write_model(model))
        request = Request(**{"backend": "sim"} | asked)
        done = compile_models(paths, tmp_path / "out", request)
        return done, report(done, request, show_operations=show_operations)

    return make


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0.00B"),
        (512, "512.00B"),
        (1792, "1.75KiB"),
        (round(604.5 * 1024), "604.50KiB"),
        (round(4.21 * 2**20), "4.21MiB"),
        (3 << 30, "3.00GiB"),
        (5 << 40, "5120.00GiB"),
    ],
)
def test_sizes_are_printed_as_google_prints_them(count, text):
    """A script looks for the unit and two digits."""
    assert format_size(count) == text


def test_the_lines_are_googles_in_its_order(compiled):
    """The order and the words of a published log, but for who speaks."""
    (one,), text = compiled()
    expected = f"""\
Atoll compiler version {__version__}, for the simulator
Started a compilation timeout timer of 180 seconds.

Model compiled successfully in N ms.

Input model: {one.input}
Input size: S
Output model: {one.output}
Output size: S
On-chip memory used for caching model parameters: S
On-chip memory remaining for caching model parameters: S
Off-chip memory used for streaming uncached model parameters: 0.00B
Number of Edge TPU subgraphs: 1
Total number of operations: 3
Operation log: {one.log}
See the operation log file for individual operation details.
Compilation child process completed within timeout period.
Compilation succeeded!\x20
"""
    found = re.sub(r"in \d+ ms", "in N ms", text)
    found = re.sub(r"(ut size|parameters): [1-9][\d.]*(B|KiB|MiB)", r"\1: S", found)
    assert found.startswith(expected)


def test_what_it_prints_is_read_back_as_what_it_did(compiled):
    """Our own reader of Google's logs stands for other people's."""
    (one, two), text = compiled(models={"one": chain(3), "two": half_mapped()})
    assert "Models compiled successfully" in text
    first, second = parse_reports(text)
    assert (first.ops_total, first.ops_tpu, first.ops_cpu) == (3, 3, 0)
    assert (second.ops_total, second.ops_tpu, second.ops_cpu) == (2, 1, 1)
    for done, said in ((one, first), (two, second)):
        assert said.output == str(done.output)
        assert said.output_bytes == parse_size(format_size(done.output_bytes))
        assert said.onchip_memory_bytes == parse_size(format_size(done.sizes.onchip_memory))


def test_operations_are_shown_on_request(compiled):
    """-s shows the table in the text itself."""
    _, text = compiled(show_operations=True)
    (said,) = parse_reports(text)
    assert [(row.type, row.count, row.status) for row in said.operations] == [
        ("CONV_2D", 3, "Mapped to Edge TPU")
    ]
    assert "See the operation log" not in text


def test_the_rest_names_prediction_and_reason(compiled):
    """What Google does not tell is told behind what it does, and called a prediction."""
    _, text = compiled(models={"m": half_mapped()})
    rest = text.partition("Compilation succeeded!")[2]
    assert "Predicted time of a call, not measured" in rest
    assert "atoll check" in rest


def test_the_log_says_why(compiled):
    """It is where people look first."""
    (one,), _ = compiled(models={"m": half_mapped()})
    log = one.log.read_text()
    assert "Why operators stay on the CPU" in log
    assert one.verdicts[-1].reason in log
    assert f"{one.verdicts[-1].index}: RESIZE_BILINEAR" in log


def test_the_search_is_announced_as_google_does(compiled):
    """Scripts look for how many operators were tried."""
    _, text = compiled(search_delegate=True, search_step=10)
    assert text.splitlines()[1:3] == [
        "Searching for valid delegate with step 10",
        "Try to compile segment with 3 ops",
    ]


def test_a_model_of_which_nothing_maps_is_said_plainly(compiled):
    """A file is written all the same: nobody may take it for a compiled one."""
    b = GraphBuilder("int8", seed=1)
    model = b.model(b.resize(b.input((1, 8, 8, 4)), (80, 80)))
    (one,), text = compiled(models={"m": model})
    assert "Number of operations that will run on Edge TPU: 0" in text
    assert "Nothing of it maps to the Edge TPU" in text
    assert one.verdicts[0].reason in text


def test_googles_output_is_given_under_its_own_name(tmp_path, monkeypatch):
    """Who reads it must know which compiler made the file."""
    path = tmp_path / "m.tflite"
    path.write_bytes(write_model(chain(3)))
    (tmp_path / "made.tflite").write_bytes(google_made(chain(3), 3))
    script = f'cp "{tmp_path}/made.tflite" "$out/m_edgetpu.tflite"\n' + say(REPORT.format(name="m"))
    monkeypatch.setenv(program.VARIABLE, str(put_program(tmp_path / "compiler", script)))
    request = Request(backend="google")
    text = report(compile_models([path], tmp_path, request), request, show_operations=False)
    assert text.startswith(f"Edge TPU Compiler version {VERSION}\n")
    assert "On-chip memory used for caching model parameters: 4.21MiB" in text
    assert f"Output model: {tmp_path / 'm_edgetpu.tflite'}" in text
