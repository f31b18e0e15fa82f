"""From a folder to what is trained on: whatever is wrong with it is said before, not after."""

import shutil
import zipfile

import numpy as np
import pytest
from PIL import Image

from atoll.data.dataset import prepare
from atoll.data.listing import fingerprint
from atoll.data.preprocessing import Preprocessing
from atoll.data.scan import scan
from atoll.data.split import read_split
from atoll.errors import DatasetError

PREPROCESSING = Preprocessing(8, 8, (127.5,) * 3, (127.5,) * 3)


def reasons(dataset):
    return {entry.path: entry.reason for entry in dataset.skipped}


def test_pixels_labels_and_splits_belong_together(make_tree):
    root = make_tree({"dog": 12, "cat": 20, "bird": 10})
    dataset = prepare(root, PREPROCESSING, seed=0)
    assert dataset.classes == ["bird", "cat", "dog"]
    assert dataset.pixels.shape == (42, 8, 8, 3)
    assert dataset.labels.dtype == np.int64
    for photo, label, pixels in zip(dataset.photos, dataset.labels, dataset.pixels, strict=True):
        assert dataset.classes[label] == photo.label == photo.path.split("/")[0]
        with Image.open(root / photo.path) as image:
            np.testing.assert_array_equal(pixels, PREPROCESSING.pixels(image))
    splits = [dataset.indices(split) for split in ("train", "val", "test")]
    assert sorted(np.concatenate(splits)) == list(range(42))
    assert all(set(dataset.labels[places]) == {0, 1, 2} for places in splits)
    assert dataset.fingerprint == fingerprint(scan(root).photos, root)
    assert (dataset.skipped, dataset.warnings, dataset.root) == ([], [], root)
    assert dataset.note == "4 photos drawn class by class, never seen in training"


def test_the_same_folder_gives_the_same_data_set(make_tree, tmp_path):
    root = make_tree({"a": 15, "b": 15})
    shutil.copytree(root, tmp_path / "copy")
    one, two = (prepare(path, PREPROCESSING, seed=5) for path in (root, tmp_path / "copy"))
    assert (one.photos, one.fingerprint) == (two.photos, two.fingerprint)
    assert one.pixels.tobytes() == two.pixels.tobytes()
    assert prepare(root, PREPROCESSING, seed=6).photos != one.photos


def test_unreadable_photos_are_left_out_before_the_split_is_drawn(make_tree):
    """Or a class of few photos could be left with none to measure it by."""
    bad = {f"a/bad{number}.jpg": b"text %d" % number for number in range(30)}
    root = make_tree({"a": 3, "b": 12, **bad})
    for seed in range(5):
        dataset = prepare(root, PREPROCESSING, seed=seed)
        for split in ("train", "val", "test"):
            assert set(dataset.labels[dataset.indices(split)]) == {0, 1}
    assert reasons(dataset) == dict.fromkeys(bad, "not an image")
    assert dataset.warnings == ["Fewer than 10 photos in a (3): expect little of them"]


def test_copies_never_lie_in_two_splits(make_tree):
    root = make_tree({"train/a": 10, "train/b": 10, "val/a": 5, "val/b": 5})
    shutil.copy(root / "val/a/000.png", root / "train/a/copy.png")
    shutil.copy(root / "train/b/000.png", root / "train/b/again.png")
    dataset = prepare(root, PREPROCESSING, seed=0)
    assert reasons(dataset) == {
        "train/a/copy.png": "same bytes as val/a/000.png, in val",
        "train/b/again.png": "same bytes as train/b/000.png",
    }
    assert dataset.note == "the data set's own val split (10 photos), never seen in training"


def test_a_class_of_which_nothing_can_be_used_is_left_out_and_said(make_tree):
    root = make_tree({"a": 10, "b": 10, "c/1.jpg": b"text", "c/2.jpg": b""})
    dataset = prepare(root, PREPROCESSING, seed=0)
    assert dataset.classes == ["a", "b"]
    assert dataset.warnings[0] == (
        "None of the 2 files of 'c' can be used (the first, c/1.jpg: not an image): it is left out"
    )


def test_files_that_only_claim_to_be_photos_are_one_clear_error(make_tree):
    root = make_tree({f"{label}/{n}.jpg": f"{label}{n}".encode() for label in "ab" for n in "12"})
    with pytest.raises(DatasetError, match="none of 4 files is a readable photo") as caught:
        prepare(root, PREPROCESSING, seed=0)
    assert "a/1.jpg: not an image" in str(caught.value)


def test_one_class_left_is_one_clear_error(make_tree):
    root = make_tree({"a": 5, "b/1.jpg": b"text", "b/2.jpg": b"more text"})
    with pytest.raises(DatasetError, match=r"2 files of 'b'.*b/1.jpg: not an image"):
        prepare(root, PREPROCESSING, seed=0)


def test_photos_under_contradicting_labels_are_one_clear_error(make_tree):
    root = make_tree({"a": 5})
    shutil.copytree(root / "a", root / "b")
    with pytest.raises(DatasetError, match=r"same bytes as b/000\.png, labelled 'a' and 'b'"):
        prepare(root, PREPROCESSING, seed=0)


def test_a_cache_holds_the_pixels(make_tree, tmp_path):
    root = make_tree({"a": 5, "b": 5, "a/bad.jpg": b"text"})
    cached = prepare(root, PREPROCESSING, seed=0, cache=tmp_path / "pixels.npy")
    assert isinstance(cached.pixels, np.memmap)
    in_memory = prepare(root, PREPROCESSING, seed=0)
    np.testing.assert_array_equal(cached.pixels, in_memory.pixels)
    np.testing.assert_array_equal(cached.pixels[cached.indices("test")].shape, (2, 8, 8, 3))


def test_a_frozen_split_is_used_as_it_is(make_tree, tmp_path):
    root = make_tree({"a": 12, "b": 12})
    frozen = tmp_path / "split.csv"
    first = prepare(root, PREPROCESSING, seed=1, split_file=frozen)
    assert read_split(frozen) == first.photos
    again = prepare(root, PREPROCESSING, seed=2, split_file=frozen)
    assert again.photos == first.photos
    assert again.note == first.note
    assert again.pixels.tobytes() == first.pixels.tobytes()


def test_photos_added_after_the_split_was_frozen_are_not_used_and_said(make_tree, tmp_path):
    root = make_tree({"a": 12, "b": 12})
    frozen = tmp_path / "split.csv"
    first = prepare(root, PREPROCESSING, seed=1, split_file=frozen)
    make_tree({"a/new": 1, "a/notes.txt": b"x"})
    shutil.copy(root / "b/000.png", root / "b/copy.png")
    again = prepare(root, PREPROCESSING, seed=1, split_file=frozen)
    assert again.photos == first.photos
    assert reasons(again) == {
        "a/new/000.png": "not in the frozen split",
        "a/notes.txt": "not a photo: .txt",
        "b/copy.png": "same bytes as b/000.png",
    }
    assert again.fingerprint != first.fingerprint


@pytest.mark.parametrize("harm", ["missing", "truncated"])
def test_a_photo_of_the_frozen_split_that_is_gone_is_one_clear_error(make_tree, tmp_path, harm):
    root = make_tree({"a": 12, "b": 12})
    frozen = tmp_path / "split.csv"
    prepare(root, PREPROCESSING, seed=1, split_file=frozen)
    photo = root / "a/003.png"
    whole = photo.read_bytes()
    photo.unlink()
    if harm == "truncated":
        photo.write_bytes(whole[:-40])
    with pytest.raises(DatasetError, match=rf"split\.csv.*1 are not.*a/003.png: .*{harm}"):
        prepare(root, PREPROCESSING, seed=1, split_file=frozen)


def test_a_csv_data_set_is_prepared_too(make_tree):
    root = make_tree({"images": 12})
    uses = ["TRAIN"] * 8 + ["VALIDATION"] * 2 + ["TEST"] * 2
    rows = (f"{use},images/{n:03}.png,{'ab'[n % 2]}" for n, use in enumerate(uses))
    (root / "all.csv").write_text("\n".join(rows))
    dataset = prepare(root / "all.csv", PREPROCESSING, seed=0)
    assert [len(dataset.indices(split)) for split in ("train", "val", "test")] == [8, 2, 2]
    assert dataset.classes == ["a", "b"]


def test_ants_and_bees_as_downloaded(shared, tmp_path):
    with zipfile.ZipFile(shared / "data" / "ants_bees.zip") as archive:
        archive.extractall(tmp_path)
    seen = []
    dataset = prepare(tmp_path, PREPROCESSING, seed=0, progress=lambda *step: seen.append(step))
    assert dataset.classes == ["ants", "bees"]
    assert len(dataset.photos) == seen[-1][0] == seen[-1][1] == 397
    assert dataset.note == "the data set's own val split (153 photos), never seen in training"
    tested = {dataset.photos[place].path for place in dataset.indices("test")}
    assert all(path.startswith("ants_bees/val/") for path in tested)
    assert len(tested) == 153
