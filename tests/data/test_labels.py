"""labels.txt in the forms that people have: a label off by one makes every answer wrong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll.data.labels import MAX_LABELS, read_labels, write_labels
from atoll.errors import ModelError, OutputError


def read(tmp_path, text):
    path = tmp_path / "labels.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_labels(path)


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("cat\ndog\n", ["cat", "dog"]),
        ("cat\ndog", ["cat", "dog"]),
        ("0 cat\n1 dog\n", ["cat", "dog"]),
        ("0  cat\n1\tdog\n", ["cat", "dog"]),
        ("0:cat\n1:dog\n", ["cat", "dog"]),
        ("0: cat\n1 : dog\n", ["cat", "dog"]),
        ("1 dog\n0 cat\n", ["cat", "dog"]),
        ("0 person\n2 car\n4 bus\n", ["person", "", "car", "", "bus"]),
        ("0 cat\n\n1 dog\n\n\n", ["cat", "dog"]),
        ("cat\n\ndog\n", ["cat", "", "dog"]),
        ("\ufeff0 cat\r\n1 dog\r\n", ["cat", "dog"]),
        ("cat\rdog\r", ["cat", "dog"]),
        ("3 doors\ncat\n", ["3 doors", "cat"]),
        ("0\n1\n2\n", ["0", "1", "2"]),
        ("2 euro\n2 dollars\n", ["2 euro", "2 dollars"]),
        ("great white shark, man-eater\n", ["great white shark, man-eater"]),
        ("0 12 inch: disc\n", ["12 inch: disc"]),
        ("Käfer\n虎\n", ["Käfer", "虎"]),
        ("a\u2028b\n", ["a\u2028b"]),
    ],
)
def test_the_three_forms(tmp_path, text, labels):
    assert read(tmp_path, text) == labels


def test_corals_own_lists_are_read_as_they_are(shared):
    photos = shared / "data" / "photos"
    imagenet = read_labels(photos / "imagenet_labels.txt")
    assert len(imagenet) == 1001
    assert imagenet[0] == "background"
    coco = read_labels(photos / "coco_labels.txt")
    assert (len(coco), coco[0], coco[16]) == (90, "person", "cat")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        (" \n \n", "empty"),
        (b"\xff\xfe\x00c", "UTF-8"),
        (b"\x89PNG\r\n", "UTF-8"),
        ("cat\0dog", "zero bytes"),
        ("999999999 cat\n", str(MAX_LABELS)),
        ("x\n" * (MAX_LABELS + 1), str(MAX_LABELS)),
        (b"x" * (16 * 1024 * 1024 + 1), "bytes"),
    ],
    ids=["empty", "blank", "utf-16", "png", "nul", "huge index", "too many", "too large"],
)
def test_what_is_no_list_of_labels_is_one_clear_error(tmp_path, text, words):
    with pytest.raises(ModelError, match=rf"labels\.txt.*{words}"):
        read(tmp_path, text)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"none\.txt.*No such file"):
        read_labels(tmp_path / "none.txt")


def test_labels_are_written_plain_one_a_line(tmp_path):
    write_labels(tmp_path / "labels.txt", ["cat", "hot dog"])
    assert (tmp_path / "labels.txt").read_bytes() == b"cat\nhot dog\n"


def test_a_label_of_two_lines_is_refused(tmp_path):
    with pytest.raises(OutputError, match="one line"):
        write_labels(tmp_path / "labels.txt", ["cat\ndog"])


word = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0\ufeff")).map(str.strip)


@given(
    st.lists(word.filter(bool) | st.from_regex(r"[0-9]{1,3}[ :][a-z]", fullmatch=True), min_size=1)
)
def test_whatever_the_classes_are_called_their_names_come_back(tmp_path_factory, labels):
    path = tmp_path_factory.mktemp("labels") / "labels.txt"
    write_labels(path, labels)
    assert read_labels(path) == labels
