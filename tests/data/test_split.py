"""What is measured with must never have been trained on, and must hold every class."""

import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split

from atoll.data.listing import SPLITS, Listing, Photo
from atoll.data.split import allot, freeze, read_split, warnings_about, write_split
from atoll.errors import DatasetError, OutputError, UsageError

ROOT = Path("dataset")


def listing(sizes, source="folder"):
    """`{("cat", "train"): 3}`, or `{"cat": 3}` without splits, as a listing."""
    photos = []
    for key, count in sizes.items():
        label, split = key if isinstance(key, tuple) else (key, "")
        photos += [Photo(f"{split}/{label}/{n}.jpg", label, split) for n in range(count)]
    return Listing(ROOT, sorted(photos), [], source)


def counts(photos):
    return Counter((photo.label, photo.split) for photo in photos)


SIZES = st.lists(st.integers(1, 60), min_size=2, max_size=6).map(
    lambda sizes: {f"class {place}": size for place, size in enumerate(sizes)}
)


@given(SIZES, st.integers(0, 2**32))
def test_every_photo_gets_one_split_and_every_class_its_share(sizes, seed):
    before = listing(sizes)
    photos = freeze(before, seed=seed).photos
    assert [(p.path, p.label) for p in photos] == [(p.path, p.label) for p in before.photos]
    assert {photo.split for photo in photos} <= set(SPLITS)
    got = counts(photos)
    for label, size in sizes.items():
        assert got[label, "train"] >= 1
        for split, ratio in zip(SPLITS, (0.8, 0.1, 0.1), strict=True):
            if size >= 3:
                assert got[label, split] >= 1
            assert abs(got[label, split] - ratio * size) < 2


@given(SIZES, st.integers(0, 2**32))
def test_the_split_hangs_on_names_and_seed_alone(sizes, seed):
    before = listing(sizes)
    expected = freeze(before, seed=seed).photos
    random.Random(seed).shuffle(before.photos)
    assert sorted(freeze(before, seed=seed).photos) == sorted(expected)


def test_another_seed_is_another_draw():
    before = listing({"a": 50, "b": 50})
    assert freeze(before, seed=1).photos != freeze(before, seed=2).photos


def test_the_draw_stays_the_same_between_versions():
    """A RUN that is continued after an update must not measure with what it trained on."""
    test = [p.path for p in freeze(listing({"a": 20, "b": 9}), seed=7).photos if p.split == "test"]
    assert test == ["/a/12.jpg", "/a/9.jpg", "/b/5.jpg"]


def test_other_classes_leave_a_class_as_it_is():
    alone = freeze(listing({"a": 30, "b": 30}), seed=3).photos
    joined = freeze(listing({"a": 30, "b": 30, "c": 5}), seed=3).photos
    assert [photo for photo in joined if photo.label != "c"] == alone


@given(st.lists(st.integers(10, 200), min_size=2, max_size=6))
def test_the_shares_are_those_of_scikit_learn(sizes):
    before = listing({f"class {place}": size for place, size in enumerate(sizes)})
    ours = Counter(p.label for p in freeze(before, seed=0).photos if p.split == "test")
    labels = [photo.label for photo in before.photos]
    _, theirs = train_test_split(labels, test_size=sum(ours.values()), stratify=labels)
    for label, count in Counter(theirs).items():
        assert abs(ours[label] - count) <= 1


def test_a_data_sets_own_three_splits_are_kept():
    before = listing({(label, split): 4 for label in "ab" for split in SPLITS})
    split = freeze(before, seed=0)
    assert split.photos == before.photos
    assert split.note == "the data set's own test split (8 photos), never seen in training"


def test_val_without_test_is_held_out_and_train_gives_a_new_val():
    sizes = {("a", "train"): 90, ("b", "train"): 45, ("a", "val"): 20, ("b", "val"): 10}
    split = freeze(listing(sizes), seed=0)
    assert counts(split.photos) == {
        ("a", "train"): 80,
        ("a", "val"): 10,
        ("a", "test"): 20,
        ("b", "train"): 40,
        ("b", "val"): 5,
        ("b", "test"): 10,
    }
    assert all(p.path.startswith("val/") == (p.split == "test") for p in split.photos)
    assert split.note == "the data set's own val split (30 photos), never seen in training"


def test_test_without_val_stays_and_train_gives_val():
    sizes = {("a", "train"): 90, ("b", "train"): 2, ("a", "test"): 20, ("b", "test"): 10}
    split = freeze(listing(sizes), seed=0)
    assert counts(split.photos) == {
        ("a", "train"): 80,
        ("a", "val"): 10,
        ("a", "test"): 20,
        ("b", "train"): 1,
        ("b", "val"): 1,
        ("b", "test"): 10,
    }
    assert split.note == "the data set's own test split (30 photos), never seen in training"


def test_a_class_without_photos_in_the_own_test_takes_none_from_train():
    sizes = {("a", "train"): 20, ("b", "train"): 20, ("a", "test"): 5}
    photos = freeze(listing(sizes), seed=0).photos
    assert counts(photos)["b", "test"] == 0
    assert any(text.startswith("No test photo of b") for text in warnings_about(photos))


def test_train_alone_is_split_by_the_ratios():
    split = freeze(
        listing({("a", "train"): 20, ("b", "train"): 30}), seed=0, ratios=(0.5, 0.3, 0.2)
    )
    assert counts(split.photos) == {
        ("a", "train"): 10,
        ("a", "val"): 6,
        ("a", "test"): 4,
        ("b", "train"): 15,
        ("b", "val"): 9,
        ("b", "test"): 6,
    }
    assert split.note == "10 photos drawn class by class, never seen in training"


def test_unassigned_rows_are_drawn_and_the_others_stay():
    sizes = {("a", "test"): 3, ("a", "train"): 5, ("a", ""): 20, ("b", ""): 10, ("b", "val"): 2}
    before = listing(sizes, "automl csv")
    split = freeze(before, seed=0)
    for old, new in zip(before.photos, split.photos, strict=True):
        assert new.split == old.split or old.split == ""
    assert counts(split.photos) == {
        ("a", "train"): 5 + 16,
        ("a", "val"): 2,
        ("a", "test"): 3 + 2,
        ("b", "train"): 8,
        ("b", "val"): 2 + 1,
        ("b", "test"): 1,
    }
    assert "own test split and a share of its unassigned photos (6)" in split.note


@pytest.mark.parametrize("count", range(8))
@pytest.mark.parametrize("settled", [{}, {"train": 3}, {"test": 1, "val": 1}])
def test_no_photo_is_lost_however_few_there_are(count, settled):
    got = allot(count, {"train": 0.8, "val": 0.1, "test": 0.1}, settled)
    assert sum(got.values()) == count
    assert min(got.values()) >= 0
    held = [split for split in SPLITS if got[split] + settled.get(split, 0)]
    assert len(held) == min(3, len({*settled}) + count)


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ({"a": 9}, "only 'a'"),
        ({("a", "val"): 9, ("b", "val"): 9}, "photos in val only, of a, b"),
        ({("a", "val"): 9, ("b", "test"): 9}, "photos in test and val only, of a, b"),
        ({("a", "train"): 9, ("b", "val"): 9}, "photos in val only, of b"),
    ],
)
def test_nothing_to_train_on_is_one_clear_error(sizes, words):
    with pytest.raises(DatasetError, match=words):
        freeze(listing(sizes), seed=0)


@pytest.mark.parametrize("ratios", [(0.8, 0.1, 0.2), (1.0, 0.0, 0.0), (1.2, -0.1, -0.1)])
def test_ratios_that_are_no_shares_are_refused(ratios):
    with pytest.raises(UsageError, match="make 1"):
        freeze(listing({"a": 9, "b": 9}), seed=0, ratios=ratios)


def test_few_photos_and_imbalance_are_warned_of():
    photos = freeze(listing({"many": 1000, "some": 10, "few": 9}), seed=0).photos
    few, imbalance = warnings_about(photos)
    assert "few (9)" in few
    assert "some" not in few
    assert "many has 1000 photos and few has 9" in imbalance
    assert warnings_about(freeze(listing({"a": 1000, "b": 10}), seed=0).photos) == []
    crowd = freeze(listing({f"{place:02}": 3 for place in range(50)}), seed=0).photos
    assert "09 (3) and 40 more" in warnings_about(crowd)[0]


names = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), min_size=1)


@given(st.dictionaries(names, st.tuples(names, st.sampled_from(SPLITS)), min_size=1))
def test_a_split_is_read_back_whatever_the_names(tmp_path_factory, photos):
    path = tmp_path_factory.mktemp("split") / "split.csv"
    written = [Photo(name, label, split) for name, (label, split) in photos.items()]
    write_split(path, written)
    assert read_split(path) == written


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "first row ''"),
        ("a.jpg,cat,train\n", "first row 'a.jpg,cat,train'"),
        ("path,label,split\na.jpg,cat\n", "line 2: 'a.jpg,cat'"),
        ("path,label,split\na.jpg,cat,left\n", "line 2: 'a.jpg,cat,left'"),
        ("path,label,split\na,b,train\n\n", "line 3"),
        ("path,label,split\na,b,train\na,b,test\n", "named twice"),
        (b"path,label,split\n\xff,b,train\n", "utf-8"),
        ("path,label,split\na," + "b" * 200_000, "field larger"),
    ],
)
def test_a_damaged_split_file_is_one_clear_error(tmp_path, text, words):
    path = tmp_path / "split.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DatasetError, match=rf"split\.csv.*{words}"):
        read_split(path)


def test_a_split_that_cannot_be_written_is_one_clear_error(tmp_path):
    with pytest.raises(OutputError):
        write_split(tmp_path / "none" / "split.csv", [])
