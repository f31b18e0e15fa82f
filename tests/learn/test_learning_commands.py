"""`atoll imprint` and `atoll retrain-head`, as a person runs them."""

import json
import shutil

import numpy as np
import pytest
from cli_runner import atoll, atoll_inside, refused
from compiled_files import write_pair
from PIL import Image
from small_bases import keras_like, mobilenet_like, plane_model, pooled_model, squeezenet_like

from atoll import Interpreter
from atoll.adapters.classify import Classifier
from atoll.data.labels import read_labels
from atoll.edgetpu.simfile import EDGETPU_OP, compile_for_sim
from atoll.learn.head import softmax_layers, with_head
from atoll.learn.place import find_embedding
from atoll.tflite.metadata import ImageMetadata, attach, read_label_file
from atoll.tflite.reader import read_model
from atoll.tflite.writer import write_model

COLOURS = {
    "blue": (40, 60, 200),
    "green": (50, 170, 60),
    "red": (190, 50, 40),
    "teal": (30, 150, 160),
}


def paint(folder, name, count, seed):
    """Photos of a colour, each in another light and with noise of its own."""
    (folder / name).mkdir(parents=True)
    rng = np.random.default_rng([seed, sum(name.encode())])
    for number in range(count):
        light = rng.uniform(0.6, 1.2)
        pixels = rng.normal(np.array(COLOURS[name]) * light, 40, (30, 30, 3))
        image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
        image.save(folder / name / f"{number:02}.png")


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    """Photos in train and test, 12 and 20 of each of three colours; and of a fourth one alone."""
    folder = tmp_path_factory.mktemp("split")
    for name in ("blue", "green", "red"):
        paint(folder / "three/train", name, 12, 1)
        paint(folder / "three/test", name, 20, 2)
        paint(folder / "loose", name, 20, 3)
    paint(folder / "one", "teal", 12, 1)
    return folder


@pytest.fixture
def base(tmp_path):
    path = tmp_path / "base.tflite"
    path.write_bytes(write_model(mobilenet_like(channels=64)))
    return path


def document(process):
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)


def test_imprint_teaches_new_classes(base, split, tmp_path):
    """Photos in, a model out that names them: what the README promises."""
    made = tmp_path / "new" / "made.tflite"
    process = atoll_inside("imprint", base, "--dataset", split / "three", "-o", made)
    assert process.returncode == 0, process.stderr
    assert "Imprinted 3 classes from 36 photos: blue (12), green (12), " in process.stdout
    assert "Maps to the Edge TPU: 8 of 8 operators" in process.stdout
    assert str(made) in process.stdout
    assert read_labels(made.with_name("labels.txt")) == ["blue", "green", "red"]
    assert read_label_file(read_model(made)) == ["blue", "green", "red"]
    classifier = Classifier(made, device="cpu")
    photos = sorted((split / "three/test").rglob("*.png"))
    right = [classifier.top(photo, 1)[0][0] == photo.parent.name for photo in photos]
    line = f"Top-1 on photos it has not seen: {100 * sum(right) / 60:.2f} % ({sum(right)} of 60)."
    assert line in process.stdout
    assert sum(right) >= 57


def test_retrain_head_trains_a_layer(base, split, tmp_path):
    """The same with training, which knows more of many photos."""
    made = tmp_path / "made.tflite"
    report = document(atoll_inside("retrain-head", base, split / "three", "-o", made, "--json"))
    assert [(c["label"], c["photos"]) for c in report["classes"]] == [
        ("blue", 12), ("green", 12), ("red", 12),
    ]  # fmt: skip
    assert (report["ops_cpu"], report["ops_total"]) == (0, 5)
    assert report["training"]["top1"] == 1.0
    classifier = Classifier(made, device="sim")
    photos = sorted((split / "three/test").rglob("*.png"))
    right = sum(classifier.top(photo, 1)[0][0] == photo.parent.name for photo in photos)
    assert report["held_out"] == {"top1": round(right / 60, 6), "right": right, "images": 60}
    assert right >= 57


def test_the_same_words_give_the_same_bytes(base, split, tmp_path):
    """Else nobody could tell what a change did."""
    for words in (["imprint", base, "--dataset"], ["retrain-head", "--epochs", 3, base]):
        made = [tmp_path / f"{number}.tflite" for number in range(2)]
        for path in made:
            document(atoll_inside(*words, split / "three", "-o", path, "--json"))
        assert made[0].read_bytes() == made[1].read_bytes()


def test_a_single_class_alone_is_told_how_it_joins_others(base, split, tmp_path):
    """Who teaches one more class has the others in the model, and not in the folder."""
    process = atoll_inside("imprint", base, split / "one", "-o", tmp_path / "made.tflite")
    assert "only 'teal'" in refused(process)
    assert "--resume" in process.stderr
    assert "--keep-classes" in process.stderr


def test_another_models_labels_stay(base, split, tmp_path):
    """Models are often kept in one folder; the first one's names would be the second one's."""
    theirs, made = tmp_path / "labels.txt", tmp_path / "made.tflite"
    theirs.write_text("a\nb\n")
    for _ in range(2):
        words = ("imprint", base, split / "three", "-o", made, "--json")
        report = document(atoll_inside(*words))
        assert report["labels"] == str(tmp_path / "made_labels.txt")
        assert read_labels(tmp_path / "made_labels.txt") == ["blue", "green", "red"]
        assert theirs.read_text() == "a\nb\n"


def test_photos_are_named_as_a_word_or_behind_an_option(base, split, tmp_path):
    """Both commands take both, so that nobody must remember which takes which."""
    for words in (["imprint", base], ["retrain-head", base, "--epochs", 3]):
        made = [tmp_path / f"{number}.tflite" for number in range(2)]
        document(atoll_inside(*words, split / "three", "-o", made[0], "--json"))
        document(atoll_inside(*words, "--dataset", split / "three", "-o", made[1], "--json"))
        assert made[0].read_bytes() == made[1].read_bytes()
        assert "Received: none" in refused(atoll_inside(*words, "-o", made[0]))
        twice = (split / "three", "--dataset", split / "loose")
        assert "three and" in refused(atoll_inside(*words, *twice, "-o", made[0]))


def test_a_data_set_without_splits(base, split, tmp_path):
    """Imprinting learns from all of it, training holds a part out; both tell what they measured."""
    made = tmp_path / "made.tflite"
    report = document(
        atoll_inside("imprint", base, "--dataset", split / "loose", "-o", made, "--json")
    )
    assert report["photos"] == 60
    assert report["held_out"] is None
    assert report["leave_one_out"]["images"] == 60
    assert report["leave_one_out"]["top1"] > 0.9
    words = ["retrain-head", base, split / "loose", "-o", made, "--epochs", 20, "--json"]
    report = document(atoll_inside(*words))
    assert report["photos"] + report["held_out"]["images"] == 60
    assert report["held_out"]["top1"] > 0.9


def test_going_on_with_an_imprinted_model(base, split, tmp_path):
    """A new class on its own, and more photos of old ones: the classes keep their numbers."""
    first, second, third = (tmp_path / f"{name}.tflite" for name in "abc")
    atoll_inside("imprint", base, "--dataset", split / "three", "-o", first)
    words = ["--dataset", split / "one", "-o", second, "--resume", "--json"]
    report = document(atoll_inside("imprint", first, *words))
    labels = ["blue", "green", "red", "teal"]
    assert [each["label"] for each in report["classes"]] == labels
    assert [each["photos"] for each in report["classes"]] == [0, 0, 0, 12]
    words = ["--dataset", split / "three/test", "-o", third, "--resume", "--json"]
    report = document(atoll_inside("imprint", second, *words))
    assert [each["photos"] for each in report["classes"]] == [20, 20, 20, 0]
    assert read_label_file(read_model(third)) == labels
    assert third.read_bytes() != second.read_bytes()


def test_keeping_the_models_own_classes(split, tmp_path):
    """They stay in front, under their names; those that have none are called by their numbers."""
    path, made = tmp_path / "base.tflite", tmp_path / "made.tflite"
    card = ImageMetadata("n", "d", [0.0], [255.0], 24, 24, ["one", "two", "three"])
    path.write_bytes(write_model(attach(keras_like(), card)))
    words = ["--dataset", split / "three", "-o", made, "--keep-classes"]
    process = atoll_inside("imprint", path, *words)
    assert "Classes in all: 8." in process.stdout
    own = ["one", "two", "three", "class 3", "class 4"]
    assert read_label_file(read_model(made)) == [*own, "blue", "green", "red"]
    names = tmp_path / "names.txt"
    names.write_text("a\nb\nc\nd\ngreen\n")
    message = refused(atoll_inside("imprint", path, *words, "--labels", names))
    assert "a new class needs a new name" in message
    message = refused(atoll_inside("imprint", path, *words[:-1], "--resume"))
    assert "must have been imprinted before" in message
    message = refused(atoll_inside("imprint", made, *words[:-1], "--resume", "--labels", names))
    assert "only imprinted classes can learn more" in message


def test_a_tensor_can_be_named(split, tmp_path):
    """A network without a head, whose plane is averaged."""
    path, made = tmp_path / "base.tflite", tmp_path / "made.tflite"
    model = plane_model()
    path.write_bytes(write_model(model))
    words = ["--dataset", split / "three", "-o", made]
    assert "--embedding" in refused(atoll_inside("imprint", path, *words))
    name = model.main.tensors[model.main.outputs[0]].name
    report = document(atoll_inside("imprint", path, *words, "--embedding", name, "--json"))
    assert report["embedding"] == {"tensor": name, "size": 32}
    assert report["held_out"]["top1"] > 0.9
    assert (report["ops_cpu"], report["ops_total"]) == (0, 8)


@pytest.mark.parametrize("make", [pooled_model, squeezenet_like, keras_like])
def test_other_shapes_of_networks(make, split, tmp_path):
    """Whatever the head looked like, the new one does its work."""
    path, made = tmp_path / "base.tflite", tmp_path / "made.tflite"
    path.write_bytes(write_model(make()))
    for words in (["imprint", path, "--dataset"], ["retrain-head", path]):
        report = document(atoll_inside(*words, split / "three", "-o", made, "--json"))
        assert report["held_out"]["top1"] > 0.9
        assert report["ops_cpu"] == 0


def test_a_simulators_file_is_learned_on_as_what_it_was_made_of(base, split, tmp_path):
    """It lies in every RUN, and the new layers must map too."""
    sim, made = tmp_path / "base_sim.tflite", [tmp_path / "a.tflite", tmp_path / "b.tflite"]
    sim.write_bytes(write_model(compile_for_sim(read_model(base))))
    for path, output in zip((base, sim), made, strict=True):
        words = ["imprint", path, "--dataset", split / "three", "-o", output, "--json"]
        assert document(atoll_inside(*words))["ops_cpu"] == 0
    photo = np.zeros((1, 24, 24, 3), np.uint8)
    with Interpreter(made[0]) as one, Interpreter(made[1]) as two:
        assert np.array_equal(one.invoke(photo)[0], two.invoke(photo)[0])


@pytest.fixture
def compiled(tmp_path):
    """A classifier whose last layers stand behind the chip's code, and its twin."""
    extractor = write_pair(tmp_path, pooled_model(), "extractor")
    layers = softmax_layers(np.random.default_rng(0).normal(size=(5, 32)), np.zeros(5), -4, 4)
    for path, stem in ((extractor, "net_edgetpu"), (tmp_path / "extractor.tflite", "net")):
        base = read_model(path)
        model = with_head(base, find_embedding(base, path), layers).model
        (tmp_path / f"{stem}.tflite").write_bytes(write_model(model))
    return tmp_path / "net_edgetpu.tflite"


@pytest.mark.parametrize("more", [[], ["--keep-classes"]])
def test_behind_a_compiled_part(compiled, split, tmp_path, more):
    """The chip's code stays as it is, and the new layers are the processor's."""
    made = tmp_path / "made_edgetpu.tflite"
    words = ["imprint", compiled, "--dataset", split / "three", "-o", made, *more, "--json"]
    report = document(atoll_inside(*words))
    assert report["device"] == "sim"
    assert report["ops_tpu"] == 1
    assert len(report["classes"]) == (8 if more else 3)
    old, new = read_model(compiled).main.operators[0], read_model(made).main.operators[0]
    assert new.custom_name == EDGETPU_OP
    assert new.custom_options == old.custom_options
    # The result's own twin is written, and they agree.
    photo = np.random.default_rng(0).integers(0, 256, (1, 24, 24, 3)).astype(np.uint8)
    with Interpreter(made) as sim, Interpreter(tmp_path / "made.tflite") as cpu:
        assert np.array_equal(sim.invoke(photo)[0], cpu.invoke(photo)[0])
    # One that is there stays.
    (tmp_path / "made.tflite").write_bytes((tmp_path / "net.tflite").read_bytes())
    assert document(atoll_inside(*words))["twin"] is None
    assert (tmp_path / "made.tflite").read_bytes() == (tmp_path / "net.tflite").read_bytes()


def test_without_a_twin_a_compiled_model_needs_a_chip(compiled, split, tmp_path):
    """What to do is said, before photos are read for nothing."""
    words = ["--dataset", split / "three", "-o", tmp_path / "made_edgetpu.tflite"]
    twin = tmp_path / "net.tflite"
    moved = twin.rename(tmp_path / "other.tflite")
    assert "twin" in refused(atoll_inside("imprint", compiled, *words))
    report = document(atoll_inside("imprint", compiled, *words, "--twin", moved, "--json"))
    assert report["held_out"]["top1"] > 0.9


def test_photos_that_cannot_be_read_are_told(base, split, tmp_path):
    """One is skipped; a class of nothing else is refused, and nothing is written."""
    folder, made = tmp_path / "photos", tmp_path / "out" / "made.tflite"
    shutil.copytree(split / "three/train", folder)
    (folder / "green" / "00.png").write_text("no photo")
    process = atoll_inside("imprint", base, "--dataset", folder, "-o", made)
    assert "1 files skipped; green/00.png: not an image." in process.stdout
    for photo in (folder / "green").iterdir():
        photo.write_text(f"no photo {photo.name}")
    made.unlink()
    for words in (["imprint", base, "--dataset", folder], ["retrain-head", base, folder]):
        assert "every class needs a readable photo" in refused(atoll_inside(*words, "-o", made))
    assert not made.exists()


@pytest.mark.parametrize("command", ["imprint", "retrain-head"])
def test_the_model_that_is_learned_on_stays(command, base, split, tmp_path):
    """A slip of the hand must not cost the only copy of a base model."""
    before = base.read_bytes()
    link = tmp_path / "link.tflite"
    link.symlink_to(base)
    for place in (base, link, tmp_path / "." / base.name):
        message = refused(atoll_inside(command, base, split / "three", "-o", place))
        assert "must not take the place of the one that it is made of" in message
    assert base.read_bytes() == before


def test_the_twin_of_a_compiled_model_stays(compiled, split, tmp_path):
    """Without it, the compiled model runs in software no longer."""
    twin = tmp_path / "net.tflite"
    before = twin.read_bytes()
    message = refused(atoll_inside("imprint", compiled, split / "three", "-o", twin))
    assert "must not take the place" in message
    assert twin.read_bytes() == before


def test_learning_goes_on_in_place(base, split, tmp_path):
    """Photos are added week by week to one file."""
    made = tmp_path / "made.tflite"
    atoll_inside("imprint", base, split / "three", "-o", made)
    atoll_inside("imprint", made, split / "one", "-o", made, "--resume")
    assert read_label_file(read_model(made)) == ["blue", "green", "red", "teal"]


@pytest.mark.parametrize("command", ["imprint", "retrain-head"])
def test_a_class_whose_photos_are_all_anothers_is_told(command, base, split, tmp_path):
    """Nobody can tell which class they are of; the class must not be gone without a word."""
    folder = tmp_path / "photos"
    shutil.copytree(split / "three/train/blue", folder / "blue")
    (folder / "navy").mkdir()
    shutil.copy(folder / "blue/00.png", folder / "navy/copy.png")
    message = refused(atoll_inside(command, base, folder, "-o", tmp_path / "made.tflite"))
    assert "every class needs a photo of its own. Received: none of 'navy'" in message
    (folder / "blue").rename(tmp_path / "away")
    (folder / "blue").mkdir()
    shutil.copy(folder / "navy/copy.png", folder / "blue")
    message = refused(atoll_inside(command, base, folder, "-o", tmp_path / "made.tflite"))
    assert "Received: none of 'blue'" in message


def test_a_class_that_is_only_held_out_is_refused(base, split, tmp_path):
    """Its accuracy would be 0, and nobody would know why."""
    folder = tmp_path / "photos"
    shutil.copytree(split / "three", folder)
    shutil.rmtree(folder / "train/red")
    for words in (["imprint", base, "--dataset", folder], ["retrain-head", base, folder]):
        message = refused(atoll_inside(*words, "-o", tmp_path / "made.tflite"))
        assert "red" in message


@pytest.mark.smoke
def test_bad_words_are_one_line(base, split, tmp_path):
    """No model, no photos, no sense."""
    data, made = split / "three", tmp_path / "made.tflite"
    text = tmp_path / "text.tflite"
    text.write_text("this is no model")
    for words in (
        ["imprint", text, "--dataset", data],
        ["imprint", tmp_path / "no.tflite", "--dataset", data],
        ["imprint", base, "--dataset", tmp_path / "nowhere"],
        ["imprint", base, "--dataset", split / "one"],
        ["imprint", base, "--dataset", data, "--device", "nowhere"],
        ["imprint", base, "--dataset", data, "--embedding", "no such tensor"],
        ["imprint", base, "--dataset", data, "--resume"],
        ["imprint", base, "--dataset", data, "--keep-classes", "--labels", text.with_name("none")],
        ["retrain-head", base, data, "--epochs", 0],
        ["retrain-head", base, data, "--learning-rate", 0],
        ["retrain-head", base, split / "one"],
    ):
        refused(atoll_inside(*words, "-o", made))
    assert not made.exists()


def test_the_real_command(base, split, tmp_path):
    """As installed, in a process of its own; the dash in its name is the user's way to write it."""
    made = tmp_path / "made.tflite"
    process = atoll("retrain-head", base, split / "three", "-o", made, "--epochs", 5)
    assert process.returncode == 0, process.stderr
    assert "Trained 3 classes from 36 photos" in process.stdout
    assert "INFO" not in process.stderr
