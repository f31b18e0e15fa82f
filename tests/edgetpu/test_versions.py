"""Which operator versions Google's compiler reads decides whether it takes a file at all."""

import ai_edge_litert.schema_py_generated as schema
import pytest
from litert_files import source_files

from atoll.edgetpu.rules import RULES
from atoll.edgetpu.versions import VERSIONS, newest_version
from atoll.tflite.reader import read_model


def test_every_name_is_a_real_operator_and_every_row_has_one():
    """A misspelt name would call a good file unreadable."""
    assert all(hasattr(schema.BuiltinOperator, name) for name in VERSIONS)
    assert all(newest_version(rule.op) is not None for rule in RULES)


@pytest.mark.parametrize(
    ("op", "refused"),
    [
        ("CONV_2D", 6),
        ("EXP", 2),
        ("QUANTIZE", 3),
        ("TILE", 3),
        ("TRANSPOSE_CONV", 4),
    ],
)
def test_what_compiler_16_was_seen_to_refuse_is_too_new(op, refused):
    """From published logs: google-coral/edgetpu#631, #879, #845, libedgetpu#71."""
    assert newest_version(op) == refused - 1


def test_what_compiler_16_was_seen_to_read_is_not_too_new(shared):
    """Every operator of the published models, and RSQRT 2 (google-coral/edgetpu#384)."""
    assert newest_version("RSQRT") >= 2
    for path in source_files(shared):
        for op in read_model(path).main.operators:
            assert op.version <= newest_version(op.type), (path.name, op.type)


def test_operators_younger_than_the_compiler_have_no_version():
    """GELU came with TensorFlow 2.9."""
    assert newest_version("GELU") is None
    assert newest_version("NO_SUCH_OPERATOR") is None
