"""A photo with its classes written on it: it must come out whatever the photo and the labels."""

import numpy as np
import pytest
from PIL import Image

from atoll.adapters.drawing import color_of, draw, label
from atoll.adapters.results import Box, Keypoint, Mask, Object, Pose
from atoll.adapters.skeleton import KEYPOINTS


def changed(before: Image.Image, after: Image.Image) -> np.ndarray:
    """Where two images of one size differ."""
    return (np.asarray(before) != np.asarray(after)).any(axis=2)


def test_the_text_is_in_the_upper_left_and_the_photo_is_left_alone():
    photo = Image.new("RGB", (640, 480), (200, 100, 50))
    before = photo.tobytes()
    drawn = label(photo, [("cat", 0.91), ("dog", 0.05)])
    assert drawn.size == photo.size
    assert drawn.mode == "RGB"
    assert photo.tobytes() == before
    rows, columns = np.nonzero(changed(photo, drawn))
    assert rows.size > 500
    assert rows.max() < 240
    assert columns.max() < 320


@pytest.mark.parametrize("color", ["white", "black"])
def test_the_text_can_be_read_on_any_photo(color):
    """White letters on a white wall are no answer."""
    drawn = np.asarray(label(Image.new("RGB", (640, 480), color), [("cat", 0.91)])).mean(axis=2)
    corner = drawn[:60, :120]
    assert corner.max() - corner.min() > 100


def test_more_classes_take_more_lines():
    photo = Image.new("RGB", (640, 480), "red")
    heights = [
        np.nonzero(changed(photo, label(photo, [("x", 0.5)] * count)))[0].max()
        for count in (1, 3, 5)
    ]
    assert heights[0] < heights[1] < heights[2]


def test_a_score_is_written_beside_its_name():
    photo = Image.new("RGB", (640, 480), "red")
    one, other = label(photo, [("cat", 0.11)]), label(photo, [("cat", 0.99)])
    assert changed(one, other).any()


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (28, 28), (33, 17), (320, 320)])
def test_a_small_photo_is_enlarged_whole(size):
    """MNIST's digits would be covered by the first letter."""
    photo = Image.new("RGB", size, (9, 8, 7))
    drawn = label(photo, [("seven", 1.0)])
    assert min(drawn.size) >= 320
    assert drawn.width * size[1] == drawn.height * size[0]
    assert drawn.getpixel((drawn.width - 1, drawn.height - 1)) == (9, 8, 7)


@pytest.mark.parametrize("size", [(1, 20_000), (20_000, 1), (3, 65_500)])
def test_a_strip_does_not_fill_the_memory(size):
    """One pixel high and 20,000 wide, enlarged 320 times, would be two gigabytes of nothing."""
    drawn = label(Image.new("RGB", size), [("line", 1.0)])
    assert drawn.width * drawn.height <= 32_000_000


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Ünï çødé",
        "漢字とかな",
        "🐈‍⬛",
        "\u202eright to left",
        "two\nlines",
        "tab\tand \x00 zero",
        "e\u0301" * 20,
        "x" * 500,
        "x" * 1_100_000,
        "\ud800",
    ],
)
def test_no_label_is_too_long_or_too_strange(name):
    """Labels come from files that other people wrote."""
    photo = Image.new("RGB", (400, 320), "green")
    drawn = label(photo, [(name, 0.5), ("next", 0.4)])
    assert drawn.size == (400, 320)
    assert changed(photo, drawn).any()


def test_nothing_to_write_is_no_error():
    assert label(Image.new("RGB", (400, 320)), []).size == (400, 320)


def test_scores_that_are_no_probabilities_are_written_too():
    """A model without a softmax gives logits; a broken one gives nothing of use."""
    scores = [("a", -12.5), ("b", float("nan")), ("c", float("inf")), ("d", 1e30)]
    assert label(Image.new("RGB", (400, 320)), scores).size == (400, 320)


GREY = Image.new("RGB", (400, 320), (90, 90, 90))


def test_a_box_is_drawn_on_its_edges_in_its_class_s_colour():
    thing = Object("dog", 0.9, Box(100, 100, 300, 250), 3)
    drawn = np.asarray(draw(GREY, [thing]))
    for x, y in ((101, 200), (299, 200), (200, 249)):
        assert tuple(drawn[y, x]) == color_of(3)
    assert (drawn[150:240, 110:290] == 90).all()
    assert (drawn[255:] == 90).all()


@pytest.mark.parametrize(
    "box",
    [
        Box(-50, -50, 20, 20),
        Box(390, 310, 900, 900),
        Box(0, 0, 400, 320),
        Box(10, 10, 10, 10),
        Box(-1e6, -1e6, 1e6, 1e6),
        Box(30, 40, 20, 10),
    ],
)
def test_a_box_anywhere_is_no_error(box):
    """Models put boxes beyond the photo, and turned inside out."""
    for name in ("", "x" * 500, "漢字", "\u202e"):
        assert draw(GREY, [Object(name, 0.5, box, 0)]).size == GREY.size


def test_the_surest_label_lies_on_top():
    """Two boxes in one place: the name that can be read must be the right one."""
    box = Box(100, 100, 300, 250)
    sure, unsure = Object("cat", 0.9, box, 0), Object("dog", 0.5, box, 1)
    alone = np.asarray(draw(GREY, [sure]))
    both = np.asarray(draw(GREY, [sure, unsure]))
    assert np.array_equal(alone[80:100, 102:140], both[80:100, 102:140])


def pose(score):
    points = tuple(
        Keypoint(name, 60 + 15 * i, 50 + 12 * i, score) for i, name in enumerate(KEYPOINTS)
    )
    return Pose(points, score)


def test_points_that_are_not_sure_are_not_drawn():
    """A knee under a table is somewhere, but nobody knows where."""
    assert changed(GREY, draw(GREY, [pose(0.9)], 0.5)).sum() > 500
    assert not changed(GREY, draw(GREY, [pose(0.1)], 0.5)).any()


def test_a_mask_colours_its_pixels_alone():
    classes = np.zeros((320, 400), np.uint8)
    classes[200:300, 250:350] = 2
    drawn = draw(GREY, Mask(classes, ("", "cat", "dog")))
    there = changed(GREY, drawn)
    assert there[200:300, 250:350].all()
    there[200:300, 250:350] = False
    ys, xs = np.nonzero(there)  # the legend
    assert ys.max() < 100
    assert xs.max() < 200


def test_nothing_seen_is_the_photo_as_it_was():
    assert not changed(GREY, draw(GREY, [])).any()
    assert not changed(GREY, draw(GREY, Mask(np.zeros((320, 400), np.uint8)))).any()
