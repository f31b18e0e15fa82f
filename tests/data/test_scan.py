"""Folders as people have them: a layout read wrongly trains on nonsense without a word."""

import os
import sys

import pytest

from atoll.data.listing import Photo, Skipped
from atoll.data.scan import scan
from atoll.errors import DatasetError

JPG = b"never opened here"


def tree(root, *names):
    """Files, and folders where the name ends in a slash."""
    for name in names:
        path = root / name
        if name.endswith("/"):
            path.mkdir(parents=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(JPG)
    return root


def found(listing):
    return [(photo.path, photo.label, photo.split) for photo in listing.photos]


def reasons(listing):
    return {entry.path: entry.reason for entry in listing.skipped}


def test_a_folder_a_class(tmp_path):
    listing = scan(tree(tmp_path, "dog/2.JPG", "dog/1.png", "cat/x.jpeg"))
    assert found(listing) == [
        ("cat/x.jpeg", "cat", ""),
        ("dog/1.png", "dog", ""),
        ("dog/2.JPG", "dog", ""),
    ]
    assert (listing.root, listing.source, listing.skipped) == (tmp_path, "folder", [])


@pytest.mark.parametrize(
    ("train", "val", "test"),
    [("train", "val", "test"), ("Training", "VALID", "Testing"), ("TRAIN", "validation", "test")],
)
def test_split_folders_by_all_their_names(tmp_path, train, val, test):
    names = [f"{split}/{label}/1.jpg" for split in (train, val, test) for label in "ab"]
    assert sorted(scan(tree(tmp_path, *names)).photos) == sorted(
        Photo(f"{folder}/{label}/1.jpg", label, split)
        for folder, split in [(train, "train"), (val, "val"), (test, "test")]
        for label in "ab"
    )


@pytest.mark.parametrize("wrap", ["ants_bees", "a/b/c", "archive/dataset"])
def test_what_an_archive_wraps_around_is_looked_through(tmp_path, wrap):
    tree(tmp_path, f"{wrap}/a/1.jpg", f"{wrap}/b/1.jpg", "README.md", "__MACOSX/a/._1.jpg")
    listing = scan(tmp_path)
    assert found(listing) == [(f"{wrap}/a/1.jpg", "a", ""), (f"{wrap}/b/1.jpg", "b", "")]
    assert listing.root == tmp_path
    assert reasons(listing) == {"README.md": "not a photo: .md"}


def test_wrapped_split_folders(tmp_path):
    tree(tmp_path, *(f"set/{split}/{label}/1.jpg" for split in ("train", "val") for label in "ab"))
    assert {(photo.label, photo.split) for photo in scan(tmp_path).photos} == {
        ("a", "train"),
        ("b", "train"),
        ("a", "val"),
        ("b", "val"),
    }


def test_a_lone_train_folder_is_a_split(tmp_path):
    listing = scan(tree(tmp_path, "train/a/1.jpg", "train/b/1.jpg"))
    assert {photo.split for photo in listing.photos} == {"train"}


def test_a_class_owns_the_folders_below_it(tmp_path):
    listing = scan(tree(tmp_path, "a/x/y/1.jpg", "a/1.jpg", "b/z/1.jpg"))
    assert [photo.label for photo in listing.photos] == ["a", "a", "b"]


def test_a_class_that_shows_trains_is_no_split(tmp_path):
    listing = scan(tree(tmp_path, "bus/1.jpg", "car/1.jpg", "train/1.jpg"))
    assert [(p.label, p.split) for p in listing.photos] == [("bus", ""), ("car", ""), ("train", "")]


def test_a_class_that_shows_trains_inside_split_folders(tmp_path):
    names = [f"{split}/{label}/1.jpg" for split in ("train", "val") for label in ("car", "train")]
    assert {(p.label, p.split) for p in scan(tree(tmp_path, *names)).photos} == {
        ("car", "train"),
        ("train", "train"),
        ("car", "val"),
        ("train", "val"),
    }


def test_a_split_folder_beside_classes_is_asked_about_not_guessed(tmp_path):
    tree(tmp_path, "train/a/1.jpg", "train/b/1.jpg", "extra/1.jpg")
    with pytest.raises(DatasetError, match=r"train/ beside extra/.*Move"):
        scan(tmp_path)


def test_folders_beside_the_split_folders_are_left_out_and_said(tmp_path):
    names = [f"{split}/{label}/1.jpg" for split in ("train", "val") for label in "ab"]
    listing = scan(tree(tmp_path, *names, "extra/1.jpg", "loose.jpg"))
    assert {photo.label for photo in listing.photos} == {"a", "b"}
    assert reasons(listing) == dict.fromkeys(
        ["extra/1.jpg", "loose.jpg"], "it lies beside the split folders, not inside one"
    )


def test_an_unlabelled_test_folder_is_left_out_and_said(tmp_path):
    listing = scan(tree(tmp_path, "train/a/1.jpg", "train/b/1.jpg", "test/1.jpg"))
    assert {photo.split for photo in listing.photos} == {"train"}
    assert reasons(listing) == {"test/1.jpg": "it lies beside the class folders, not inside one"}


def test_litter_is_passed_over_and_the_rest_is_said(tmp_path):
    tree(tmp_path, "a/1.jpg", "b/1.jpg", "a/Thumbs.db", "a/.DS_Store", ".git/x.jpg", "b/._1.jpg")
    tree(tmp_path, "__MACOSX/a/1.jpg", "desktop.ini", ".hidden.jpg")
    tree(tmp_path, "a/notes.txt", "a/noname", "b/IMG.HEIC", "stray.png", "meta.csv", "empty/")
    listing = scan(tmp_path)
    assert listing.skipped == sorted(listing.skipped)
    assert reasons(listing) == {
        "a/notes.txt": "not a photo: .txt",
        "a/noname": "not a photo: no suffix",
        "b/IMG.HEIC": ".heic photos are not read: save them as JPEG or PNG",
        "stray.png": "it lies beside the class folders, not inside one",
        "meta.csv": "not read beside class folders: name the CSV itself to use it",
        "empty": "a folder without photos",
    }


def test_empty_class_and_split_folders_are_said(tmp_path):
    names = ["train/a/1.jpg", "train/b/1.jpg", "val/a/1.jpg", "val/b/", "test/a/", "train/c/x/"]
    assert reasons(scan(tree(tmp_path, *names))) == dict.fromkeys(
        ["test", "train/c", "val/b"], "a folder without photos"
    )


def test_names_of_every_language(tmp_path):
    listing = scan(tree(tmp_path, "Käfer/ä ö.jpg", "虎/一.jpg", "🐝/a b'\".jpg"))
    assert [photo.label for photo in listing.photos] == ["Käfer", "虎", "🐝"]


def test_white_space_around_a_class_name_is_not_part_of_it(tmp_path):
    listing = scan(tree(tmp_path, "cat /1.jpg", "dog/1.jpg"))
    assert found(listing)[0] == ("cat /1.jpg", "cat", "")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_names_that_no_file_can_hold_are_skipped(tmp_path):
    tree(tmp_path, "a/1.jpg", "b/1.jpg", "b/two\nlines.jpg", "new\nline/1.jpg")
    (tmp_path / "a" / os.fsdecode(b"\xff.jpg")).touch()
    listing = scan(tmp_path)
    assert len(listing.photos) == 2
    assert set(reasons(listing).values()) == {"its name is not UTF-8, or holds a control character"}
    assert [entry.path.encode() for entry in listing.skipped]


def test_links_are_followed_once_and_loops_end(tmp_path):
    root = tree(tmp_path / "set", "a/1.jpg", "b/1.jpg", "c/")
    tree(tmp_path, "elsewhere/1.jpg", "elsewhere/deep/")
    (root / "a" / "up").symlink_to(root)
    (root / "a" / "side").symlink_to(root / "b")
    (root / "c" / "out").symlink_to(tmp_path / "elsewhere")
    (root / "d").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "deep" / "back").symlink_to(root)
    (root / "b" / "self.jpg").symlink_to("self.jpg")
    (root / "b" / "gone.jpg").symlink_to("nowhere.jpg")
    (root / "b" / "link.jpg").symlink_to("1.jpg")
    os.mkfifo(root / "b" / "pipe.jpg")
    listing = scan(root)
    assert found(listing) == [
        ("a/1.jpg", "a", ""),
        ("b/1.jpg", "b", ""),
        ("b/link.jpg", "b", ""),
        ("d/1.jpg", "d", ""),
    ]
    said = reasons(listing)
    assert said["a/up"] == said["a/side"] == "a link to another folder of the data set"
    assert said["c/out"] == "a link to a folder that is read already"
    assert said["b/pipe.jpg"] == "not a regular file"
    assert said["b/gone.jpg"] == "a broken link"
    assert said["b/self.jpg"].startswith(("it cannot be opened", "a broken link"))


def test_the_order_is_that_of_the_names_whatever_the_disk_says(tmp_path, monkeypatch):
    root = tree(tmp_path / "set", *(f"{label}/{n}.jpg" for label in "bca" for n in (10, 9, 1)))
    tree(root, "a/2/1.jpg", "a/notes.txt", "notes.txt")
    tree(tmp_path, "elsewhere/1.jpg")
    for name in "ed":
        (root / name).symlink_to(tmp_path / "elsewhere")
    expected = scan(root)
    assert {"d/1.jpg"} == {p.path for p in expected.photos if p.label in "de"}
    assert [photo.path for photo in expected.photos] == sorted(p.path for p in expected.photos)
    real = os.scandir

    class Backwards:
        def __init__(self, path):
            with real(path) as entries:
                self.entries = list(entries)[::-1]

        def __enter__(self):
            return iter(self.entries)

        def __exit__(self, *_):
            pass

    monkeypatch.setattr(os, "scandir", Backwards)
    assert scan(root) == expected


def test_a_csv_alone_or_named_is_read(tmp_path):
    tree(tmp_path, "images/1.jpg", "images/2.jpg")
    (tmp_path / "all.csv").write_text("TRAIN,images/1.jpg,a\nTEST,images/2.jpg,b\n")
    for dataset in (tmp_path, tmp_path / "all.csv"):
        listing = scan(dataset)
        assert listing.source == "automl csv"
        assert listing.root == tmp_path
        assert found(listing) == [("images/1.jpg", "a", "train"), ("images/2.jpg", "b", "test")]


def test_a_csv_inside_a_wrapping_folder_is_read(tmp_path):
    tree(tmp_path, "set/images/1.jpg", "set/images/2.jpg")
    (tmp_path / "set" / "all.csv").write_text("images/1.jpg,a\nimages/2.jpg,b\n")
    listing = scan(tmp_path)
    assert listing.root == tmp_path / "set"
    assert [photo.label for photo in listing.photos] == ["a", "b"]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ([], "an empty folder"),
        (["a/", "b/"], "an empty folder"),
        (["a/notes.txt", "b/x.txt"], r"no photo among its files \(2 .txt\)"),
        (["1.jpg", "2.jpg"], "2 photos and no class folders.*Put the photos of each class"),
        (["train/1.jpg", "test/2.jpg"], "2 photos and no class folders"),
        (["a/1.jpg", "a/2.jpg"], "at least two classes.*only 'a'"),
        (["train/a/1.jpg", "val/a/2.jpg"], "at least two classes.*only 'a'"),
        (["a.csv", "b.csv", "1.jpg"], "one CSV.*a.csv, b.csv"),
    ],
)
def test_what_is_no_data_set_is_one_clear_error(tmp_path, names, words):
    root = tree(tmp_path / "set", *names)
    root.mkdir(exist_ok=True)
    with pytest.raises(DatasetError, match=words) as caught:
        scan(root)
    assert str(caught.value).startswith(str(root))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["none", "x" * 300, "nul\0"])
def test_what_does_not_exist_is_one_clear_error(tmp_path, name):
    with pytest.raises(DatasetError, match="must exist"):
        scan(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "words"), [("photos.zip", "Unpack it"), ("a.jpg", "a file .jpg"), ("README", "suffix")]
)
def test_a_file_that_is_no_csv_is_one_clear_error(tmp_path, name, words):
    with pytest.raises(DatasetError, match=words):
        scan(tree(tmp_path, name) / name)


def test_a_folder_that_may_not_be_read_is_said(tmp_path):
    tree(tmp_path, "a/1.jpg", "b/1.jpg", "c/1.jpg")
    (tmp_path / "c").chmod(0)
    try:
        if os.access(tmp_path / "c", os.R_OK):
            pytest.skip("this user may read everything")
        assert Skipped("c", "it cannot be opened: Permission denied") in scan(tmp_path).skipped
    finally:
        (tmp_path / "c").chmod(0o755)
