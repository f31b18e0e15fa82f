"""Each kind of step: it finds, chooses and cuts what a few lines of numpy find, choose and cut."""

import numpy as np
import pytest
from chain_models import CELLS, SIDE, cell_detector, classify, detect, edges, photo
from litert_files import run, runnable
from PIL import Image

from atoll.adapters.results import Box, Mask, Object, Pose
from atoll.pipeline import Chain, Classify, Crop, Filter, Merge, Raw, Resize, Segment, Tile
from atoll.pipeline import Pose as PoseStep

pytestmark = pytest.mark.timeout(60)


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


def test_published_models_side_by_side(shared):
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
