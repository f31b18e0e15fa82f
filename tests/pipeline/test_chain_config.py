"""A chain's configuration: TOML and Python mean the same, and what is wrong is said in a line."""

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest
from chain_models import COLOURS, cell_detector, colour_classifier, photo
from cli_runner import atoll_inside, refused

from atoll.errors import AtollError, UsageError
from atoll.pipeline import Chain, Classify, Crop, Detect, Filter, Resize, read_chain
from atoll.pipeline.chain.table import STEP_TYPES

DOCS = Path(__file__).resolve().parents[2] / "docs"

CONFIG = """
[steps.cars]
type = "detect"
model = "models/cells.tflite"
labels = ["left", "right"]
device = "sim:0"
threshold = 0.3

[steps.right]
type = "filter"
input = "cars"
classes = ["right"]

[steps.cut]
type = "crop"
input = "right"
margin = 0.1

[steps.colour]
type = "classify"
model = "models/colours.tflite"
labels = "models/colours.txt"
input = "cut"
device = ["sim:1", "sim:2"]
most = 1

[watch]
camera = "anything"
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "models/cells.tflite").write_bytes(cell_detector())
    (tmp_path / "models/colours.tflite").write_bytes(colour_classifier())
    (tmp_path / "models/colours.txt").write_text("\n".join(COLOURS))
    (tmp_path / "chain.toml").write_text(CONFIG)
    return tmp_path


def test_toml_and_python_mean_the_same(folder):
    """What was tried in a file is put into a program, and must not find something else there."""
    models = folder / "models"
    steps = {
        "cars": Detect(
            models / "cells.tflite", labels=["left", "right"], device="sim:0", threshold=0.3
        ),
        "right": Filter(input="cars", classes="right"),
        "cut": Crop(input=["right"], margin=0.1),
        "colour": Classify(
            str(models / "colours.tflite"),
            labels=models / "colours.txt",
            input="cut",
            device=["sim:1", "sim:2"],
            most=1,
        ),
    }
    read = read_chain(folder / "chain.toml")
    assert read == steps
    assert list(read) == list(steps)


def test_files_are_looked_for_beside_the_configuration(folder, monkeypatch):
    """It is run from anywhere: by a service, from a home folder."""
    monkeypatch.chdir("/")
    with Chain(folder / "chain.toml") as opened:
        assert opened.steps["colour"].labels == folder / "models/colours.txt"


# What is changed in the configuration, and what the message must have: step, key, and a word.
FAULTS = {
    "a key with a typing error": ("threshold", "treshold", "'cars', key 'treshold'", "threshold"),
    "a type with a typing error": ('"filter"', '"fliter"', "'right', key 'type'", "Write filter"),
    "no type": ('type = "crop"', "", "'cut', key 'type'", "none"),
    "a type that is a list": ('"crop"', '["crop"]', "'cut', key 'type'", "crop"),
    "a file that is not there": ("cells.tflite", "no.tflite", "'cars', key 'model'", "no.tflite"),
    "a folder": ("cells.tflite", "", "'cars', key 'model'", "must be a .tflite file"),
    "no file": ('model = "models/cells.tflite"', "", "'cars', key 'model'", "needs it"),
    "labels that are not there": ("colours.txt", "no.txt", "'colour', key 'labels'", "no.txt"),
    "a step that is not there": ('"cars"', '"car"', "'right', key 'input'", "Write cars"),
    "no step at all": ('"cars"', "[]", "'right', key 'input'", "a list of names"),
    "a circle": (
        "labels = [", 'input = "cut"\nlabels = [', "chain.toml", "cars <- cut <- right <- cars"
    ),
    "a circle of one": ('input = "right"', 'input = "cut"', "chain.toml", "cut <- cut"),
    "no crop between": ('input = "cut"', 'input = "right"', "'colour', key 'input'", "a crop step"),
    "a crop of the photo": ('input = "right"', "", "'cut', key 'input'", "gives images"),
    "no device": ("sim:2", "sims", "'colour', key 'device'", "usb:N"),
    "a device twice": ("sim:2", "sim:1", "'colour', key 'device'", "different ones"),
    "a number that is text": ("0.3", '"0.3"', "'cars', key 'threshold'", "must be a number"),
    "a number that is none": ("0.3", "nan", "'cars', key 'threshold'", "must be a number"),
    "a truth for a number": ("0.1", "true", "'cut', key 'margin'", "must be a number"),
    "a number below": ("0.1", "-0.1", "'cut', key 'margin'", "from 0 to 10"),
    "half a class": ("most = 1", "most = 1.5", "'colour', key 'most'", "must be a whole number"),
    "another table": ("[watch]", "[wotch]", "chain.toml", "Write watch"),
    "a step outside": ("[steps.cut]", "[cut]", "chain.toml", "[steps.cut]"),
    "a value for a step": ("[watch]", "[steps]\nx = 1\n[watch]", "step 'x'", "a step is a table"),
    "a preparation that is shown": ("margin", "show", "'cut', key 'show'", "has the keys"),
    "no TOML": ("0.3", "0.3.3", "chain.toml", "line 7"),
    "the photo's name": ("[steps.cut]", "[steps.image]", "step 'image'", "the photo itself"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_wrong_is_said_in_one_line(folder, fault):
    """File, step, key, what is there and what to do: nobody should have to search."""
    old, new, place, word = FAULTS[fault]
    assert CONFIG.count(old) >= 1
    path = folder / "chain.toml"
    path.write_text(CONFIG.replace(old, new, 1))
    with pytest.raises(UsageError) as caught:
        read_chain(path)
    message = str(caught.value)
    assert str(path) in message
    assert place in message
    assert word in message
    assert "\n" not in message


def test_python_says_the_same(folder):
    """The same rules, with the step's name once it has one."""
    with pytest.raises(UsageError, match=r"detect step, key 'threshold': it must be a number"):
        Detect(folder / "models/cells.tflite", threshold="high")
    with pytest.raises(UsageError, match=r"resize step, key 'width'.*from 1 to"):
        Resize(width=0, height=1)
    with pytest.raises(UsageError, match=r"plates, step 'a', key 'input'.*Received: 'b'"):
        Chain({"a": Crop(input="b")}, name="plates")
    with pytest.raises(UsageError, match="at least one step"):
        Chain({})


def test_what_only_opening_shows_names_the_step_too(folder):
    """A model of the wrong kind, a device without a model for it."""
    cells, colours = folder / "models/cells.tflite", folder / "models/colours.tflite"
    for step, words in (
        (Detect(colours), ("'a'", "colours.tflite", "to detect")),
        (Classify(cells), ("'a'", "cells.tflite", "to classify")),
        (Classify(colours, device="usb:0"), ("'a'", "usb:0")),
        (Detect(cells, kind="nonsense"), ("'a'", "--kind", "nonsense")),
        (Detect(folder / "chain.toml"), ("'a'", "chain.toml", "TFLite")),
        (Classify(colours, labels=["a", "b", "c"]), ("'f', key 'classes'", "'red'", "3 labels")),
        (Classify(colours, labels=["rod", "b", "c"]), ("'f', key 'classes'", "Write rod")),
    ):
        with pytest.raises(AtollError) as caught:
            Chain({"a": step, "f": Filter(input="a", classes=["class 3", "red"])})
        assert all(word in str(caught.value) for word in words)
        assert "\n" not in str(caught.value)


def test_hostile_files_are_refused(folder):
    """Whatever is in the file: a chain, or one clear line."""
    rng = np.random.default_rng(0)
    content = CONFIG.encode()
    path = folder / "chain.toml"
    refusals = 0
    for number in range(400):
        broken = bytearray(content)
        if number % 2:
            start = int(rng.integers(len(broken)))
            del broken[start : start + int(rng.integers(1, 60))]
        else:
            for place in rng.integers(0, len(broken), 3):
                broken[place] = int(rng.integers(256))
        path.write_bytes(bytes(broken))
        try:
            read_chain(path)
        except UsageError as error:
            refusals += 1
            assert "\n" not in str(error)
    assert refusals > 200
    for hostile in (b"a = " + b"[" * 100_000, b"\xff\xfe", b"#" * (2 << 20), b"steps = 1"):
        path.write_bytes(hostile)
        with pytest.raises(UsageError):
            read_chain(path)
    for missing in (folder, folder / "no.toml", folder / ("x" * 300)):
        with pytest.raises(UsageError, match="can be read"):
            read_chain(missing)


def test_the_command_prints_what_was_found(folder):
    """As a person, and a program, who just typed it."""
    # The crop has a margin: 64 of its 100 pixels are blue, which is 163 of 255.
    photo({(0, 0): "red", (1, 3): "blue"}, (32, 32)).save(folder / "a.png")
    photo({}, (32, 32)).save(folder / "b.png")
    shown = atoll_inside("chain", "chain.toml", "a.png", "b.png", cwd=folder)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.splitlines() == [
        "a.png",
        "  right",
        "    0.3333  right  8x8 at 24, 8",
        "      colour",
        "        0.6392  blue",
        "b.png",
        "  right: nothing",
    ]
    process = atoll_inside(
        "chain", "chain.toml", "a.png", "b.png", "--draw", "o", "--json", cwd=folder
    )
    document = json.loads(process.stdout)
    assert [step["name"] for step in document["steps"]] == ["cars", "right", "cut", "colour"]
    one, two = document["results"]
    (car,) = one["found"]["right"]
    assert car["box"] == [24.0, 8.0, 32.0, 16.0]
    assert car["found"]["colour"] == [{"label": "blue", "score": 0.6392, "index": 2}]
    assert two["found"] == {"right": []}
    assert [Path(each["drawn"]).name for each in (one, two)] == ["a.png", "b.png"]
    assert (folder / "o/a.png").is_file()


def test_the_command_refuses_in_one_line(folder):
    (folder / "no photo.jpg").write_text("no photo")
    assert "no photo.jpg" in refused(
        atoll_inside("chain", "chain.toml", "no photo.jpg", cwd=folder)
    )
    (folder / "bad.toml").write_text(CONFIG.replace("sim:0", "usb:77"))
    line = refused(atoll_inside("chain", "bad.toml", "no photo.jpg", cwd=folder))
    assert "step 'cars'" in line


def test_the_documentation_has_every_step_and_key():
    """A key that nobody knows of might as well not be there."""
    text = (DOCS / "pipelines.md").read_text()
    for row in STEP_TYPES.values():
        assert f"| `{row.name}` |" in text
        for field in dataclasses.fields(row.step):
            assert re.search(rf"\| `{field.name}` \|", text), field.name
