"""What Google's compiler prints is read as it was printed: in published logs."""

import pytest

from atoll.compiler.googlelog import parse_reports, parse_size, why_failed
from atoll.compiler.oplog import OperatorCount

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


def test_a_published_report_is_read():
    """Every number that `atoll compile` shows comes from here."""
    (result,) = parse_reports(REPORT + TABLE)
    assert result.version == "16.0.384591198"
    assert result.compile_ms == 1524
    assert result.input_bytes == round(4.24 * 2**20)
    assert result.output_bytes == round(5.57 * 2**20)
    assert result.onchip_memory_bytes == round(4.21 * 2**20)
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


def test_a_fully_mapped_model_is_said_by_leaving_it_out():
    """Google prints no such lines when all is mapped: that must not read as nothing mapped."""
    text = "\n".join(line for line in REPORT.splitlines() if "will run" not in line)
    (result,) = parse_reports(text)
    assert (result.ops_total, result.ops_tpu, result.ops_cpu) == (267, 267, 0)


@pytest.mark.parametrize(
    ("text", "size"),
    [("0.00B", 0), ("512.00B", 512), ("1.75KiB", 1792), ("23.66MiB", 24809308), ("many", 0)],
)
def test_sizes_are_bytes(text, size):
    """JSON promises bytes."""
    assert parse_size(text) == size


TOGETHER = """\
Edge TPU Compiler version 16.0.384591198
Started a compilation timeout timer of 180 seconds.

Models compiled successfully in 524 ms.

Input model: temp_models/1.tflite
Input size: 1.91MiB
Output model: temp_models/co-compiled/2/1_edgetpu.tflite
Output size: 2.52MiB
On-chip memory used for caching model parameters: 2.27MiB
On-chip memory remaining for caching model parameters: 1.07MiB
Off-chip memory used for streaming uncached model parameters: 0.00B
Number of Edge TPU subgraphs: 1
Total number of operations: 57
Operation log: temp_models/co-compiled/2/1_edgetpu.log
See the operation log file for individual operation details.

Input model: temp_models/2.tflite
Input size: 1.87MiB
Output model: temp_models/co-compiled/2/2_edgetpu.tflite
Output size: 2.06MiB
On-chip memory used for caching model parameters: 2.00MiB
On-chip memory remaining for caching model parameters: 1.07MiB
Off-chip memory used for streaming uncached model parameters: 0.00B
Number of Edge TPU subgraphs: 1
Total number of operations: 6
Operation log: temp_models/co-compiled/2/2_edgetpu.log
See the operation log file for individual operation details.
Compilation child process completed within timeout period.
Compilation succeeded!
"""


def test_models_that_are_compiled_together_are_told_apart():
    """The figures of one would be taken for the other's (google-coral/edgetpu issue 458)."""
    one, two = parse_reports(TOGETHER)
    assert (one.input, two.input) == ("temp_models/1.tflite", "temp_models/2.tflite")
    assert (one.ops_total, two.ops_total) == (57, 6)
    assert (one.onchip_memory_bytes, two.onchip_memory_bytes) == (round(2.27 * 2**20), 2 << 20)
    assert one.compile_ms == two.compile_ms == 524


def test_each_segment_has_its_own_time():
    """Segments are compiled one after another, each with a line of its own before its report."""
    second = TOGETHER.split("\n", 1)[1].replace("524 ms", "91 ms")
    times = [report.compile_ms for report in parse_reports(TOGETHER + second)]
    assert times == [524, 524, 91, 91]


@pytest.mark.parametrize(
    ("said", "fix", "again"),
    [
        ("Internal compiler error. Aborting!", "--search_delegate", True),
        (
            "/usr/bin/edgetpu_compiler: line 3: 1531 Segmentation fault (core dumped)",
            "--search_delegate",
            True,
        ),
        ("Compilation failed due to large activation tensors in model.", "smaller input", False),
        ("ERROR: Didn't find op for builtin opcode 'CONV_2D' version '6'", "--legalize", False),
        (
            "ERROR: Attempting to use a delegate that only supports static-sized tensors with a "
            "graph that has dynamic-sized tensors.\nCompilation failed: Model failed in Tflite "
            "interpreter. Please ensure model can be loaded/run in Tflite interpreter.",
            "--legalize",
            False,
        ),
        ("something new", "atoll check", True),
        ("", "atoll check", True),
    ],
)
def test_its_failures_are_known_with_a_cure(said, fix, again):
    """It gives no reason and no advice; what is final must not be tried again and again."""
    failure, words = why_failed(f"Edge TPU Compiler version 16\n{said}\nCompilation failed! \n", 1)
    assert fix in failure.fix
    assert failure.again is again
    assert words in (said or "Edge TPU Compiler version 16") or words == "exit status 1"


def test_a_crash_without_a_word_is_told_by_its_signal():
    """An empty reason would be shown."""
    assert why_failed("", -11)[1] == "it was ended by signal 11"
