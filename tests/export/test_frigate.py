"""What is packed for Frigate is what Frigate reads: its settings, its label map, its outputs."""

import json
from functools import partial
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import yaml
from ai_edge_litert.interpreter import Interpreter
from cli_runner import atoll_inside, refused
from compiled_files import compiled
from export.frigate_models import CLASSES, classifier, ssd, yolo
from pixel_models import pixel_model

from atoll.cli.export import Detector
from atoll.edgetpu.simfile import compile_for_sim
from atoll.errors import ModelError, OutputError, UsageError
from atoll.export import frigate
from atoll.export.frigate import Options, export_frigate
from atoll.tflite.writer import write_model

# The fields of Frigate's own models of its settings, and the values that its enumerations have
# (frigate/detectors/detector_config.py, frigate/config/classification.py; both forbid others).
MODEL_KEYS = {
    "path", "labelmap_path", "width", "height", "labelmap", "attributes_map", "input_tensor",
    "input_pixel_format", "input_dtype", "model_type",
}  # fmt: skip
DETECTOR_KEYS = {"edgetpu": {"type", "device"}, "cpu": {"type", "num_threads"}}
VALUES = {
    "input_tensor": {"nchw", "nhwc", "hwnc", "hwcn"},
    "input_pixel_format": {"rgb", "bgr", "yuv"},
    "input_dtype": {"float", "float_denorm", "int"},
    "model_type": {"dfine", "rfdetr", "ssd", "yolox", "yolonas", "yolo-generic"},
}
CLASSIFICATION_KEYS = {
    "enabled", "name", "threshold", "save_attempts", "object_config", "state_config",
}  # fmt: skip


def save(path: Path, model) -> Path:
    path.write_bytes(write_model(model))
    return path


def settings(folder: Path) -> dict:
    """The settings, by a real parser, checked against Frigate's own fields."""
    document = yaml.safe_load((folder / "config.yml").read_text())
    assert set(document) <= {"detectors", "model", "objects", "classification"}
    for detector in document.get("detectors", {}).values():
        assert set(detector) <= DETECTOR_KEYS[detector["type"]]
    model = document.get("model", {})
    assert set(model) <= MODEL_KEYS
    for key, values in VALUES.items():
        assert model.get(key, next(iter(values))) in values
    for one in document.get("classification", {}).get("custom", {}).values():
        assert set(one) <= CLASSIFICATION_KEYS
        assert set(one["object_config"]) <= {"objects", "classification_type"}
    return document


def label_map(folder: Path, numbered=True) -> dict[int, str]:
    """The labels, read as Frigate does: a number, one space, the name."""
    lines = (folder / "labelmap.txt").read_text(encoding="utf-8").splitlines()
    if not numbered:
        return dict(enumerate(lines))
    pairs = [line.split(" ", maxsplit=1) for line in lines]
    return {int(number): name for number, name in pairs}


@pytest.fixture
def pair(tmp_path):
    """Writes a model with its compiled file beside it."""

    def write(model, name="street"):
        save(tmp_path / f"{name}_edgetpu.tflite", compiled(model))
        return save(tmp_path / f"{name}.tflite", model)

    return write


def test_a_compiled_detector_is_packed_for_the_edgetpu_detector(pair, tmp_path):
    """The plain model would run on the processor, and nobody would know why it is slow."""
    done = export_frigate(pair(ssd()), tmp_path / "out")
    assert (done.form, done.detector) == ("ssd", "edgetpu")
    files = {file.name for file in (tmp_path / "out").iterdir()}
    assert files == {"street_edgetpu.tflite", "labelmap.txt", "config.yml", "README.md"}
    assert files == set(done.files)
    document = settings(tmp_path / "out")
    assert document["detectors"] == {"coral": {"type": "edgetpu", "device": "usb"}}
    assert document["model"] == {
        "path": "/config/model_cache/street/street_edgetpu.tflite",
        "labelmap_path": "/config/model_cache/street/labelmap.txt",
        "width": 32, "height": 32, "input_tensor": "nhwc", "input_pixel_format": "rgb",
        "input_dtype": "int", "model_type": "ssd",
    }  # fmt: skip
    assert document["objects"] == {"track": CLASSES}
    assert label_map(tmp_path / "out") == dict(enumerate(CLASSES))
    packed = tmp_path / "out/street_edgetpu.tflite"
    assert packed.read_bytes() == (tmp_path / "street_edgetpu.tflite").read_bytes()
    readme = (tmp_path / "out/README.md").read_text()
    for step in ("1. **Copy**", "2. **Merge**", "3. **Restart**", "/config/model_cache/street/"):
        assert step in readme


def test_several_edge_tpus_are_a_detector_each(pair, tmp_path):
    """One of two sticks would do nothing."""
    options = Options(devices=("usb:0", "usb:1", "pci"))
    export_frigate(pair(ssd()), tmp_path / "out", options)
    detectors = settings(tmp_path / "out")["detectors"]
    assert [detectors[name]["device"] for name in ("coral1", "coral2", "coral3")] == [
        "usb:0", "usb:1", "pci",
    ]  # fmt: skip


def test_without_a_compiled_file_the_cpu_detector_is_said_plainly(tmp_path):
    """Frigate's edgetpu detector would not load the file."""
    source = save(tmp_path / "street.tflite", ssd())
    done = export_frigate(source, tmp_path / "out")
    assert done.detector == "cpu"
    assert any("not on an Edge TPU" in note for note in done.notes)
    assert settings(tmp_path / "out")["detectors"] == {"cpu1": {"type": "cpu", "num_threads": 3}}
    assert "cpu detector, which is slow" in (tmp_path / "out/README.md").read_text()
    with pytest.raises(ModelError, match=r"X_edgetpu.tflite.*none beside the model.*atoll compile"):
        export_frigate(source, tmp_path / "again", Options(detector="edgetpu"))
    assert not (tmp_path / "again").exists()


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1)])
def test_outputs_come_in_the_order_in_which_frigate_reads_them(tmp_path, order):
    """TensorFlow 2 sorts them otherwise, and Frigate would take scores for boxes."""
    source = save(tmp_path / "street.tflite", ssd(order=order))
    export_frigate(source, tmp_path / "out")
    pixels = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3)).astype(np.uint8)

    def outputs(path):
        interpreter = Interpreter(str(path))
        interpreter.allocate_tensors()
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], pixels)
        interpreter.invoke()
        return [interpreter.get_tensor(d["index"]) for d in interpreter.get_output_details()]

    before, after = outputs(source), outputs(tmp_path / "out/street.tflite")
    # Place i of the model holds what the operator gives at place order[i].
    for place in range(4):
        assert np.array_equal(after[place], before[order.index(place)])
    assert [output.ndim for output in after] == [3, 2, 2, 1]
    # Scores are sorted, classes are whole numbers: the right two of the same shape.
    assert np.all(np.diff(after[2][0]) <= 0)
    assert np.array_equal(after[1], np.round(after[1]))


@pytest.mark.parametrize("most", [False, True])
def test_yolo_is_packed_where_frigate_can_decode_it(pair, tmp_path, most):
    """Frigate 0.17 decodes boxes and scores of each cell, and no other form."""
    done = export_frigate(pair(yolo(most=most)), tmp_path / "out")
    assert (done.form, done.detector) == ("yolo-generic", "edgetpu")
    assert settings(tmp_path / "out")["model"]["model_type"] == "yolo-generic"
    assert any("0.17" in note for note in done.notes)


def test_yolo_without_a_compiled_file_is_refused(tmp_path):
    """Frigate's cpu detector reads SSD alone, and would raise an IndexError."""
    source = save(tmp_path / "yolo.tflite", yolo())
    with pytest.raises(ModelError, match=r"cpu detector takes ssd.*yolo-generic"):
        export_frigate(source, tmp_path / "out")


@pytest.mark.parametrize(
    "model",
    [
        partial(yolo, numbers=4),
        partial(pixel_model, shapes=((1, 48), (1, 48))),
        partial(pixel_model, shapes=((1, 4, 4, 3),)),
    ],
    ids=["yolo with decoded boxes", "two outputs", "a map"],
)
def test_what_frigate_cannot_decode_is_refused_with_what_it_can(tmp_path, model):
    """Frigate only logs `Unrecognized model output`, or ends."""
    source = save(tmp_path / "x.tflite", model())
    with pytest.raises(ModelError, match=r"ssd: boxes \[1, N, 4\].*yolo-generic: .*Received: \["):
        export_frigate(source, tmp_path / "out")


def test_a_classifier_serves_frigates_classification(tmp_path):
    """It is no detector: as one it would never find anything."""
    source = save(tmp_path / "post_quant.tflite", classifier(["mail", "other", "none"]))
    done = export_frigate(source, tmp_path / "out", Options(objects=("car", "person")))
    assert (done.form, done.detector) == ("classification", "cpu")
    assert {file.name for file in (tmp_path / "out").iterdir()} == {
        "model.tflite", "labelmap.txt", "config.yml", "README.md",
    }  # fmt: skip
    custom = settings(tmp_path / "out")["classification"]["custom"]
    assert custom["post"]["object_config"] == {
        "objects": ["car", "person"],
        "classification_type": "sub_label",
    }
    # Frigate reads this one without numbers.
    assert label_map(tmp_path / "out", numbered=False) == {0: "mail", 1: "other", 2: "none"}
    assert (tmp_path / "out/model.tflite").read_bytes() == source.read_bytes()
    assert any("processor, not on the Edge TPU" in note for note in done.notes)


def test_frigates_classification_computes_with_what_is_packed(tmp_path):
    """Frigate divides the scores by their sum, and takes what is above 0.8."""
    source = save(tmp_path / "post.tflite", classifier())
    export_frigate(source, tmp_path / "out", Options(objects=("car",)))
    interpreter = Interpreter(str(tmp_path / "out/model.tflite"))
    interpreter.allocate_tensors()
    frame = np.zeros((1, 224, 224, 3), np.uint8)
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], frame)
    interpreter.invoke()
    scores = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0]
    assert scores.shape == (3,)
    shares = scores / scores.sum(axis=0)
    assert np.isclose(shares.sum(), 1)
    assert np.all(shares >= 0)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (partial(classifier, size=96), r"224x224.*96x96.*--size 224"),
        (partial(classifier, style="int8"), r"uint8 pixels.*INT8"),
        (partial(classifier, softmax=False), r"zero point|softmax"),
    ],
)
def test_a_classifier_of_another_kind_is_refused(tmp_path, model, words):
    """Frigate would compute nonsense from it, and log nothing."""
    source = save(tmp_path / "post.tflite", model())
    with pytest.raises(ModelError, match=words):
        export_frigate(source, tmp_path / "out", Options(objects=("car",)))


def test_a_classifier_must_be_told_what_to_look_at(tmp_path):
    """A list that is empty switches it off."""
    source = save(tmp_path / "post.tflite", classifier())
    with pytest.raises(UsageError, match=r"--object person"):
        export_frigate(source, tmp_path / "out")


def test_a_run_is_packed_with_its_labels(tmp_path):
    """Whoever built a model names the folder, and no file in it."""
    run = tmp_path / "my run"
    run.mkdir()
    save(run / "model_quant.tflite", classifier(labels=["a", "b"]))
    (run / "labels.txt").write_text("a\nb\n")
    done = export_frigate(run, tmp_path / "out", Options(objects=("cat",)))
    assert done.home == "/config/model_cache/my_run"


def test_what_only_the_simulator_runs_is_refused(tmp_path):
    """Frigate has no simulator."""
    source = save(tmp_path / "x_sim.tflite", compile_for_sim(classifier()))
    with pytest.raises(ModelError, match=r"atoll-sim-op"):
        export_frigate(source, tmp_path / "out")


def test_a_compiled_classifier_is_refused_for_what_it_is(tmp_path):
    """That its softmax is not seen says nothing to its owner."""
    source = save(tmp_path / "x_edgetpu.tflite", compiled(classifier()))
    with pytest.raises(ModelError, match=r"on the processor.*compiled from"):
        export_frigate(source, tmp_path / "out")


def test_labels_are_needed_and_must_fit(tmp_path, pair):
    """Without them Frigate takes COCO's, and calls a weed a person."""
    source = pair(ssd(labels=[]))
    with pytest.raises(ModelError, match=r"--labels"):
        export_frigate(source, tmp_path / "out")
    labels = tmp_path / "labels.txt"
    labels.write_text("???\nperson\ncar\ncat\n")
    with pytest.raises(ModelError, match=r"3 classes. Received: 4 labels. Leave the first"):
        export_frigate(source, tmp_path / "out", Options(labels=labels))
    labels.write_text("0 person\n2 cat\n")
    export_frigate(source, tmp_path / "out", Options(labels=labels))
    assert label_map(tmp_path / "out") == {0: "person", 2: "cat"}
    source = pair(yolo(), "yolo")
    with pytest.raises(ModelError, match=r"3 classes. Received: 2 labels"):
        labels.write_text("person\ncar\n")
        export_frigate(source, tmp_path / "yolo", Options(labels=labels))


@pytest.mark.parametrize("names", [["3 doors", "no", "été"], ["a: b # c", '"', "\\x"]])
def test_labels_that_yaml_or_frigate_would_read_otherwise_are_kept(tmp_path, pair, names):
    """`no` is false in YAML, and a line that begins with a number is numbered."""
    export_frigate(pair(ssd(labels=names)), tmp_path / "out")
    assert settings(tmp_path / "out")["objects"]["track"] == names
    assert label_map(tmp_path / "out") == dict(enumerate(names))


def test_of_many_classes_people_are_tracked(pair, tmp_path):
    """COCO's 80 would fill a disk with chairs."""
    names = ["person", *(f"thing {number}" for number in range(40))]
    model = yolo(labels=names)
    done = export_frigate(pair(model), tmp_path / "out")
    assert done.tracked == ["person"]
    assert any("Only person is tracked" in note for note in done.notes)
    done = export_frigate(pair(model), tmp_path / "two", Options(objects=("thing 3",)))
    assert settings(tmp_path / "two")["objects"]["track"] == ["thing 3"]
    with pytest.raises(UsageError, match=r"the model must know it. Received: cow"):
        export_frigate(pair(model), tmp_path / "three", Options(objects=("cow",)))


def test_pixels_must_be_what_frigate_gives(tmp_path):
    """A float model of -1 to 1 would be given 0 to 1, and find nothing."""
    source = save(tmp_path / "x.tflite", pixel_model(kind="FLOAT32", scale=0))
    labels = tmp_path / "labels.txt"
    labels.write_text("".join(f"{number}\n" for number in range(48)))
    with pytest.raises(ModelError, match=r"from 0 to 1, or from 0 to 255"):
        export_frigate(source, tmp_path / "out", Options(labels=labels, objects=("car",)))


def test_a_folder_with_other_things_is_left_alone(pair, tmp_path):
    """-o with a typing mistake would mix files into somebody's work."""
    source = pair(ssd())
    folder = tmp_path / "out"
    folder.mkdir()
    export_frigate(source, folder)
    first = {file.name: file.read_bytes() for file in folder.iterdir()}
    export_frigate(source, folder)
    assert first == {file.name: file.read_bytes() for file in folder.iterdir()}
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"other things in it, such as notes.txt"):
        export_frigate(source, folder)
    assert (folder / "notes.txt").read_text() == "mine"
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []
    with pytest.raises(OutputError, match=r"it must be a folder"):
        export_frigate(source, source)


@pytest.mark.parametrize("device", ["sim", "usb:x", "edgetpu", ""])
def test_a_device_that_frigate_does_not_know_is_refused(pair, tmp_path, device):
    """Frigate would say that no Edge TPU was detected."""
    with pytest.raises(UsageError, match=r"usb, pci, usb:N or pci:N"):
        export_frigate(pair(ssd()), tmp_path / "out", Options(devices=(device,)))
    assert not (tmp_path / "out").exists()


def test_names_are_folders_and_keys(pair, tmp_path):
    """A name with a slash would lie somewhere else than the settings say."""
    for name in ("a/b", "", "..", "a b"):
        with pytest.raises(UsageError, match=r"letters, digits"):
            export_frigate(pair(ssd()), tmp_path / "out", Options(name=name))
    done = export_frigate(pair(ssd()), tmp_path / "out", Options(name="yard-2"))
    assert done.home == "/config/model_cache/yard-2"


def test_published_models_are_packed_or_refused(shared, tmp_path):
    """Models that nobody here made, in uint8, with and without metadata, compiled and plain."""
    labels = shared / "data/photos/imagenet_labels.txt"
    for name in ("v13/tf2_mobilenet_v2_1.0_224_ptq", "v10/mobilenet_v2_1.0_224_quant"):
        source = shared / f"models/{name}.tflite"
        folder = tmp_path / name
        done = export_frigate(source, folder, Options(labels=labels, objects=("dog",)))
        assert done.form == "classification"
        assert (folder / "model.tflite").read_bytes() == source.read_bytes()
        assert len(label_map(folder, numbered=False)) == 1001
    for name in ("movenet_single_pose_lightning_ptq_edgetpu", "deeplabv3_mnv2_dm05_pascal_quant"):
        with pytest.raises(ModelError, match=r"Frigate takes ssd"):
            export_frigate(
                shared / f"models/v13/{name}.tflite", tmp_path / name, Options(labels=labels)
            )
        assert not (tmp_path / name).exists()


def test_the_commands_detectors_are_those_of_the_export():
    """A name that only one of both knows would be refused, or never be offered."""
    assert set(Detector) == set(get_args(frigate.Detector))


def test_the_command_tells_what_it_wrote(pair, tmp_path):
    """A script reads JSON, a person reads lines."""
    source = pair(ssd())
    process = atoll_inside("export", "frigate", source, "-o", tmp_path / "out")
    assert process.returncode == 0, process.stderr
    assert "ssd for Frigate's edgetpu detector" in process.stdout
    assert "config.yml" in process.stdout
    process = atoll_inside("export", "frigate", source, "-o", tmp_path / "two", "--json")
    document = json.loads(process.stdout)
    assert document["home"] == "/config/model_cache/street"
    assert document["objects"] == CLASSES
    line = refused(atoll_inside("export", "frigate", tmp_path / "no.tflite", "-o", tmp_path / "x"))
    assert "no.tflite" in line
    assert not (tmp_path / "x").exists()
