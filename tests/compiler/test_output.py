"""Files of one compile are written together."""

import pytest

from atoll.compiler.output import check_places, write_all
from atoll.errors import OutputError, UsageError


def test_all_files_or_none(tmp_path):
    """A compiled file without its log, or half a pipeline, would look done."""
    (tmp_path / "second").mkdir()
    with pytest.raises(OutputError):
        write_all({tmp_path / "first": b"1", tmp_path / "none" / "second": b"2"})
    assert [path.name for path in tmp_path.iterdir()] == ["second"]
    write_all({tmp_path / "first": b"1", tmp_path / "second" / "third": b"3"})
    assert (tmp_path / "first").read_bytes() == b"1"
    assert (tmp_path / "second" / "third").read_bytes() == b"3"


def test_the_same_file_under_two_names_is_seen(tmp_path):
    """A link would let a compile destroy its own input."""
    (tmp_path / "m.tflite").write_bytes(b"model")
    (tmp_path / "m_sim.tflite").symlink_to(tmp_path / "m.tflite")
    with pytest.raises(UsageError):
        check_places([tmp_path / "m_sim.tflite"], [tmp_path / "m.tflite"])
    check_places([tmp_path / "other"], [tmp_path / "m.tflite"])
