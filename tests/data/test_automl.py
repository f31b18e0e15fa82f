"""CSVs exported from AutoML Vision, edited in a spreadsheet, written by hand."""

import pytest

from atoll.data.automl import read_automl
from atoll.errors import DatasetError


@pytest.fixture
def read(tmp_path):
    for name in ["1.jpg", "2.jpg", "img/3.jpg", "bucket/a/4.jpg", "a b.jpg", "no_suffix"]:
        path = tmp_path / "set" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"never opened here")
    (tmp_path / "outside.jpg").write_bytes(b"")

    def read(text):
        path = tmp_path / "set" / "all.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_automl(path)

    return read


def rows(listing):
    return [(photo.split, photo.path, photo.label) for photo in listing.photos]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("TRAIN,1.jpg,cat\n", [("train", "1.jpg", "cat")]),
        ("TRAINING,1.jpg,cat\n", [("train", "1.jpg", "cat")]),
        ("Validation,1.jpg,cat\n", [("val", "1.jpg", "cat")]),
        ("VALIDATE,1.jpg,cat\n", [("val", "1.jpg", "cat")]),
        ("test,1.jpg,cat\n", [("test", "1.jpg", "cat")]),
        ("UNASSIGNED,1.jpg,cat\n", [("", "1.jpg", "cat")]),
        (",1.jpg,cat\n", [("", "1.jpg", "cat")]),
        ("1.jpg,cat\n", [("", "1.jpg", "cat")]),
        ("img/3.jpg,cat", [("", "img/3.jpg", "cat")]),
        ("./img/3.jpg,cat", [("", "img/3.jpg", "cat")]),
        ("img\\3.jpg,cat", [("", "img/3.jpg", "cat")]),
        ("TRAIN,no_suffix,cat\n", [("train", "no_suffix", "cat")]),
        ("../outside.jpg,cat", [("", "../outside.jpg", "cat")]),
        ('TRAIN,"a b.jpg","cat, small"\n', [("train", "a b.jpg", "cat, small")]),
        (" TRAIN , 1.jpg , cat \n", [("train", "1.jpg", "cat")]),
        ("\ufeffTRAIN,1.jpg,cat\r\n\r\nTEST,2.jpg,dog\r\n", None),
        ("\n\n,,\nTRAIN,1.jpg,cat\n\nTEST,2.jpg,dog\n\n", None),
        ("ML_USE,path,label\nTRAIN,1.jpg,cat\nTEST,2.jpg,dog\n", None),
        ("path,label,split\n1.jpg,cat,train\n2.jpg,dog,test\n", None),
        ("Label,Image Path,ML Use\ncat,1.jpg,TRAIN\ndog,2.jpg,TEST\n", None),
        ("TRAIN;1.jpg;cat\nTEST;2.jpg;dog\n", None),
        ("TRAIN\t1.jpg\tcat\nTEST\t2.jpg\tdog\n", None),
        ("TRAIN,1.jpg,cat,,\nTEST,2.jpg,dog,,\n", None),
        ("TRAIN,gs://bucket/a/4.jpg,cat", [("train", "bucket/a/4.jpg", "cat")]),
        ("TRAIN,gs://cloud/img/3.jpg,cat", [("train", "img/3.jpg", "cat")]),
        ("image,class\n1.jpg,image\n", [("", "1.jpg", "image")]),
    ],
)
def test_rows_as_people_write_them(read, text, expected):
    both = [("train", "1.jpg", "cat"), ("test", "2.jpg", "dog")]
    listing = read(text)
    assert rows(listing) == (expected or both)
    assert listing.skipped == []


@pytest.mark.parametrize(
    ("row", "path", "reason"),
    [
        ("TRAIN,2.jpg", "2.jpg", "no label"),
        ("2.jpg", "2.jpg", "no label"),
        ("TRAIN,2.jpg,,", "2.jpg", "no label"),
        ("TRAIN,2.jpg,cat,dog", "2.jpg", "2 labels, one is needed"),
        ("TRAIN,2.jpg,cat,0.1,0.1,,,0.4,0.4,,", "2.jpg", "5 labels, one is needed"),
        ("TRAIN,none.jpg,cat", "none.jpg", "no such file"),
        ("TRAIN,img,cat", "img", "no such file"),
        ("TRAIN,,cat", "line 2", "no such file"),
        (
            'TRAIN,"two\nlines.jpg",cat',
            "two lines.jpg",
            "its name is not UTF-8, or holds a control character",
        ),
        (f"TRAIN,{'x' * 300}.jpg,cat", f"{'x' * 300}.jpg", "no such file"),
        (
            "TEST,gs://cloud/x/9.jpg,cat",
            "gs://cloud/x/9.jpg",
            "cloud paths are not fetched, and there is no cloud/x/9.jpg beside the CSV",
        ),
        (
            "TEST,gs:///etc/hostname,cat",
            "gs:///etc/hostname",
            "cloud paths are not fetched, and there is no etc/hostname beside the CSV",
        ),
    ],
)
def test_a_row_that_gives_no_photo_is_listed_with_its_reason(read, row, path, reason):
    listing = read(f"TRAIN,1.jpg,cat\n{row}\n")
    assert rows(listing) == [("train", "1.jpg", "cat")]
    assert [(entry.path, entry.reason) for entry in listing.skipped] == [(path, reason)]


def test_an_absolute_path_stays_absolute(read, tmp_path):
    listing = read(f"{tmp_path}/outside.jpg,cat\n")
    assert listing.photos[0].path == f"{tmp_path}/outside.jpg"
    assert (listing.root / listing.photos[0].path).is_file()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("TRAIN,1.jpg,cat\n\nTRIAN,2.jpg,dog\n", "line 3.*ML_USE.*'TRIAN'"),
        ("id,species\n7,cat\n", "line 1.*ML_USE.*'id'"),
        ("TRAIN,none.jpg,cat\n", "none of them of use; the first: none.jpg: no such file"),
        ("", "0 rows"),
        ("ML_USE,path,label\n", "0 rows"),
        (b"TRAIN,\xff\xfe.jpg,cat\n", "UTF-8"),
        (b"\x89PNG\r\n\x1a\n", "UTF-8"),
        (f"TRAIN,1.jpg,{'x' * 200_000}\n", "field larger"),
    ],
    ids=["typo", "other csv", "nothing there", "empty", "header", "latin-1", "png", "long"],
)
def test_what_is_no_automl_csv_is_one_clear_error(read, text, words):
    with pytest.raises(DatasetError, match=rf"all\.csv.*{words}") as caught:
        read(text)
    assert "\n" not in str(caught.value)
