"""YOLO in its many forms: each is made from boxes that are known, and must give them back."""

import numpy as np
import pytest
from vision_models import colour_detector, constant_model

from atoll.adapters import Detector, Wanted
from atoll.adapters.found import sigmoid, softmax
from atoll.errors import ModelError
from atoll.tflite.writer import write_model

SIDE = 64
GRID = [(stride, x, y) for stride in (8, 16, 32) for y in range(SIDE // stride)
        for x in range(SIDE // stride)]  # fmt: skip
CELLS = len(GRID)
BLACK = np.zeros((SIDE, SIDE, 3), np.uint8)
LABELS = ["cat", "dog", "bird"]
# Three objects: the cell that finds each, its class and score, its box in pixels.
OBJECTS = [
    (9, 1, 0.9, (4.0, 6.0, 20.0, 14.0)),
    (67, 0, 0.8, (40.0, 2.0, 62.0, 30.0)),
    (82, 2, 0.7, (10.0, 20.0, 50.0, 60.0)),
]


def seen(model, kind=None, labels=LABELS, **kwargs):
    with Detector(write_model(model), device="cpu", labels=labels, kind=kind) as detector:
        found = detector.see(BLACK, Wanted(threshold=0.3))
        return detector.kind, found


def check(found, atol=0.02):
    """The three objects, and nothing else, the best first."""
    assert [o.label for o in found] == [LABELS[index] for _, index, _, _ in OBJECTS]
    for thing, (_, _, score, box) in zip(found, OBJECTS, strict=True):
        assert thing.score == pytest.approx(score, abs=0.01)
        assert np.allclose([*vars(thing.box).values()], box, atol=atol)


def centered(box):
    left, top, right, bottom = box
    return np.array([(left + right) / 2, (top + bottom) / 2, right - left, bottom - top])


def logit(p):
    return np.log(p / (1 - p))


def table(scale=SIDE, objectness=False, anchors=1):
    """(cells * anchors, 4 or 5 + classes): what a YOLO gives that computes its boxes."""
    extra = int(objectness)
    values = np.zeros((CELLS * anchors, 4 + extra + 3), np.float32)
    for stride_at, (stride, x, y) in enumerate(GRID):
        for anchor in range(anchors):
            middle = (np.array([x, y]) + 0.5) * stride
            values[stride_at * anchors + anchor, :4] = [*middle, stride, stride]
    for cell, index, score, box in OBJECTS:
        row = values[cell * anchors]
        row[:4] = centered(box)
        row[4 + extra + index] = score
        if objectness:
            row[4] = 1.0
    values[:, :4] *= scale / SIDE
    return values


@pytest.mark.parametrize("scale", [1.0, SIDE], ids=["unit", "pixels"])
@pytest.mark.parametrize("turned", [True, False])
def test_version_8_turned_or_not_in_pixels_or_not(scale, turned):
    """Exporters differ in all of this."""
    values = table(scale)
    kind, found = seen(constant_model({"o": (values.T if turned else values)[None]}, (SIDE, SIDE)))
    assert kind == "yolov8"
    check(found)


@pytest.mark.parametrize("scale", [1.0, SIDE], ids=["unit", "pixels"])
def test_version_5_with_an_objectness(scale):
    values = table(scale, objectness=True, anchors=3)
    kind, found = seen(constant_model({"o": values[None]}, (SIDE, SIDE)))
    assert kind == "yolov5"
    check(found)


def test_bytes_are_real_numbers():
    """The form of a model for the Edge TPU."""
    values = np.clip(np.round(table(1.0) * 255 - 128), -128, 127).astype(np.int8)
    model = constant_model(
        {"o": (np.ascontiguousarray(values.T)[None], 1 / 255, -128)}, (SIDE, SIDE)
    )
    kind, found = seen(model)
    assert kind == "yolov8"
    check(found, atol=0.3)


def test_version_6_is_told_by_its_labels():
    """One box a cell, and an objectness: without labels, it looks like one more class."""
    values = table(objectness=True)
    model = constant_model({"o": values[None]}, (SIDE, SIDE))
    kind, found = seen(model)
    assert kind == "yolov5"
    check(found)
    assert seen(model, labels=None)[0] == "yolov8"
    check(seen(model, kind="yolov5")[1])


def test_boxes_and_scores_apart():
    values = table(1.0)
    model = constant_model({"s": values[None, :, 4:], "b": values[None, :, :4]}, (SIDE, SIDE))
    kind, found = seen(model)
    assert kind == "yolo-split"
    check(found)


def test_what_is_suppressed_already_is_taken_as_it_is():
    """Version 10, and models exported with suppression inside."""
    rows = [[*box, score, index] for _, index, score, box in OBJECTS]
    values = np.float32([rows[2], rows[0], rows[1], *[[0] * 6] * 5])[None]
    kind, found = seen(constant_model({"o": values}, (SIDE, SIDE)))
    assert kind == "yolo-final"
    check(found)


def test_yolox_counts_in_cells():
    values = table(objectness=True)
    for row, (stride, x, y) in zip(values, GRID, strict=True):
        row[:2] = row[:2] / stride - (x, y)
        row[2:4] = np.log(row[2:4] / stride)
    kind, found = seen(constant_model({"o": values[None]}, (SIDE, SIDE)), kind="yolox")
    assert kind == "yolox"
    check(found)


def distributions(box, cell):
    """The logits of four distances whose means are those of a box: of the two bins beside each."""
    stride, x, y = GRID[cell]
    middle = (np.array([x, y]) + 0.5) * stride
    edges = np.array([*(middle - box[:2]), *(np.array(box[2:]) - middle)]) / stride
    spread = np.full((4, 16), -30.0, np.float32)
    for side, distance in enumerate(edges):
        low = min(int(distance), 14)
        share = np.clip(distance - low, 1e-6, 1 - 1e-6)
        spread[side, low], spread[side, low + 1] = np.log(1 - share), np.log(share)
    return spread.reshape(-1)


def heads():
    """(cells, 64) distances and (cells, 3) scores, as logits."""
    spread = np.zeros((CELLS, 64), np.float32)
    scores = np.full((CELLS, 3), -8.0, np.float32)
    for cell, index, score, box in OBJECTS:
        spread[cell] = distributions(box, cell)
        scores[cell, index] = logit(score)
    return spread, scores


def as_maps(values):
    """The rows of all cells as maps [1, h, w, n], one a stride."""
    maps, start = {}, 0
    for stride in (8, 16, 32):
        side = SIDE // stride
        maps[stride] = values[start : start + side * side].reshape(1, side, side, -1)
        start += side * side
    return maps


def test_heads_of_version_8_together_apart_and_flat():
    """Models cut before the last steps, which an Edge TPU does badly."""
    spread, scores = heads()
    joined = as_maps(np.concatenate([spread, scores], axis=1))
    # Outputs come in any order.
    together = constant_model({f"o{s}": joined[s] for s in (16, 32, 8)}, (SIDE, SIDE))
    boxes, rated = as_maps(spread), as_maps(scores)
    apart = constant_model(
        {**{f"s{s}": rated[s] for s in (8, 16, 32)}, **{f"b{s}": boxes[s] for s in (32, 8, 16)}},
        (SIDE, SIDE),
    )
    flat = constant_model({"s": scores[None], "b": spread[None]}, (SIDE, SIDE))
    one = constant_model({"o": np.concatenate([spread, scores], axis=1)[None]}, (SIDE, SIDE))
    for model, expected in (
        (together, "yolov8-heads"),
        (apart, "yolov8-heads"),
        (flat, "yolov8-flat"),
        (one, "yolov8-flat"),
    ):
        kind, found = seen(model)
        assert kind == expected
        check(found)


def anchored_heads(decoded_wh):
    """Maps of three anchors a cell; the objects are found by the second anchor of theirs."""
    sizes = {8: (16, 30), 16: (62, 45), 32: (156, 198)}
    values = np.full((CELLS, 3, 8), -8.0, np.float32)
    for cell, index, score, box in OBJECTS:
        stride, x, y = GRID[cell]
        cx, cy, w, h = centered(box)
        values[cell, 1, :2] = decoded_wh[0](np.array([cx, cy]) / stride - (x, y))
        values[cell, 1, 2:4] = decoded_wh[1](np.array([w, h]) / sizes[stride])
        values[cell, 1, 4] = 20.0
        values[cell, 1, 5 + index] = logit(score)
    return values


V5 = (lambda o: logit((o + 0.5) / 2), lambda r: logit(np.sqrt(r) / 2))
V3 = (logit, np.log)


@pytest.mark.parametrize("form", ["flat", "anchors first", "anchors last"])
def test_heads_of_version_5(form):
    maps = as_maps(anchored_heads(V5).reshape(CELLS, -1))
    if form != "flat":
        maps = {s: m.reshape(*m.shape[:3], 3, 8) for s, m in maps.items()}
    if form == "anchors first":
        maps = {s: m.transpose(0, 3, 1, 2, 4) for s, m in maps.items()}
    # Five dimensions are no image, and LiteRT runs them all the same.
    model = constant_model(
        {f"o{s}": np.ascontiguousarray(m) for s, m in maps.items()}, (SIDE, SIDE)
    )
    kind, found = seen(model)
    assert kind == "yolov5-heads"
    check(found)


def test_heads_of_version_3_must_be_named():
    """They look the same from outside, and mean other boxes."""
    objects = [o for o in OBJECTS if o[0] != 9]  # its middle lies in another cell
    values = anchored_heads(V5)
    values[9] = -8.0
    for cell, _, _, box in objects:
        stride, x, y = GRID[cell]
        cx, cy, w, h = centered(box)
        offset = np.array([cx, cy]) / stride - (x, y)
        if (offset <= 0).any() or (offset >= 1).any():
            values[cell] = -8.0
            continue
        size = {8: (16, 30), 16: (62, 45), 32: (156, 198)}[stride]
        values[cell, 1, :2] = V3[0](offset)
        values[cell, 1, 2:4] = V3[1](np.array([w, h]) / size)
    maps = as_maps(values.reshape(CELLS, -1))
    model = constant_model({f"o{s}": m for s, m in maps.items()}, (SIDE, SIDE))
    kind, found = seen(model, kind="yolov3-heads")
    assert kind == "yolov3-heads"
    expected = {o[1]: o[3] for o in objects}
    assert found
    for thing in found:
        assert np.allclose([*vars(thing.box).values()], expected[thing.index], atol=0.02)


def test_anchors_of_ones_own_change_the_boxes_of_heads():
    """Training tools fit anchors to the data set."""
    maps = as_maps(anchored_heads(V5).reshape(CELLS, -1))
    content = write_model(constant_model({f"o{s}": m for s, m in maps.items()}, (SIDE, SIDE)))
    usual = np.array([[10, 13], [16, 30], [33, 23], [30, 61], [62, 45], [59, 119], [116, 90],
                      [156, 198], [373, 326]])  # fmt: skip
    sizes = []
    for anchors in (usual, usual * 0.5):
        with Detector(content, device="cpu", labels=LABELS, anchors=anchors) as detector:
            sizes.append([o.box.width for o in detector.see(BLACK, Wanted(threshold=0.3))])
    assert np.allclose(np.array(sizes[0]) / 2, sizes[1], atol=0.02)


def test_maps_that_may_be_two_things_are_not_guessed():
    """66 numbers a cell are 2 classes of version 8, or 17 of version 5."""
    spread, scores = heads()
    maps = as_maps(np.concatenate([spread, scores[:, :2]], axis=1))
    model = constant_model({f"o{s}": m for s, m in maps.items()}, (SIDE, SIDE))
    with pytest.raises(ModelError, match="Try --kind yolov5-heads or yolov8-heads") as caught:
        seen(model, labels=None)
    assert "3 outputs" in str(caught.value)
    assert seen(model, labels=["a", "b"])[0] == "yolov8-heads"
    assert seen(model, kind="yolov8-heads", labels=None)[0] == "yolov8-heads"


def test_a_real_network_finds_what_is_painted():
    """From pixels to a box on a photo of another shape, over the grey border."""
    photo = np.zeros((100, 200, 3), np.uint8)
    photo[50:75, 100:125] = 255, 0, 0
    photo[0:50, 0:50] = 0, 0, 255
    with Detector(colour_detector(), labels=["red", "green", "blue"], device="cpu") as detector:
        assert detector.resize == "letterbox"
        found = detector.see(photo, Wanted(threshold=0.6))
    (red,) = [o for o in found if o.label == "red"]
    assert np.allclose([*vars(red.box).values()], [100, 50, 125, 75], atol=0.1)
    # Four cells of the finest map, and one of the next.
    blue = [o.box for o in found if o.label == "blue"]
    assert len(blue) == 5
    assert all(
        b.left >= -0.1 and b.top >= -0.1 and b.right < 50.1 and b.bottom < 50.1 for b in blue
    )


def test_the_helpers_do_not_overflow():
    assert sigmoid(np.float32([-1e4, 0, 1e4])).tolist() == [0, 0.5, 1]
    assert np.allclose(softmax(np.float32([[1e4, 1e4, -1e4]])), [[0.5, 0.5, 0]])
