"""Learning on models that others made: one or two photos each of a cat, a dog and a hotdog."""

import json
import shutil

import numpy as np
import pytest
from cli_runner import atoll_inside, refused

from atoll import Interpreter
from atoll.adapters.classify import Classifier
from atoll.learn.coral_head import coral_head
from atoll.tflite.reader import read_model

BASES = (
    "v13/mobilenet_v1_1.0_224_quant_embedding_extractor",
    "v13/mobilenet_v1_0.75_192_quant",
    "v10/mobilenet_v1_0.25_128_quant",
    "v10/mobilenet_v2_1.0_224_quant",
    "v10/mobilenet_v2_1.0_224_inat_bird_quant",
    "v13/tf2_mobilenet_v2_1.0_224_ptq",
    "v10/mobilenet_edgetpu_0.75_224_post_training_quant",
)
EXTRACTOR = "v13/mobilenet_v1_1.0_224_quant_embedding_extractor_edgetpu"


@pytest.fixture(scope="module")
def photos(shared, tmp_path_factory):
    """train/cat/..., test/cat/...: four photos to learn from, three to ask about."""
    folder = tmp_path_factory.mktemp("photos")
    for photo in (shared / "data/photos").glob("*_t*_?.bmp"):
        name, part, _ = photo.stem.split("_")
        (folder / part / name).mkdir(parents=True, exist_ok=True)
        shutil.copy(photo, folder / part / name)
    return folder


def document(process):
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)


@pytest.mark.parametrize("base", BASES)
def test_imprinting_knows_all_three(shared, photos, tmp_path, base):
    """From an extractor and from classifiers whose head is cut off, in uint8 and int8."""
    made = tmp_path / "made.tflite"
    words = ["imprint", shared / f"models/{base}.tflite", "--dataset", photos, "-o", made]
    report = document(atoll_inside(*words, "--json"))
    assert report["photos"] == 4
    assert report["held_out"] == {"top1": 1.0, "right": 3, "images": 3}
    assert report["ops_cpu"] == 0
    classifier = Classifier(made, device="sim")
    for photo in (photos / "test").rglob("*.bmp"):
        assert classifier.top(photo, 1)[0][0] == photo.parent.name
    assert coral_head(read_model(made).main) is not None


def test_a_compiled_extractor_learns_on_the_simulator(shared, photos, tmp_path):
    """The chip's code stays as it is; the new layers run on the processor, behind it."""
    base = shared / f"models/{EXTRACTOR}.tflite"
    for words in (["imprint", base, "--dataset"], ["retrain-head", base]):
        made = tmp_path / words[0] / "made_edgetpu.tflite"
        report = document(atoll_inside(*words, photos, "-o", made, "--json"))
        assert report["held_out"]["top1"] == 1.0
        assert (report["device"], report["ops_tpu"]) == ("sim", 1)
        old, new = read_model(base), read_model(made)
        assert new.main.operators[0].custom_options == old.main.operators[0].custom_options
        # The model beside it runs it in software, and is a whole model by itself.
        assert report["twin"] == str(made.with_name("made.tflite"))
        rng = np.random.default_rng(0)
        with Interpreter(made, "sim") as sim, Interpreter(report["twin"], "cpu") as cpu:
            photo = rng.integers(0, 256, (1, 224, 224, 3)).astype(np.uint8)
            assert np.array_equal(sim.invoke(photo)[0], cpu.invoke(photo)[0])


def test_going_on_with_a_compiled_model(shared, photos, tmp_path):
    """As on a device that learns while it is used: its file grows, its code does not."""
    base, first = shared / f"models/{EXTRACTOR}.tflite", tmp_path / "first_edgetpu.tflite"
    part = tmp_path / "part"
    for name in ("cat", "dog"):
        shutil.copytree(photos / "train" / name, part / name)
    document(atoll_inside("imprint", base, "--dataset", part, "-o", first, "--json"))
    rest = tmp_path / "rest"
    shutil.copytree(photos / "train/hotdog", rest / "hotdog")
    second = tmp_path / "second_edgetpu.tflite"
    words = ["imprint", first, "--dataset", rest, "-o", second, "--resume", "--json"]
    assert [each["photos"] for each in document(atoll_inside(*words))["classes"]] == [0, 0, 2]
    once = tmp_path / "once_edgetpu.tflite"
    words = ["imprint", base, "--dataset", photos / "train", "-o", once, "--json"]
    document(atoll_inside(*words))
    assert second.read_bytes() == once.read_bytes()


def test_a_compiled_classifier_says_how_it_must_be_compiled(shared, photos, tmp_path):
    """Its last layer is in the chip's code, where nobody can change it."""
    base = shared / "models/v13/mobilenet_v1_0.75_192_quant_edgetpu.tflite"
    words = ["--dataset", photos, "-o", tmp_path / "made_edgetpu.tflite"]
    message = refused(atoll_inside("imprint", base, *words))
    assert "--intermediate_tensors MobilenetV1/Logits/AvgPool_1a/AvgPool" in message
    alone = tmp_path / "alone_edgetpu.tflite"
    shutil.copy(base, alone)
    assert "--intermediate_tensors" in refused(atoll_inside("imprint", alone, *words))


@pytest.mark.parametrize(
    "base", ["v10/mobilenet_v2_1.0_224_quant", "v13/mobilenet_v1_0.75_192_quant"]
)
def test_a_thousand_classes_and_three_more(shared, photos, tmp_path, base):
    """New classes are found beside the old, and the old ones are still found."""
    path, made = shared / f"models/{base}.tflite", tmp_path / "made.tflite"
    names = shared / "data/photos/imagenet_labels.txt"
    words = ["--dataset", photos, "-o", made, "--keep-classes", "--labels", names, "--json"]
    report = document(atoll_inside("imprint", path, *words))
    assert len(report["classes"]) == 1004
    assert report["ops_cpu"] == 0
    old, new = Classifier(path, device="cpu", labels=names), Classifier(made, device="cpu")
    for name in ("parrot.jpg", "owl.jpg", "grace_hopper.bmp"):
        photo = shared / "data/photos" / name
        assert new.top(photo, 1)[0][0] == old.top(photo, 1)[0][0]
    for name in ("cat", "hotdog"):
        assert new.top(next((photos / "test" / name).iterdir()), 1)[0][0] == name
