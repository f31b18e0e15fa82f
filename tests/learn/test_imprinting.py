"""Weight imprinting: what is learned, what is kept, and going on later."""

from dataclasses import replace

import numpy as np
import pytest
from small_bases import (
    BASES,
    blobs,
    float_model,
    keras_like,
    mobilenet_like,
    pooled_model,
    squeezenet_like,
    vgg_like,
)

from atoll import Interpreter
from atoll.errors import UsageError
from atoll.learn.base import run_head
from atoll.learn.coral_head import coral_head, read_lengths, unit
from atoll.learn.dense import MARGIN
from atoll.learn.imprinting import Imprinter
from atoll.learn.record import ENTRY, Record, read_record, write_record
from atoll.tflite.reader import read_model
from atoll.tflite.writer import write_model

CLASSES = 4
POINTS, LABELS = blobs(CLASSES, 6)


def imprinter_of(name, **options):
    model = BASES[name]()
    named = model.main.tensors[model.main.outputs[0]].name if name == "plane" else None
    return Imprinter(model, name, embedding=named, **options)


def learned(imprinter, classes, first=0, points=POINTS, labels=LABELS):
    for number in classes:
        imprinter.train(points[labels == number], first + number)
    return imprinter


def of(number):
    """The embeddings of a class."""
    return POINTS[number == LABELS]


def embedded(model, points):
    """Embeddings as the first tensor of a head stores them."""
    with Interpreter(write_model(model)) as interpreter:
        info = interpreter.inputs[0]
        return info.quantize(points).reshape(len(points), *info.shape[1:])


@pytest.mark.parametrize("name", [name for name in BASES if name != "vgg"])
def test_a_class_is_recognised_after_one_photo(name):
    """The point of it all, in 8 bits, both kinds of them, and in float."""
    imprinter = imprinter_of(name)
    for number in range(CLASSES):
        imprinter.train(of(number)[0], number)
    headed = imprinter.headed()
    points, labels = blobs(CLASSES, 40)
    scores = run_head(headed.head, embedded(headed.head, points))
    assert (scores.argmax(1) == labels).mean() > 0.99
    assert coral_head(headed.model.main) is not None


def test_scores_are_cosines_of_the_mean_directions():
    """The method as it was published: unit vectors are added, and the sum is made a unit again."""
    imprinter = learned(imprinter_of("mobilenet, uint8"), range(CLASSES))
    weights = [unit(unit(of(number)).sum(0)) for number in range(CLASSES)]
    wanted = unit(POINTS) @ np.array(weights).T
    assert np.allclose(imprinter.scores(POINTS), wanted)
    # The file says so too, as well as 8 bits can.
    headed = imprinter.headed()
    points = 30 * wanted - (30 * wanted).max(1, keepdims=True)
    chances = np.exp(points) / np.exp(points).sum(1, keepdims=True)
    found = run_head(headed.head, embedded(headed.head, POINTS)) / 256
    assert np.abs(found - chances).max() < 0.1


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("name", ["mobilenet, int8", "keras", "float"])
def test_learning_in_two_goes_is_learning_at_once(name, keep):
    """A model that is taught more photos each day must not get worse by the going on."""
    once = imprinter_of(name, keep_classes=keep)
    first = once.num_classes
    learned(once, range(CLASSES), first)
    half = np.arange(len(POINTS)) % 2 == 0
    begun = imprinter_of(name, keep_classes=keep)
    learned(begun, range(CLASSES - 1), first, POINTS[half], LABELS[half])
    saved = read_model(write_model(begun.headed().model))
    again = Imprinter(saved, "saved", keep_classes=True)
    assert again.num_classes == first + CLASSES - 1
    learned(again, range(CLASSES - 1), first, POINTS[~half], LABELS[~half])
    learned(again, [CLASSES - 1], first)
    # The photos of a class came in another order, so the sums may differ in their last bit.
    assert np.allclose(again.scores(POINTS), once.scores(POINTS), rtol=1e-12)
    both = [run_head(i.headed().head, embedded(i.headed().head, POINTS)) for i in (once, again)]
    assert np.array_equal(*both)


def test_the_same_photos_in_the_same_order_give_the_same_bytes():
    """However often a model was saved on the way."""
    once = learned(imprinter_of("mobilenet, uint8"), [0, 1])
    model = BASES["mobilenet, uint8"]()
    for number, keep in ((0, False), (1, True)):
        for point in of(number):
            step = Imprinter(model, "m", keep_classes=keep)
            step.train(point, number)
            model = read_model(write_model(step.headed().model))
            keep = True
    assert write_model(once.headed().model) == write_model(model)


@pytest.mark.parametrize("make", [mobilenet_like, lambda: mobilenet_like("int8"), keras_like])
def test_an_ordinary_classifier_keeps_its_scores(make):
    """Who adds a class wants the old ones as they were: to the byte, before the softmax."""
    model = make()
    graph = model.main
    behind = next(i for i, op in enumerate(graph.operators) if op.type == "SOFTMAX")
    logits = graph.operators[behind].inputs[0]
    bare = replace(
        model, subgraphs=[replace(graph, operators=graph.operators[:behind], outputs=[logits])]
    )
    imprinter = Imprinter(bare, "m", keep_classes=True)
    assert imprinter.num_classes == 5
    imprinter.train(of(0), 5)
    grown = imprinter.headed().model
    rng = np.random.default_rng(0)
    with Interpreter(write_model(bare)) as old, Interpreter(write_model(grown)) as new:
        for _ in range(5):
            photo = rng.integers(0, 256, old.inputs[0].shape).astype(np.uint8)
            photo = photo.view(old.inputs[0].dtype)
            assert np.array_equal(new.invoke(photo)[0][:, :5], old.invoke(photo)[0])


def test_a_new_class_wins_on_its_photos_beside_old_ones():
    """A class that is never named was not added."""
    imprinter = Imprinter(keras_like(), "m", keep_classes=True)
    for number in range(CLASSES):
        learned(imprinter, [number], 5)
        mean = of(number).mean(0)
        (scores,) = imprinter.scores(mean[None])
        assert scores[5 + number] == pytest.approx(scores[:5].max() + MARGIN)


def test_the_models_own_classes_are_not_touched():
    """Their photos are not here: more of them would be less."""
    imprinter = Imprinter(mobilenet_like(), "m", keep_classes=True)
    with pytest.raises(UsageError, match="model's own"):
        imprinter.train(POINTS[0], 4)
    with pytest.raises(UsageError, match="has the number 5"):
        imprinter.train(POINTS[0], 6)


@pytest.mark.parametrize("bad", [POINTS[:, :-1], POINTS[0] * np.nan, POINTS[None, :2]])
def test_what_is_no_embedding_is_refused(bad):
    """One NaN in a sum, and the class is lost for good."""
    with pytest.raises(UsageError, match="32 finite numbers"):
        imprinter_of("keras").train(bad, 0)


def test_nothing_learned_is_no_model():
    with pytest.raises(UsageError, match="Train one first"):
        imprinter_of("keras").headed()


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (pooled_model, "embedding extractor"),
        (squeezenet_like, "layers between|an activation"),
    ],
)
def test_classes_that_cannot_be_kept_are_said_so(make, reason):
    """Rather refused than kept with other scores."""
    with pytest.raises(UsageError, match=reason):
        Imprinter(make(), "m", keep_classes=True)


def test_two_dense_layers_keep_the_first():
    """Only the last one knows the classes."""
    imprinter = Imprinter(vgg_like(), "m", keep_classes=True)
    assert imprinter.num_classes == 5
    imprinter.train(np.abs(np.random.default_rng(0).normal(size=(3, 40))), 5)
    assert imprinter.headed().model.main.tensors[-1].shape == (1, 6)


def test_leaving_one_out_is_learning_without_it():
    """The figure that is told where no photo is held out."""
    points, labels = blobs(3, 5, seed=4)
    points += np.random.default_rng(1).normal(0, 1.2, points.shape)
    imprinter = learned(imprinter_of("keras"), range(3), 0, points, labels)
    imprinter.train(POINTS[0], 3)
    wanted = 0
    for place in range(len(points)):
        others = np.arange(len(points)) != place
        without = learned(imprinter_of("keras"), range(3), 0, points[others], labels[others])
        without.train(POINTS[0], 3)
        wanted += without.scores(points[place : place + 1]).argmax() == labels[place]
    asked = np.concatenate([points, POINTS[:1]])
    assert imprinter.leave_one_out(asked, np.append(labels, 3)) == (wanted, len(points))
    assert 5 < wanted < len(points)


def test_a_model_of_googles_engine_goes_on_without_our_record():
    """It notes the length of the sum, and 8-bit weights: that is enough to add more."""
    model = learned(imprinter_of("mobilenet, uint8"), [0, 1]).headed().model
    metadata = {name: value for name, value in model.metadata.items() if name != ENTRY}
    again = Imprinter(replace(model, metadata=metadata), "m", keep_classes=True)
    learned(again, [2])
    again.train(of(0), 0)
    wanted = learned(imprinter_of("mobilenet, uint8"), range(3))
    assert np.abs(again.scores(POINTS) - wanted.scores(POINTS)).max() < 0.02


def test_a_record_that_is_older_than_the_weights_is_left_aside():
    """Google's engine keeps entries that it does not know, and changes the weights."""
    model = learned(imprinter_of("mobilenet, uint8"), [0, 1]).headed().model
    record = read_record(model, 32)
    stale = replace(record, sums=record.sums[::-1])
    model = replace(model, metadata=model.metadata | {ENTRY: write_record(stale)})
    again = Imprinter(model, "m", keep_classes=True)
    assert [each.count for each in again.classes] == [0, 0]
    assert (again.scores(POINTS[:12]).argmax(1) == LABELS[:12]).all()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"nonsense\n",
        b"[]\n",
        b'{"kind": "cosine", "classes": [0], "counts": [1]}\n',
        b'{"kind": "other", "classes": [0], "counts": [1]}\n' + bytes(256),
        b'{"kind": "cosine", "classes": [-1], "counts": [1]}\n' + bytes(256),
        b'{"kind": "cosine", "classes": [0, 0], "counts": [1, 1]}\n' + bytes(512),
        b'{"kind": "cosine", "classes": [0], "counts": [1e999]}\n' + bytes(256),
        b'{"kind": "cosine", "classes": [0], "counts": [1]}\n' + b"\xff" * 256,
        b'{"kind": "dense", "classes": "0", "counts": 1}\n' + bytes(256),
        b"[" * 100_000,
    ],
)
def test_a_damaged_record_is_none(content):
    """It comes from a file: whatever it says must not be believed, nor end the program."""
    model = replace(mobilenet_like(), metadata={ENTRY: content})
    assert read_record(model, 32) is None


def test_a_record_is_read_as_it_was_written():
    sums = np.random.default_rng(0).normal(size=(2, 32))
    record = Record("dense", [5, 6], [3, 1], sums)
    # Buffers in a file may be padded.
    content = write_record(record) + bytes(7)
    read = read_record(replace(mobilenet_like(), metadata={ENTRY: content}), 32)
    assert (read.kind, read.classes, read.counts) == ("dense", [5, 6], [3, 1])
    assert np.array_equal(read.sums, sums)


@pytest.mark.parametrize(
    ("text", "lengths"),
    [
        ("0 5.4\n1 6.5\n2 4.1\n", {0: 5.4, 1: 6.5, 2: 4.1}),
        ("1001 2.000000\n", {1001: 2.0}),
        ("TOCO Converted.", {}),
        ("MLIR Converted. 1", {}),
        ("", {}),
        ("0 nan", {}),
        ("-1 2.0", {}),
        ("0 1.0 2", {}),
    ],
)
def test_descriptions_are_read_as_googles_engine_reads_them(text, lengths):
    """Every converter writes something there."""
    assert read_lengths(text) == lengths


def test_a_model_in_float_learns_in_float():
    """There is nothing to quantise it with, and nothing lost."""
    imprinter = Imprinter(float_model(), "m")
    learned(imprinter, range(CLASSES))
    headed = imprinter.headed()
    wanted = 30 * imprinter.scores(POINTS)
    chances = np.exp(wanted) / np.exp(wanted).sum(1, keepdims=True)
    assert np.allclose(run_head(headed.head, embedded(headed.head, POINTS)), chances, atol=1e-5)
