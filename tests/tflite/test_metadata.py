"""A model's card and labels: what others wrote is read, what is written others can read.

The slots used for reading are those used for writing, and are proved on files that TFLite's own
tools made. What is written here was read back by tflite-support 0.4.4 (its metadata displayer, and
its C++ task library, which classified a photo with it); that package does not install beside a
current LiteRT, so it takes no part in this test.
"""

import io
import random
import zipfile
from dataclasses import replace

import pytest

from atoll.errors import ModelError
from atoll.tflite.graph import Model, Subgraph, Tensor
from atoll.tflite.metadata import ENTRY, ImageMetadata, attach, read_card, read_label_file
from atoll.tflite.reader import read_model
from atoll.tflite.writer import write_model

CARD = ImageMetadata(
    name="Büro",
    description="Tells pens from pencils.",
    mean=[123.5, 116.25, 103.5],
    std=[58.5, 57.0, 57.25],
    width=224,
    height=160,
    labels=["pen", "crayon à papier", "鉛筆"],
    author="A. N. Other",
    license="Apache-2.0",
    version="1.2",
)


def plain() -> Model:
    tensors = [Tensor("in", "UINT8", (1, 160, 224, 3)), Tensor("out", "UINT8", (1, 3))]
    return Model([Subgraph("main", tensors, [], [0], [1])], metadata={"kept": b"k"})


def test_a_card_comes_back_from_a_file_as_it_went_in():
    """The names and numbers that an app on a phone will use."""
    model = plain()
    data = write_model(attach(model, CARD, extra={"atoll.preprocessing": b"{}"}))
    again = read_model(data)
    assert read_card(again) == CARD
    assert read_label_file(again) == CARD.labels
    assert again.metadata["atoll.preprocessing"] == b"{}"
    assert again.metadata["kept"] == b"k"
    assert model.metadata == {"kept": b"k"}
    assert write_model(attach(plain(), CARD, extra={"atoll.preprocessing": b"{}"})) == data
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entry = archive.getinfo("labels.txt")
        assert entry.compress_type == zipfile.ZIP_STORED
        assert archive.read(entry).decode() == "pen\ncrayon à papier\n鉛筆\n"


def test_cards_of_tflites_own_tools_are_read(shared):
    """Published models carry their normalisation and labels: they must not be asked for again."""
    read = 0
    for path in sorted((shared / "models").glob("*/*.tflite")):
        model = read_model(path)
        if ENTRY not in model.metadata:
            assert read_card(model) is None
            assert read_label_file(model) is None
            continue
        card = read_card(model)
        assert card.name == "ImageClassifier"
        assert "most prominent object" in card.description
        assert (card.mean, card.std) == ([127.5], [127.5])
        assert (1, card.height, card.width, 3) == model.main.tensors[model.main.inputs[0]].shape
        assert len(card.labels) == 1001
        assert card.labels[:2] == ["background", "tench, Tinca tinca"]
        read += 1
    assert read >= 4


def test_another_archive_files_stay_beside_the_labels(shared):
    """A model may carry more than labels: attaching a card must not drop it."""
    model = read_model(shared / "models/v13/mobilenet_v1_0.25_128_quant.tflite")
    carded = attach(model, CARD)
    with zipfile.ZipFile(io.BytesIO(write_model(carded))) as archive:
        assert archive.namelist() == ["imagenet_labels.txt", "labels.txt"]
    other = attach(carded, replace(CARD, labels=["a", "b"]))
    assert read_label_file(read_model(write_model(other))) == ["a", "b"]


@pytest.mark.parametrize("label", ["", "two\nlines", " spaced", "end\r"])
def test_a_label_that_is_no_line_is_refused(label):
    """It would shift every name after it by one class."""
    with pytest.raises(ModelError, match="one line"):
        attach(plain(), replace(CARD, labels=["a", label]))


def test_an_empty_line_still_stands_for_a_class():
    """Label lists of detection models have gaps; dropping them would shift the names."""
    model = attach(plain(), CARD)
    with zipfile.ZipFile(io.BytesIO(model.trailer)) as archive:
        assert archive.read("labels.txt")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("labels.txt", "\nperson\n\ncar\n\n")
    assert read_label_file(replace(model, trailer=buffer.getvalue())) == ["", "person", "", "car"]


def test_a_missing_or_huge_label_file_is_one_clear_line():
    """A few kilobytes of zip can hold gigabytes of zeros."""
    model = attach(plain(), CARD)
    with pytest.raises(ModelError, match=r"no file 'labels\.txt'"):
        read_label_file(replace(model, trailer=b""))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("labels.txt", bytes(20 << 20))
    with pytest.raises(ModelError, match="20971520 bytes"):
        read_label_file(replace(model, trailer=buffer.getvalue()))


def test_damaged_metadata_never_do_worse_than_a_model_error():
    """They come from the same untrusted file as the model."""
    rng = random.Random(0)
    model = attach(plain(), CARD)
    outcomes = {"read": 0, "refused": 0}
    for _ in range(400):
        entry, trailer = bytearray(model.metadata[ENTRY]), bytearray(model.trailer)
        for _ in range(3):
            entry[rng.randrange(8, len(entry))] = rng.choice((0, 0x7F, 0xFF, rng.randrange(256)))
        trailer[rng.randrange(len(trailer))] = rng.randrange(256)
        changed = replace(model, metadata={ENTRY: bytes(entry)}, trailer=bytes(trailer))
        try:
            read_card(changed)
            outcomes["read"] += 1
        except ModelError as error:
            assert "\n" not in str(error)
            outcomes["refused"] += 1
    assert min(outcomes.values()) > 20, outcomes
