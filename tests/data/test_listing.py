"""What tells data sets apart."""

import random

import pytest

from atoll.data.listing import Photo, check_classes, fingerprint
from atoll.errors import DatasetError


@pytest.fixture
def photos(tmp_path):
    for name in ("1", "2"):
        (tmp_path / name).write_bytes(b"12")
    return [Photo("1", "a", "train"), Photo("2", "b", "")]


def test_a_fingerprint_does_not_hang_on_the_order(photos, tmp_path):
    expected = fingerprint(photos, tmp_path)
    assert len(expected) == 64
    random.Random(0).shuffle(photos)
    assert fingerprint(photos[::-1], tmp_path) == fingerprint(photos, tmp_path) == expected


@pytest.mark.parametrize(
    "other", [Photo("1", "c", "train"), Photo("1", "a", "val"), Photo("gone", "a", "train")]
)
def test_a_fingerprint_notices_every_change(photos, tmp_path, other):
    assert fingerprint([other, photos[1]], tmp_path) != fingerprint(photos, tmp_path)
    assert fingerprint(photos[:1], tmp_path) != fingerprint(photos, tmp_path)


def test_a_fingerprint_notices_another_size(photos, tmp_path):
    before = fingerprint(photos, tmp_path)
    (tmp_path / "2").write_bytes(b"123")
    assert fingerprint(photos, tmp_path) != before


def test_names_cannot_be_mistaken_for_labels(tmp_path):
    one, other = [Photo("a", "b c", "")], [Photo("a b", "c", "")]
    assert fingerprint(one, tmp_path) != fingerprint(other, tmp_path)


def test_two_classes_are_the_least(tmp_path):
    check_classes([Photo("1", "a"), Photo("2", "b")], tmp_path)
    with pytest.raises(DatasetError, match="only 'a'"):
        check_classes([Photo("1", "a"), Photo("2", "a")], tmp_path)
    with pytest.raises(DatasetError, match="no photos"):
        check_classes([], tmp_path)
