"""Chains at work: what is found is what a few lines of numpy find, whatever the way there."""

import itertools
import threading

import numpy as np
import pytest
from chain_models import CELLS, COLOURS, SIDE, SIDES, cell_detector, colour_classifier, photo
from litert_files import run, runnable
from PIL import Image

from atoll.adapters.results import Box, Class, Mask, Object, Pose
from atoll.errors import DeviceError, DeviceLostError, UsageError
from atoll.pipeline import (
    Chain,
    Classify,
    Crop,
    Detect,
    Filter,
    Merge,
    Raw,
    Resize,
    Segment,
    Tile,
)
from atoll.pipeline import Pose as PoseStep
from atoll.pipeline.chain import looking
from atoll.runtime.interpreter import Interpreter

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("chain")
    (folder / "cells.tflite").write_bytes(cell_detector())
    (folder / "colours.tflite").write_bytes(colour_classifier())
    return folder


def detect(files, **how):
    return Detect(files / "cells.tflite", **({"labels": SIDES, "threshold": 0.3} | how))


def classify(files, **how):
    return Classify(files / "colours.tflite", **({"labels": COLOURS, "most": 1} | how))


def edges(box):
    return box.left, box.top, box.right, box.bottom


def cell_box(row, column, width, height):
    return (
        column * width / CELLS,
        row * height / CELLS,
        (column + 1) * width / CELLS,
        (row + 1) * height / CELLS,
    )


def test_things_within_things(files):
    """A car, its plate, what is on the plate: each belongs to the one that it was found in."""
    outer = photo({(0, 1): "white", (2, 3): "white"}, (640, 320))
    # Within the first, two coloured cells; within the second, one.
    outer.paste(photo({(1, 1): "yellow", (3, 2): "cyan"}, (160, 80)), (160, 0))
    outer.paste(photo({(0, 0): "magenta"}, (160, 80)), (480, 160))
    steps = {
        "cars": detect(files, threshold=0.02),
        "car photos": Crop(input="cars"),
        "plates": detect(files, input="car photos"),
        "plate photos": Crop(input="plates"),
        "text": classify(files, input="plate photos", device=["sim:0", "sim:1"], most=2),
    }
    with Chain(steps) as opened:
        result = opened.run(outer)
    assert (result.width, result.height) == (640, 320)
    assert list(result.found) == ["cars"]
    first, second = result.found["cars"]
    assert edges(first.box) == cell_box(0, 1, 640, 320)
    assert edges(second.box) == cell_box(2, 3, 640, 320)
    assert [plate.result.label for plate in first.found["plates"]] == ["left", "right"]
    yellow, cyan = first.found["plates"]
    assert edges(yellow.box) == (200, 20, 240, 40)
    assert edges(cyan.box) == (240, 60, 280, 80)
    (magenta,) = second.found["plates"]
    assert edges(magenta.box) == (480, 160, 520, 180)
    for plate, colours in ((yellow, {"red", "green"}), (cyan, {"green", "blue"})):
        assert {text.result.label for text in plate.found["text"]} == colours
        assert all(text.result.score == pytest.approx(1.0) for text in plate.found["text"])
    kinds = [type(finding.result) for finding in result.walk()]
    assert kinds.count(Object) == 5
    assert kinds.count(Class) == 6


def test_the_same_photos_give_the_same_in_any_order_and_from_any_thread(files):
    """Steps run side by side: what one frame found must not end up on another's."""
    rng = np.random.default_rng(0)
    names = ["white", "red", "lime", "blue", "yellow", "cyan", "magenta"]
    photos, expected = [], []
    for _ in range(40):
        cells = {
            (int(r), int(c)): names[int(rng.integers(len(names)))]
            for r, c in rng.integers(0, CELLS, (5, 2))
        }
        photos.append(photo(cells, (64, 64)))
        expected.append(
            [
                (cell_box(*cell, 64, 64), _colours(cells[cell]))
                for cell in sorted(cells)
            ]
        )  # fmt: skip
    steps = {
        "things": detect(files, device=["sim:0", "sim:1"]),
        "cut": Crop(input="things"),
        "colour": classify(files, input="cut", most=3, threshold=0.5),
        "again": classify(files, input="cut", most=3, threshold=0.5, device="cpu"),
    }

    def told(result, name):
        return [
            (edges(thing.box), {c.result.label for c in thing.found[name]})
            for thing in result.found["things"]
        ]

    with Chain(steps) as opened:
        for result, wanted in zip(opened.map(photos), expected, strict=True):
            assert told(result, "colour") == told(result, "again") == wanted
        wrong = []

        def work(start):
            for place in itertools.chain(range(start, 40), range(start)):
                result = opened.run(np.asarray(photos[place]))
                if told(result, "colour") != expected[place]:
                    wrong.append(place)

        threads = [threading.Thread(target=work, args=(n * 7,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong
        stats = {step.name: step for step in opened.stats()}
        assert stats["things"].count == 200
        assert sum(state.calls for state in stats["things"].devices) == 200
        assert stats["colour"].devices[0].device == "cpu"  # what auto has chosen


def _colours(name):
    values = Image.new("RGB", (1, 1), name).getpixel((0, 0))
    return {colour for colour, value in zip(COLOURS, values, strict=True) if value > 127}


def test_steps_that_do_not_wait_for_each_other_run_at_once(files):
    """Two sticks would take as long as one."""
    steps = {"one": classify(files), "two": classify(files), "three": classify(files)}
    together = threading.Barrier(3)

    def meet(_items):
        together.wait(10)
        return []

    with Chain(steps) as opened:
        opened._workers.update(dict.fromkeys(steps, meet))
        assert opened.run(photo({})).found == {"one": [], "two": [], "three": []}


def test_frames_are_under_way_together_and_come_in_order(files):
    """While one frame's plates are read, the next one's cars are sought."""
    steps = {"one": classify(files), "cut": Crop(input="one"), "two": classify(files, input="cut")}
    with Chain(steps) as opened:
        first, second = threading.Event(), opened._workers["two"]

        begin, seen = opened._workers["one"], itertools.count()

        def one(items):
            if next(seen):
                first.set()
            return begin(items)

        def two(items):
            assert first.wait(10)  # a second photo has come while the first is here
            return second(items)

        opened._workers.update(one=one, two=two)
        colours = ["red", "lime", "blue", "red"]
        results = list(opened.map(Image.new("RGB", (40, 40), name) for name in colours))
    found = [result.found["one"][0].found["two"][0].result.label for result in results]
    assert found == ["red", "green", "blue", "red"]


def test_photos_are_taken_no_further_than_they_are_needed(files):
    """A camera has no end."""
    taken = itertools.count()

    def endless():
        while True:
            next(taken)
            yield photo({(0, 0): "red"})

    with Chain({"one": classify(files)}) as opened:
        assert len(list(itertools.islice(opened.map(endless()), 10))) == 10
    assert next(taken) <= 13


@pytest.mark.parametrize(
    ("how", "box"),
    [
        ("stretch", (100, 50, 200, 100)),  # of the photo's 4x4 cells
        ("letterbox", (100, 0, 200, 100)),  # of 4x4 cells of the photo and grey above and below
        ("crop", (150, 50, 200, 100)),  # of 4x4 cells of the photo's middle
    ],
)
def test_boxes_lie_on_the_photo_whatever_is_between(files, how, box):
    """After a resize, a box would be drawn at the wrong place, and the wrong part cropped."""
    image = Image.new("RGB", (400, 200))
    image.paste("white", box)
    steps = {
        "small": Resize(width=128, height=128, resize=how),
        "things": detect(files, input="small", threshold=0.8),
        "cut": Crop(input="things"),
        "colour": classify(files, input="cut", threshold=0.99, most=3),
    }
    with Chain(steps) as opened:
        (thing,) = opened.run(image).found["things"]
    assert edges(thing.box) == pytest.approx(box)
    assert len(thing.found["colour"]) == 3  # the part that was cropped is white all over


def test_tiles_find_what_is_too_small_for_the_whole(files):
    """A person far away is a few pixels in 300x300."""
    image = Image.new("RGB", (256, 256))
    image.paste("white", (96, 160, 104, 168))
    steps = {
        "whole": detect(files),
        "tiles": Tile(size=32, overlap=0.5),
        "parts": detect(files, input="tiles"),
        "things": Merge(input="parts", overlap=0.3),
    }
    with Chain(steps) as opened:
        result = opened.run(image)
        count = opened.stats()[1].given
    assert count == 15 * 15
    assert result.found["whole"] == []
    assert "parts" not in result.found
    boxes = [edges(thing.box) for thing in result.found["things"]]
    # The classes are those of halves of tiles: one of each may be left.
    assert set(boxes) == {(96.0, 160.0, 104.0, 168.0)}
    assert len(boxes) <= 2


@pytest.mark.parametrize(
    ("size", "side", "overlap"), [((100, 40), 32, 0.25), ((31, 500), 64, 0.0), ((64, 64), 64, 0.9)]
)
def test_tiles_cover_the_image(size, side, overlap):
    """What lies between two tiles would never be seen."""
    from atoll.pipeline.chain.items import View
    from atoll.pipeline.chain.shaping import tiled

    rng = np.random.default_rng(1)
    image = Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), np.uint8))
    seen = np.zeros((size[1], size[0]), int)
    for tile in tiled(Tile(size=side, overlap=overlap), [View(image, image)]):
        left, top, right, bottom = map(int, edges(tile.box))
        assert tile.image.tobytes() == image.crop((left, top, right, bottom)).tobytes()
        assert tile.image.size == (min(side, size[0]), min(side, size[1]))
        seen[top:bottom, left:right] += 1
    assert seen.min() >= 1


def test_filters_choose(files):
    """By class, by score, by size, and the surest."""
    image = photo({(0, 0): "white", (0, 3): (200,) * 3, (1, 0): (150,) * 3, (3, 3): (100,) * 3})
    chosen = {
        "left": {"classes": "left"},
        "both": {"classes": ["left", "right"]},
        "sure": {"score": 0.7},
        "large": {"smallest": 9},
        "small": {"smallest": 8},
        "best": {"most": 2},
        "best right": {"most": 1, "classes": ["right"]},
    }
    steps = {"things": detect(files)} | {
        name: Filter(input="things", **how) for name, how in chosen.items()
    }
    with Chain(steps) as opened:
        found = opened.run(image).found
    places = {name: [edges(f.box)[:2] for f in each] for name, each in found.items()}
    one, two, three, four = (0, 0), (24, 0), (0, 8), (24, 24)
    assert places == {
        "left": [one, three],
        "both": [one, two, three, four],
        "sure": [one, two],
        "large": [],
        "small": [one, two, three, four],
        "best": [one, two],
        "best right": [two],
    }


def test_a_class_opens_the_way_for_others(files):
    """A cheap model looks first; the costly one only at what it lets through."""
    steps = {
        "colour": classify(files, most=3),
        "red": Filter(input="colour", classes="red", score=0.5),
        "again": Crop(input="red"),
        "things": detect(files, input="again"),
    }
    with Chain(steps) as opened:
        red = opened.run(Image.new("RGB", (64, 64), "red"))
        blue = opened.run(Image.new("RGB", (64, 64), "blue"))
        assert opened.stats()[3].devices[0].calls == 1
    (colour,) = red.found["red"]
    assert len(colour.found["things"]) == CELLS * CELLS
    assert blue.found == {"red": []}


def test_margins_and_squares_stay_on_the_photo(files):
    """A crop beyond the edge would be black there, or an error."""
    image = photo({(0, 0): "white", (1, 2): "white"}, (200, 100))
    for how, wanted in (
        ({}, [(50, 25), (50, 25)]),
        ({"margin": 0.5}, [(100, 50), (100, 50)]),
        ({"square": True}, [(50, 50), (50, 50)]),
        ({"square": True, "margin": 5}, [(200, 100), (200, 100)]),
        ({"smallest": 26}, []),
    ):
        steps = {"things": detect(files), "cut": Crop(input="things", **how)}
        with Chain(steps | {"raw": Raw(files / "colours.tflite", input="cut")}) as opened:
            cut = opened._workers["cut"](opened._workers["things"]([_view(image)]))
        assert [view.image.size for view in cut] == wanted
        for view in cut:
            assert view.image.tobytes() == image.crop(tuple(map(int, edges(view.box)))).tobytes()


def _view(image):
    from atoll.pipeline.chain.items import View

    return View(image, image)


def test_what_is_shown(files):
    """A filter's findings take the place of those that it chose from, unless it is said."""
    image = photo({(0, 0): "red", (0, 3): "red"})

    def found(**shows):
        steps = {
            "things": detect(files, show=shows.get("things")),
            "right": Filter(input="things", classes="right", show=shows.get("right")),
            "cut": Crop(input="right"),
            "colour": classify(files, input="cut"),
        }
        with Chain(steps) as opened:
            return opened.run(image).found

    assert [len(each) for each in found().values()] == [1]
    both = found(things=True)
    assert [len(each) for each in both.values()] == [2, 1]
    assert both["things"][1] is both["right"][0]
    assert not both["things"][0].found
    # What is hidden gives its place to what was found in it.
    assert list(found(right=False)) == ["colour"]


def test_raw_outputs_are_litert_s(files):
    """Whoever decodes a model's outputs himself needs them all, in real numbers."""
    image = photo({(0, 0): "red"})
    with Chain({"raw": Raw(files / "cells.tflite", device="sim")}) as opened:
        (finding,) = opened.run(image).found["raw"]
    litert = runnable(cell_detector())
    expected = run(litert, [np.asarray(image)[None]])
    assert len(finding.result) == 4
    for ours, theirs in zip(finding.result.values(), expected, strict=True):
        assert np.array_equal(ours, theirs)
    assert edges(finding.box) == (0, 0, SIDE, SIDE)


class Lossy(Interpreter):
    """A device that is lost with every third call."""

    calls = itertools.count(1)

    def invoke(self, *arrays):
        if next(self.calls) % 3 == 0:
            raise DeviceLostError("sim", "it must stay", received="nothing", fix="Plug it in")
        return super().invoke(*arrays)


def test_a_device_that_is_lost_changes_no_result(files, monkeypatch):
    """The crop that it was working on is given to another."""
    image = photo({(r, c): "red" for r in range(4) for c in range(4)})
    steps = {
        "things": detect(files),
        "cut": Crop(input="things"),
        "colour": classify(files, input="cut", device=["sim:0", "sim:1"], fallback="cpu"),
    }
    with Chain(steps) as opened:
        expected = opened.run(image).to_json()
    monkeypatch.setattr(looking, "Interpreter", Lossy)
    with Chain(steps) as opened:
        assert opened.run(image).to_json() == expected
        assert sum(state.losses for state in opened.stats()[2].devices) > 0


def test_errors_name_the_step(files, monkeypatch):
    """Of six models, which one was it?"""

    class Broken(Interpreter):
        def invoke(self, *arrays):
            raise DeviceError("usb:0", "it broke", received="x", fix="Mend it")

    steps = {"a": detect(files), "cut": Crop(input="a"), "b": classify(files, input="cut")}
    monkeypatch.setattr(looking, "Interpreter", Broken)
    with Chain(steps, name="my chain") as opened:
        for look in (opened.run, lambda image: list(opened.map([image]))):
            with pytest.raises(DeviceError, match="my chain, step 'a': usb:0: it broke"):
                look(photo({}))


def test_closing_under_load_ends_everything(files):
    """From another thread, with photos under way and more coming."""
    steps = {"a": detect(files), "cut": Crop(input="a"), "b": classify(files, input="cut")}
    image = photo({(r, c): "red" for r in range(4) for c in range(4)})
    for wait_s in (0.0, 0.01, 0.03):
        opened = Chain(steps)
        ended = []

        def endless(opened=opened, ended=ended):
            try:
                for _ in opened.map(itertools.repeat(image)):
                    pass
            except UsageError as error:
                ended.append(str(error))

        def again(opened=opened, ended=ended):
            try:
                while True:
                    opened.run(image)
            except UsageError as error:
                ended.append(str(error))

        threads = [threading.Thread(target=work, daemon=True) for work in (endless, again)]
        for thread in threads:
            thread.start()
        threading.Event().wait(wait_s)
        opened.close()
        for thread in threads:
            thread.join(10)
        assert len(ended) == 2
        assert all("the chain must be open" in end for end in ended)
        opened.close()


def test_published_models_side_by_side(shared, tmp_path):
    """Masks, poses and classes of a real photo: what each adapter says by itself."""
    from atoll.adapters.classify import Classifier
    from atoll.adapters.pose import PoseEstimator
    from atoll.adapters.segment import Segmenter
    from atoll.adapters.table import Wanted
    from atoll.pipeline.chain.picture import draw

    models, photos = shared / "models", shared / "data/photos"
    image = Image.open(photos / "parrot.jpg").convert("RGB")
    labels = photos / "imagenet_labels.txt"
    paths = {
        "mask": models / "v13/deeplabv3_mnv2_dm05_pascal_quant.tflite",
        "what": models / "v13/tf2_mobilenet_v2_1.0_224_ptq.tflite",
        "who": models / "v13/movenet_single_pose_lightning_ptq.tflite",
    }
    steps = {
        "mask": Segment(paths["mask"], device="sim:0"),
        "what": Classify(paths["what"], labels=labels, device="cpu", most=1),
        "who": PoseStep(paths["who"], device="sim:1", threshold=0.0),
        "body": Crop(input="who"),
        "what of it": Classify(paths["what"], labels=labels, input="body", most=1),
    }
    with Chain(steps) as opened:
        result = opened.run(image)
        (again,) = opened.map([image])
    assert result.to_json() == again.to_json()
    assert result.found["what"][0].result.label == "macaw"
    (mask,) = result.found["mask"]
    with Segmenter(paths["mask"]) as alone:
        assert np.array_equal(mask.result.classes, alone.see(image).classes)
    (pose,) = result.found["who"]
    assert isinstance(mask.result, Mask)
    assert isinstance(pose.result, Pose)
    with PoseEstimator(paths["who"]) as alone:
        assert pose.result == alone.see(image, Wanted(threshold=0.0, most=20))[0]
    box = pose.result.box()
    left, top = int(np.floor(box.left)), int(np.floor(box.top))
    part = image.crop(
        (max(left, 0), max(top, 0), int(np.ceil(box.right)), int(np.ceil(box.bottom)))
    )
    with Classifier(paths["what"], labels=labels) as alone:
        assert pose.found["what of it"][0].result.label == alone.see(part)[0].label
    drawn = draw(image, result)
    assert drawn.size == image.size
    assert drawn.tobytes() != image.tobytes()


def test_drawn_things_are_where_they_are(files):
    """A box at the wrong place is worse than none."""
    from atoll.pipeline.chain.picture import draw
    from atoll.pipeline.chain.results import ChainResult, Finding

    image = Image.new("RGB", (640, 480))
    inner = Finding(Object("plate", 0.9, Box(200, 220, 260, 240), 1), Box(200, 220, 260, 240))
    within = Finding(Mask(np.ones((20, 10), np.uint8), ("", "sky")), Box(400, 300, 500, 400))
    outer = Finding(
        Object("car", 0.9, Box(100, 200, 300, 400), 0),
        Box(100, 200, 300, 400),
        {"plates": [inner], "masks": [within]},
    )
    drawn = np.asarray(draw(image, ChainResult(640, 480, {"cars": [outer]}))).any(axis=2)
    assert drawn[200:400, 100].all()
    assert drawn[220:240, 200].all()
    assert drawn[300:400, 400:500].all()
    assert not drawn[410:, :].any()
    assert not drawn[:, 520:].any()
