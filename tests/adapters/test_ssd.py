"""Detectors of the SSD family: with LiteRT's own operator inside, and decoded by us."""

import numpy as np
import pytest
from vision_models import constant_model, post_process_model

from atoll.adapters import Detector, Wanted
from atoll.adapters.anchors import efficientdet_anchors, fpn_anchors, read_anchors, ssd_anchors
from atoll.adapters.facts import Facts, Output
from atoll.adapters.ssd import SSD
from atoll.errors import ModelError
from atoll.tflite.reader import read_model
from atoll.tflite.writer import write_model

BLACK = np.zeros((300, 300, 3), np.uint8)
EVERYTHING = Wanted(threshold=0.3, overlap=0.5, most=10)


def raw_detections(seed=0, n=1917, classes=5):
    """What an SSD's heads give: mostly nothing, and some objects, some of them twice."""
    rng = np.random.default_rng(seed)
    encodings = rng.normal(0, 1, (n, 4)).astype(np.float32)
    scores = rng.uniform(0, 0.2, (n, classes + 1)).astype(np.float32)
    for place in rng.integers(0, n - 1, 12):
        scores[place : place + 2, rng.integers(1, classes + 1)] = rng.uniform(0.4, 1, 2)
    return encodings, scores


def detector(model, **kwargs):
    return Detector(write_model(model), device="cpu", **kwargs)


def seen(found):
    return [(o.index, round(o.score, 5), *np.round([*vars(o.box).values()], 3)) for o in found]


@pytest.mark.parametrize("seed", range(3))
def test_our_decoding_gives_what_litert_s_operator_gives(seed):
    """The same heads, once with the operator in the model and once without: the same objects."""
    encodings, scores = raw_detections(seed)
    inside = post_process_model(encodings, scores, ssd_anchors(300, 300))
    outside = constant_model(
        {
            "raw_outputs/box_encodings": encodings[None],
            "raw_outputs/class_predictions": scores[None],
        },
        size=(300, 300),
    )
    one, two = detector(inside), detector(outside)
    assert (one.kind, two.kind) == ("ssd", "ssd-raw")
    # The operator suppresses without regard to the class, we within one: far apart, both agree.
    theirs = one.see(BLACK, EVERYTHING)
    ours = two.see(BLACK, EVERYTHING)
    assert len(theirs) > 3
    apart = [
        o
        for o in ours
        if not any(
            p.score > o.score and p.index != o.index and p.box.overlap(o.box) > 0.5 for p in ours
        )
    ]
    assert np.allclose(seen(apart)[: len(theirs)], seen(theirs)[: len(apart)], atol=2e-3)


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (2, 0, 3, 1), (3, 2, 1, 0), (1, 3, 0, 2)])
def test_the_order_of_the_outputs_is_no_matter(order):
    """TensorFlow 1 and 2 write them otherwise, and converters sort them by name."""
    encodings, scores = raw_detections()
    usual = detector(post_process_model(encodings, scores, ssd_anchors(300, 300)))
    other = detector(post_process_model(encodings, scores, ssd_anchors(300, 300), order=order))
    assert seen(other.see(BLACK, EVERYTHING)) == seen(usual.see(BLACK, EVERYTHING))


FOUR = {
    "boxes": np.float32([[[0.1, 0.2, 0.5, 0.6], [0, 0, 0.1, 0.1]]]),
    "classes": np.float32([[3, 1]]),
    "scores": np.float32([[0.9, 0.6]]),
    "count": np.float32([2]),
}


@pytest.mark.parametrize(
    "names",
    [
        ("boxes", "classes", "scores", "count"),
        ("scores", "boxes", "count", "classes"),
        ("count", "scores", "classes", "boxes"),
    ],
)
def test_without_the_operator_shapes_tell(names):
    """A model that was cut or converted anew does not show the operator."""
    found = detector(constant_model({name: FOUR[name] for name in names})).see(BLACK[:32, :32])
    assert [(o.index, round(o.score, 2)) for o in found] == [(3, 0.9), (1, 0.6)]
    assert np.allclose([*vars(found[0].box).values()], [6.4, 3.2, 19.2, 16.0], atol=1e-4)


def test_a_signature_counts_before_the_order():
    """With a signature, a TensorFlow 2 model may come in any order."""
    shapes = {"boxes": (1, 7, 4), "classes": (1, 7), "scores": (1, 7), "count": (1,)}
    for names in (("classes", "boxes", "count", "scores"), ("boxes", "scores", "classes", "count")):
        signed = {
            f"output_{('count', 'scores', 'classes', 'boxes').index(name)}": place
            for place, name in enumerate(names)
        }
        facts = Facts("m", 32, 32, tuple(Output(n, shapes[n]) for n in names), signature=signed)
        decode = SSD[0].recognise(facts)
        values = {
            "boxes": np.zeros((1, 7, 4), np.float32),
            "classes": np.full((1, 7), 5, np.float32),
            "scores": np.full((1, 7), 0.75, np.float32),
            "count": np.float32([7]),
        }
        found = decode([values[n] for n in names], Wanted())
        assert found.scores.tolist() == [0.75] * 7
        assert found.classes.tolist() == [5] * 7


@pytest.mark.parametrize("count", [0, 3, 10_000, -4, np.nan, np.inf])
def test_a_count_that_makes_no_sense_does_no_harm(count):
    """The count is a float that the device computes."""
    outputs = FOUR | {"count": np.float32([count])}
    assert len(detector(constant_model(outputs)).see(BLACK[:32, :32])) in (0, 2)


def test_the_best_come_first_in_whatever_order_a_model_gives_them():
    """With the one best asked for, it must be that."""
    outputs = {
        "boxes": np.tile(np.float32([0.1, 0.1, 0.5, 0.5]), (1, 3, 1)),
        "classes": np.float32([[4, 5, 6]]),
        "scores": np.float32([[0.4, 0.9, 0.6]]),
        "count": np.float32([3]),
    }
    photo = np.zeros((32, 32, 3), np.uint8)
    with Detector(write_model(constant_model(outputs))) as detector:
        assert [each.index for each in detector.see(photo, Wanted(0.1))] == [5, 6, 4]
        assert [each.index for each in detector.see(photo, Wanted(0.1, most=1))] == [5]


def test_8_bit_outputs_are_real_numbers():
    """Coral's detectors without suppression give bytes."""
    encodings, scores = raw_detections()
    quantised = np.clip(np.round(encodings / 0.06) + 128, 0, 255).astype(np.uint8)
    rated = np.clip(np.round(scores * 256), 0, 255).astype(np.uint8)
    stepped = (quantised.astype(np.float32) - 128) * np.float32(0.06)
    plain = detector(
        constant_model(
            {"boxes": stepped[None], "scores": rated[None].astype(np.float32) / 256},
            size=(300, 300),
        )
    )
    bytes_ = detector(
        constant_model(
            {"scores": (rated[None], 1 / 256, 0), "boxes": (quantised[None], 0.06, 128)},
            size=(300, 300),
        )
    )
    assert bytes_.kind == "ssd-raw"
    found = bytes_.see(BLACK, EVERYTHING)
    assert found
    assert seen(found) == seen(plain.see(BLACK, EVERYTHING))


def test_logits_are_told_from_probabilities():
    """A model that ends before its sigmoid has scores of any size."""
    encodings, scores = raw_detections()
    logits = np.log(scores / (1 - np.minimum(scores, 0.9999)) + 1e-9).astype(np.float32)
    plain = detector(constant_model({"b": encodings[None], "s": scores[None]}, size=(300, 300)))
    other = detector(constant_model({"b": encodings[None], "s": logits[None]}, size=(300, 300)))
    one, two = plain.see(BLACK, EVERYTHING), other.see(BLACK, EVERYTHING)
    assert np.allclose(seen(one), seen(two), atol=2e-3)


def test_given_anchors_serve_a_detector_of_ones_own(tmp_path):
    """A detector of four boxes, whose anchors are in a file."""
    anchors = np.array(
        [[0.25, 0.25, 0.5, 0.5], [0.75, 0.25, 0.5, 0.5], [0.5, 0.5, 1, 1], [0.5, 0.5, 0.1, 0.1]]
    )
    model = constant_model(
        {
            "boxes": np.zeros((1, 4, 4), np.float32),
            "scores": np.float32([[[0, 0.9], [0, 0], [0, 0], [0, 0]]]),
        }
    )
    with pytest.raises(ModelError, match="given anchors"):
        detector(model)
    np.save(tmp_path / "a.npy", anchors)
    (tmp_path / "a.txt").write_text("\n".join(", ".join(map(str, row)) for row in anchors))
    for name in ("a.npy", "a.txt"):
        given = read_anchors(tmp_path / name)
        (found,) = detector(model, anchors=given).see(np.zeros((32, 32, 3), np.uint8))
        assert np.allclose([*vars(found.box).values()], [0, 0, 16, 16])


@pytest.mark.parametrize("text", ["", "1 2 3", "a b c d", "1 2\n3", "nan nan nan nan"])
def test_anchors_that_are_none_are_one_line(tmp_path, text):
    (tmp_path / "a.txt").write_text(text)
    with pytest.raises(ModelError, match=r"a\.txt"):
        read_anchors(tmp_path / "a.txt")
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY nonsense")
    with pytest.raises(ModelError, match=r"a\.npy"):
        read_anchors(tmp_path / "a.npy")


def test_anchors_are_those_of_a_published_model(shared):
    """Coral's SSD MobileNet v1 has its anchors inside: ours must be the same."""
    path = "models/v13/ssd_mobilenet_v1_coco_quant_postprocess_segment_1_of_2_edgetpu.tflite"
    graph = read_model(shared / path).main
    (published,) = [t.data for t in graph.tensors if t.name == "anchors"]
    assert np.allclose(ssd_anchors(300, 300), published, atol=1e-6)


def test_anchors_are_as_many_as_published_models_have_boxes():
    """SSD 300 and 320, SSD FPN 640, EfficientDet-Lite0."""
    assert len(ssd_anchors(300, 300)) == 1917
    assert len(ssd_anchors(320, 320)) == 2034
    assert len(fpn_anchors(640, 640)) == 51150
    assert len(efficientdet_anchors(320, 320)) == 19206


def test_an_efficientdet_has_no_background():
    """Its first class is the first object."""
    n = len(efficientdet_anchors(320, 320))
    scores = np.zeros((1, n, 90), np.float32)
    scores[0, 9000, 0] = 0.8
    model = constant_model({"box": np.zeros((1, n, 4), np.float32), "cls": scores}, (320, 320))
    (found,) = detector(model, labels=["person", "bicycle"]).see(np.zeros((320, 320, 3), np.uint8))
    assert found.label == "person"
