"""Google's compiler as a backend.

It cannot be had where this is tested: it is closed and for one platform. So the reading of its
report is tested on what it really printed (published logs), and the running of it on small
programs in its place, which print such texts and make files, fail, or hang.
"""

import os
import subprocess
import time

import pytest

from atoll.compiler import google
from atoll.compiler.oplog import OperatorCount
from atoll.errors import CompilerError

REPORT = """\
Edge TPU Compiler version 16.0.384591198
Started a compilation timeout timer of 180 seconds.

Model compiled successfully in 1524 ms.

Input model: efficientdet_coral_v2.tflite
Input size: 4.24MiB
Output model: efficientdet_coral_v2_edgetpu.tflite
Output size: 5.57MiB
On-chip memory used for caching model parameters: 4.21MiB
On-chip memory remaining for caching model parameters: 3.29MiB
Off-chip memory used for streaming uncached model parameters: 0.00B
Number of Edge TPU subgraphs: 1
Total number of operations: 267
Operation log: efficientdet_coral_v2_edgetpu.log

Model successfully compiled but not all operations are supported by the Edge TPU. A percentage [...]
Number of operations that will run on Edge TPU: 264
Number of operations that will run on CPU: 3
See the operation log file for individual operation details.
Compilation child process completed within timeout period.
Compilation succeeded!
"""
TABLE = """\
Edge TPU Compiler version 14.1.317412892
Input: tiny_yolo.tflite
Output: tiny_yolo_edgetpu.tflite

Operator                       Count      Status

CONCATENATION                  1          More than one subgraph is not supported
MAX_POOL_2D                    6          Mapped to Edge TPU
RESIZE_NEAREST_NEIGHBOR        1          Operation version not supported
QUANTIZE                       1          Operation is otherwise supported, but not mapped due to \
some unspecified limitation
"""


def stand_in(tmp_path, script: str):
    """A program in the compiler's place. It finds the model in $model, the folder in $out."""
    program = tmp_path / "edgetpu_compiler"
    head = '#!/bin/sh\nout="$3"\nfor model; do :; done\nname="$(basename "$model" .tflite)"\n'
    program.write_text(head + script)
    program.chmod(0o755)
    return program


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "m.tflite"
    path.write_bytes(b"model")
    return path


def test_a_published_report_is_read(tmp_path):
    """Every number that `atoll compile` shows comes from here."""
    result = google.parse_report(REPORT + TABLE, tmp_path)
    assert result.version == "16.0.384591198"
    assert result.compile_ms == 1524
    assert result.input_bytes == round(4.24 * 2**20)
    assert result.output_bytes == round(5.57 * 2**20)
    assert result.onchip_used_bytes == round(4.21 * 2**20)
    assert result.onchip_remaining_bytes == round(3.29 * 2**20)
    assert result.offchip_bytes == 0
    assert (result.subgraphs, result.ops_total) == (1, 267)
    assert (result.ops_tpu, result.ops_cpu) == (264, 3)
    assert result.operations == [
        OperatorCount("CONCATENATION", 1, "More than one subgraph is not supported"),
        OperatorCount("MAX_POOL_2D", 6, "Mapped to Edge TPU"),
        OperatorCount("RESIZE_NEAREST_NEIGHBOR", 1, "Operation version not supported"),
        OperatorCount(
            "QUANTIZE",
            1,
            "Operation is otherwise supported, but not mapped due to some unspecified limitation",
        ),
    ]


def test_a_fully_mapped_model_is_said_by_leaving_it_out(tmp_path):
    """Google prints no such lines when all is mapped: that must not read as nothing mapped."""
    text = "\n".join(line for line in REPORT.splitlines() if "will run" not in line)
    result = google.parse_report(text, tmp_path)
    assert (result.ops_total, result.ops_tpu, result.ops_cpu) == (267, 267, 0)


@pytest.mark.parametrize(
    ("text", "size"),
    [("0.00B", 0), ("512.00B", 512), ("1.75KiB", 1792), ("23.66MiB", 24809308), ("many", 0)],
)
def test_sizes_are_bytes(text, size):
    """JSON promises bytes."""
    assert google.parse_size(text) == size


def test_it_is_found_by_the_environment_or_the_path(tmp_path, monkeypatch):
    """Whoever has it must need no flag."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(google.VARIABLE, raising=False)
    assert google.find() is None
    program = stand_in(tmp_path, "exit 0\n")
    assert google.find() == program
    other = program.rename(tmp_path / "other")
    monkeypatch.setenv(google.VARIABLE, str(other))
    assert google.find() == other
    monkeypatch.setenv(google.VARIABLE, str(tmp_path / "none"))
    with pytest.raises(CompilerError, match=google.VARIABLE):
        google.find()


def test_it_is_run_with_its_own_flags_and_its_report_read(tmp_path, model):
    """The folder, the timeout and further flags must reach it."""
    script = f'cat <<\'END\'\n{REPORT}END\necho "$@" > "$out/flags"\n'
    program = stand_in(tmp_path, script + 'echo compiled > "$out/${name}_edgetpu.tflite"\n')
    out = tmp_path / "deep" / "out"
    result = google.run(program, model, out, timeout_s=77, flags=["-m", "13"])
    assert result.output == out / "m_edgetpu.tflite"
    assert result.output.read_text() == "compiled\n"
    assert (out / "flags").read_text() == f"-s -o {out} -t 77 -m 13 {model}\n"
    assert result.ops_cpu == 3
    assert result.log == REPORT


@pytest.mark.parametrize(
    ("said", "fix"),
    [
        ("Internal compiler error. Aborting!", "--search_delegate"),
        ("Compilation failed due to large activation tensors in model.", "smaller input"),
        ("ERROR: Didn't find op for builtin opcode 'CONV_2D' version '6'", "older TensorFlow"),
        ("something new", "atoll check"),
        ("", "atoll check"),
    ],
)
def test_its_failures_become_one_line_with_a_cure(tmp_path, model, said, fix):
    """It gives no reason and no advice; here both are wanted."""
    program = stand_in(tmp_path, f"cat <<'END'\n{said}\nEND\nexit 1\n")
    with pytest.raises(CompilerError, match=fix) as caught:
        google.run(program, model, tmp_path)
    assert "\n" not in str(caught.value)
    assert said.split(".")[0] in str(caught.value)


def test_no_output_is_a_failure_even_if_it_claims_success(tmp_path, model):
    """Its exit status is 0 after some failures."""
    with pytest.raises(CompilerError):
        google.run(stand_in(tmp_path, "echo fine\n"), model, tmp_path)


def test_a_compiler_that_hangs_is_ended_with_its_child(tmp_path, model, monkeypatch):
    """It works in a child process, which would go on, and keep the pipe open, for ever."""
    monkeypatch.setattr(google, "_GRACE_S", 0.5)
    program = stand_in(tmp_path, 'sleep 600 & echo $! > "$out/child"; wait\n')
    start = time.monotonic()
    with pytest.raises(CompilerError, match="must finish within 0 s"):
        google.run(program, model, tmp_path, timeout_s=0)
    assert time.monotonic() - start < 10
    child = int((tmp_path / "child").read_text())
    for _ in range(50):
        state = subprocess.run(
            ["ps", "-o", "stat=", "-p", str(child)], capture_output=True, text=True, check=False
        ).stdout.strip()
        if not state or state.startswith("Z"):
            break
        time.sleep(0.1)
    else:
        os.kill(child, 9)
        pytest.fail("the compiler's child process still runs")


def test_a_compiler_that_cannot_be_started_is_named(tmp_path, model):
    """A file for another machine is the usual cause."""
    program = tmp_path / "edgetpu_compiler"
    program.write_text("not a program")
    with pytest.raises(CompilerError, match="cannot be started"):
        google.run(program, model, tmp_path)
