"""The same file in train and in test makes a model look better than it is."""

import time

from atoll.data.duplicates import drop_duplicates
from atoll.data.listing import Listing, Photo, Skipped


def listing(tmp_path, photos, contents):
    for photo, content in zip(photos, contents, strict=True):
        path = tmp_path / photo.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return Listing(tmp_path, sorted(photos), [], "folder")


def reasons(listing):
    return {entry.path: entry.reason for entry in listing.skipped}


def test_the_copy_held_out_furthest_is_kept(tmp_path):
    names = ["train/a/1", "train/a/2", "val/a/1", "test/a/1", "train/b/1", "val/b/1"]
    photos = [Photo(name, name.split("/")[1], name.split("/")[0]) for name in names]
    kept = drop_duplicates(listing(tmp_path, photos, [b"A", b"A", b"A", b"A", b"B", b"B"]))
    assert [photo.path for photo in kept.photos] == ["test/a/1", "val/b/1"]
    assert reasons(kept) == {
        "train/a/1": "same bytes as test/a/1, in test",
        "train/a/2": "same bytes as test/a/1, in test",
        "val/a/1": "same bytes as test/a/1, in test",
        "train/b/1": "same bytes as val/b/1, in val",
    }


def test_copies_in_one_split_leave_the_first(tmp_path):
    photos = [Photo(name, "a") for name in ("3", "1", "2")]
    kept = drop_duplicates(listing(tmp_path, photos, [b"same"] * 3))
    assert [photo.path for photo in kept.photos] == ["1"]
    assert reasons(kept) == {"2": "same bytes as 1", "3": "same bytes as 1"}


def test_copies_with_different_labels_are_all_left_out(tmp_path):
    photos = [Photo("cat/1", "cat"), Photo("cat/2", "cat"), Photo("dog/1", "dog")]
    kept = drop_duplicates(listing(tmp_path, photos, [b"same"] * 3))
    assert kept.photos == []
    assert reasons(kept) == {
        "cat/1": "same bytes as dog/1, labelled 'cat' and 'dog'",
        "cat/2": "same bytes as cat/1",
        "dog/1": "same bytes as cat/1, labelled 'dog' and 'cat'",
    }


def test_a_csv_that_names_a_photo_twice(tmp_path):
    twice = [Photo("1", "a", "train"), Photo("1", "a", "test"), Photo("2", "a"), Photo("2", "b")]
    kept = drop_duplicates(listing(tmp_path, twice, [b"one", b"one", b"two", b"two"]))
    assert kept.photos == [Photo("1", "a", "test")]
    assert [entry.reason for entry in kept.skipped] == [
        "named twice, in test",
        "named twice, labelled 'a' and 'b'",
        "named twice, labelled 'b' and 'a'",
    ]


def test_equal_sizes_and_equal_beginnings_are_not_equal_photos(tmp_path):
    contents = [bytes(10_000) + end for end in (b"x", b"y", b"z", b"")]
    photos = [Photo(name, "a") for name in "1234"]
    assert drop_duplicates(listing(tmp_path, photos, contents)).photos == photos


def test_empty_files_are_no_copies_but_left_to_the_decoder(tmp_path):
    before = listing(tmp_path, [Photo("1", "a"), Photo("2", "b")], [b"", b""])
    assert drop_duplicates(before).photos == before.photos


def test_what_cannot_be_read_is_left_to_the_decoder(tmp_path):
    before = Listing(tmp_path, [Photo("no", "a"), Photo("nor this", "b")], [], "folder")
    assert drop_duplicates(before).photos == before.photos


def test_what_was_skipped_before_stays_listed_in_order(tmp_path):
    before = listing(tmp_path, [Photo("1", "a"), Photo("2", "a")], [b"x", b"x"])
    before.skipped = [Skipped("0.txt", "not a photo: .txt"), Skipped("3.txt", "not a photo: .txt")]
    assert [entry.path for entry in drop_duplicates(before).skipped] == ["0.txt", "2", "3.txt"]


def test_large_files_of_one_size_are_not_read_whole(tmp_path):
    """A folder of bitmaps has one size for all; telling them apart takes their beginnings."""
    photos = [Photo(f"{number}.bmp", "a") for number in range(40)]
    for number, photo in enumerate(photos):
        with (tmp_path / photo.path).open("wb") as file:
            file.write(bytes([number]))
            file.truncate(2**30)
    started = time.perf_counter()
    assert len(drop_duplicates(Listing(tmp_path, photos, [], "folder")).photos) == 40
    assert time.perf_counter() - started < 2
