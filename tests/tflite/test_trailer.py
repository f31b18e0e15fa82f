"""The archive with the label files must survive any change of the model before it."""

import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll.tflite import trailer


def archive(files: dict[str, bytes], prefix: bytes = b"", comment: bytes = b"") -> bytes:
    """What the TFLite tools make: a zip appended to `prefix`, its offsets from the file's start."""
    buffer = io.BytesIO(prefix)
    with zipfile.ZipFile(buffer, "a") as file:
        for name, content in files.items():
            file.writestr(name, content)
        file.comment = comment
    return buffer.getvalue()


@given(
    files=st.dictionaries(st.text("abc", min_size=1), st.binary(max_size=40), min_size=1),
    before=st.binary(max_size=99),
    after=st.binary(max_size=99),
    comment=st.text("PK no mark", max_size=9).map(str.encode),
)
def test_an_archive_moves_from_one_model_to_another(files, before, after, comment):
    """Whatever the two lengths, every reader must find every file at its recorded place."""
    whole = archive(files, before, comment)
    alone = trailer.split(whole, len(before))
    assert before + alone[:4] == whole[: len(before) + 4]
    for data in (alone, trailer.join(after, alone)):
        with zipfile.ZipFile(io.BytesIO(data)) as read:
            assert {name: read.read(name) for name in read.namelist()} == files
            for entry in read.infolist():
                assert data[entry.header_offset :].startswith(b"PK\x03\x04")
    assert trailer.split(trailer.join(after, alone), len(after)) == alone


@pytest.mark.parametrize(
    "data",
    [b"", b"PK\x05\x06", b"PK\x05\x06" + bytes(18), b"x" * 90, archive({"a": b"b"}) + b"more"],
)
def test_what_is_no_archive_is_left_alone(data):
    """Weights that happen to hold a zip's marks are no label files."""
    assert trailer.split(data, 1) == b""
    assert trailer.join(b"model", data[:0]) == b"model"


@given(st.data())
def test_damaged_archives_do_no_harm(data):
    """The end of a file is as little to be trusted as its start."""
    whole = bytearray(archive({"labels.txt": b"cat\ndog\n"}, b"x" * 40))
    for _ in range(3):
        whole[data.draw(st.integers(40, len(whole) - 1))] = data.draw(st.integers(0, 255))
    found = trailer.split(bytes(whole), 40)
    assert isinstance(found, bytes)
    assert len(found) <= len(whole) - 40


def test_an_archive_inside_the_models_data_is_not_cut_off():
    """A model that carries a zip as a constant must keep it."""
    whole = archive({"a": b"b"}, b"x" * 40)
    assert trailer.split(whole, 41) == b""
