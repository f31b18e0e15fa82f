"""PosenetDecoderOp in Python: what Coral's own decoder gives, and what it was made to find."""

import csv
from pathlib import Path

import numpy as np
import pytest
from flatbuffers import flexbuffers
from PIL import Image

from atoll import Interpreter
from atoll.errors import AtollError, ModelError
from atoll.runtime.posenet_decoder import PosenetDecoder, Settings, read_settings
from atoll.runtime.posenet_poses import EDGES, PARTS, decode_poses, instance_masks
from atoll.tflite.graph import Model, Operator, Quantization, Subgraph, Tensor
from atoll.tflite.writer import write_model

# From the nose outwards: the edges of the published decoder.
TREE = [(0, 1), (1, 3), (0, 2), (2, 4), (0, 5), (5, 7), (7, 9), (5, 11), (11, 13), (13, 15),
        (0, 6), (6, 8), (8, 10), (6, 12), (12, 14), (14, 16)]  # fmt: skip
OPTIONS = {"max_detections": 5, "score_threshold": 0.2, "stride": 16, "nms_radius": 10.0}

# Of google-coral/test_data, posenet/*_reference.csv: the parts surer than 0.5, as shares of width
# and height.
PUBLISHED = Path(__file__).with_name("published_poses.csv")


def scene(people, rows=23, columns=31):
    """The maps of people that are known, (n, 17, 2) y and x in cells: as a perfect network's."""
    heat = np.full((rows, columns, PARTS), -10.0, np.float32)
    short = np.zeros((rows, columns, 2 * PARTS), np.float32)
    mid = np.zeros((rows, columns, 4 * EDGES), np.float32)
    ys, xs = np.mgrid[:rows, :columns]
    for person in people:
        for part, (y, x) in enumerate(person):
            near = (abs(ys - y) <= 2) & (abs(xs - x) <= 2)
            distance = np.hypot(ys - y, xs - x)
            heat[..., part] = np.where(
                near, np.maximum(heat[..., part], 5 - distance), heat[..., part]
            )
            short[near, part], short[near, part + PARTS] = (y - ys)[near], (x - xs)[near]
        for edge, (one, two) in enumerate(TREE):
            for start, end, at in ((one, two, edge), (two, one, edge + 2 * EDGES)):
                near = (abs(ys - person[start][0]) <= 2) & (abs(xs - person[start][1]) <= 2)
                step = np.subtract(person[end], person[start])
                mid[near, at], mid[near, at + EDGES] = step
    return heat, short, mid


def person(y, x, size=1.0):
    """A person who stands, in cells."""
    shape = [(0, 0), (-0.5, 0.4), (-0.5, -0.4), (-0.3, 0.9), (-0.3, -0.9), (2, 1.5), (2, -1.5),
             (4, 2), (4, -2), (6, 2), (6, -2), (6.5, 1), (6.5, -1), (9, 1), (9, -1), (11.5, 1),
             (11.5, -1)]  # fmt: skip
    return np.array(shape) * size + (y, x)


def decode(maps, **settings):
    chosen = {"most": 5, "threshold": 0.2, "radius": 0.7, **settings}
    return decode_poses(*maps, **chosen)


def test_people_are_found_where_they_are():
    people = [person(3, 6), person(4, 20)]
    poses = decode(scene(people))
    assert len(poses.scores) == 2
    for points in poses.points:
        nearest = min(people, key=lambda p: abs(p - points).max())
        assert abs(nearest - points).max() < 0.05
    assert (poses.part_scores > 0.9).all()
    assert sorted(poses.scores, reverse=True) == list(poses.scores)


def test_a_hidden_part_is_reached_along_the_body():
    """An elbow that the heatmap misses is still between shoulder and wrist, and unsure."""
    heat, short, mid = scene([person(3, 12)])
    heat[..., 7] = -10
    poses = decode((heat, short, mid))
    assert poses.part_scores[0, 7] < 0.01
    assert np.allclose(poses.points[0, 7], person(3, 12)[7], atol=0.1)
    assert (np.delete(poses.part_scores[0], 7) > 0.9).all()


def test_nobody_is_nobody():
    poses = decode(scene([]))
    assert poses.points.shape == (0, PARTS, 2)
    assert poses.scores.shape == (0,)


def test_no_more_people_than_asked_for():
    people = [person(3, 4), person(3, 12), person(3, 24)]
    assert len(decode(scene(people), most=2).scores) == 2


def test_one_person_is_not_found_twice():
    """Each of 17 parts may begin a pose: all but the first begin the same one."""
    assert len(decode(scene([person(3, 12)]), radius=0.7).scores) == 1


def test_masks_give_each_cell_to_one_person():
    people = np.stack([person(3, 6), person(4, 24)])
    ys, xs = np.mgrid[:23, :31]
    owner = (xs > 15).astype(int)
    long = np.zeros((23, 31, 2 * PARTS), np.float32)
    long[..., :PARTS] = people[owner][..., 0] - ys[..., None]
    long[..., PARTS:] = people[owner][..., 1] - xs[..., None]
    masks = instance_masks(long, people)
    assert np.array_equal(masks[0], owner == 0)
    assert np.array_equal(masks[1], owner == 1)
    assert instance_masks(long, people[:0]).shape == (0, 23, 31)


def model_with_decoder(people, *, stored="UINT8", long=False, options=None, told=True):
    """A model whose image is ignored, and whose maps are those of these people."""
    heat, short, mid = scene(people)
    maps = [heat, short * 16, mid * 16, *([short * 0] if long else [])]
    tensors = [Tensor("image", "UINT8", (1, 353, 481, 3))]
    operators, used = [], []
    for number, values in enumerate(maps):
        quantization = None
        data = values[None].astype(np.float32)
        if stored != "FLOAT32":
            low, high = min(0.0, data.min()), max(data.max(), 1.0)
            scale, zero = (high - low) / 255, round(-low / ((high - low) / 255))
            shift = 128 if stored == "INT8" else 0
            quantization = Quantization(np.float32([scale]), np.int64([zero - shift]))
            data = (np.clip(np.round(data / scale) + zero, 0, 255) - shift).astype(stored.lower())
        at = len(tensors)
        shape = np.int32(data.shape)
        tensors += [
            Tensor(f"value{number}", stored, data.shape, None, quantization, data),
            Tensor(f"shape{number}", "INT32", (4,), data=shape),
            Tensor(f"map{number}", stored, data.shape, None, quantization),
        ]
        operators.append(Operator("RESHAPE", [at, at + 1], [at + 2]))
        used.append(at + 2)
    shapes = [(1, 5, 17, 2), (1, 5, 17), (1, 5), (1,), (1, 5, 23, 31)][: 5 if long else 4]
    outputs = []
    for number, shape in enumerate(shapes):
        outputs.append(len(tensors))
        tensors.append(Tensor(f"poses:{number}", "FLOAT32", shape if told else ()))
    payload = bytes(flexbuffers.Dumps(options or OPTIONS))
    operators.append(
        Operator("CUSTOM", used, outputs, custom_name="PosenetDecoderOp", custom_options=payload)
    )
    return Model([Subgraph("main", tensors, operators, [0], outputs)])


@pytest.mark.parametrize("stored", ["FLOAT32", "UINT8", "INT8"])
@pytest.mark.parametrize("told", [True, False], ids=["shapes told", "shapes not told"])
def test_a_model_with_the_operator_runs(stored, told):
    """LiteRT does not have it: Coral's PoseNet could not even be opened."""
    people = [person(3, 6), person(4, 20)]
    model = write_model(model_with_decoder(people, stored=stored, told=told))
    with Interpreter(model, "cpu") as interpreter:
        assert [o.shape for o in interpreter.outputs] == [(1, 5, 17, 2), (1, 5, 17), (1, 5), (1,)]
        image = np.zeros((1, 353, 481, 3), np.uint8)
        points, parts, scores, count = interpreter.invoke(image)
    assert count == 2
    assert (points[0, 2:] == 0).all()
    assert (parts[0, 2:] == 0).all()
    assert (scores[0, 2:] == 0).all()
    for found in points[0, :2]:
        nearest = min(people, key=lambda p: abs(p * 16 - found).max())
        assert abs(nearest * 16 - found).max() < (1 if stored == "FLOAT32" else 4)


def test_long_offsets_give_masks():
    model = write_model(model_with_decoder([person(3, 6)], long=True))
    with Interpreter(model, "cpu") as interpreter:
        *_, masks = interpreter.invoke(np.zeros((1, 353, 481, 3), np.uint8))
    assert masks.shape == (1, 5, 23, 31)
    assert (masks[0, 0] == 1).all()
    assert (masks[0, 1:] == 0).all()


def test_poses_are_those_that_coral_published(shared):
    """Of its own test image, to what its own test allows: four pixels, and a score of 0.1."""
    with PUBLISHED.open() as file:
        rows = list(csv.DictReader(file))
    for name in {row["model"] for row in rows}:
        with Interpreter(shared / f"models/{name}.tflite", "cpu") as interpreter:
            _, height, width, _ = interpreter.inputs[0].shape
            image = Image.open(shared / "data/photos/test_image.bmp").convert("RGB")
            pixels = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))[None]
            points, parts, scores, count = interpreter.invoke(pixels)
        assert count == 2
        assert (scores[0, :2] > 0.7).all()
        for row in (row for row in rows if row["model"] == name):
            pose, part = int(row["pose"]), int(row["part"])
            expected = np.array([float(row["y"]) * height, float(row["x"]) * width])
            assert abs(parts[0, pose, part] - float(row["score"])) < 0.1, row
            assert abs(points[0, pose, part] - expected).max() < 4, row


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"nonsense",
        bytes(flexbuffers.Dumps({})),
        bytes(flexbuffers.Dumps([1, 2])),
        *(bytes(flexbuffers.Dumps(OPTIONS | {"max_detections": v})) for v in (0, -1, 10**8)),
        *(bytes(flexbuffers.Dumps(OPTIONS | {"stride": v})) for v in (0, -16, 1 << 40)),
        *(bytes(flexbuffers.Dumps(OPTIONS | {"nms_radius": v})) for v in (-1.0, float("nan"))),
        bytes(flexbuffers.Dumps(OPTIONS | {"score_threshold": 1.5})),
    ],
)
def test_options_that_make_no_sense_are_one_line(payload):
    """They come from a file, and say how much memory is taken."""
    with pytest.raises(ModelError, match="PosenetDecoderOp: its options") as caught:
        read_settings(payload)
    assert "\n" not in str(caught.value)


def test_damaged_payloads_do_no_harm():
    """A FlexBuffer is offsets all over: whatever they are, the answer is ours."""
    good = bytes(flexbuffers.Dumps(OPTIONS))
    for place in range(len(good)):
        for value in (0, 1, 127, 255):
            try:
                read_settings(good[:place] + bytes([value]) + good[place + 1 :])
            except ModelError:
                continue


@pytest.mark.parametrize(
    "shapes",
    [
        [(1, 5, 5, 17)],
        [(1, 5, 5, 17), (1, 5, 5, 34), (1, 5, 5, 63)],
        [(1, 5, 5, 17), (1, 5, 6, 34), (1, 5, 5, 64)],
        [(5, 5, 17), (1, 5, 5, 34), (1, 5, 5, 64)],
        [(2, 5, 5, 17), (2, 5, 5, 34), (2, 5, 5, 64)],
        [(1, 0, 5, 17), (1, 0, 5, 34), (1, 0, 5, 64)],
    ],
)
def test_inputs_of_other_shapes_are_refused(shapes):
    kernel = PosenetDecoder(Settings(5, 0.2, 16, 10.0), [None] * len(shapes))
    with pytest.raises(ModelError, match="PosenetDecoderOp"):
        kernel.output_shapes(shapes)


def test_a_file_with_a_broken_operator_is_refused_when_it_is_opened():
    """Not in the middle of the first call, and not by ending the process."""
    broken = model_with_decoder([], options=OPTIONS | {"stride": 0})
    with pytest.raises(AtollError, match="options"):
        Interpreter(write_model(broken), "cpu")
    narrow = model_with_decoder([])
    narrow.main.operators[-1].inputs[1:2] = []
    with pytest.raises(AtollError):
        Interpreter(write_model(narrow), "cpu")


def test_maps_of_nonsense_do_no_harm():
    """What a damaged network computes may be anything but a number."""
    heat, short, mid = scene([person(3, 6)], 8, 9)
    short[:] = np.inf
    mid[:] = -np.inf
    assert np.isfinite(decode((heat, short, mid)).points).all()
    heat[:] = 5.0
    assert len(decode((heat, np.full_like(short, 1e30), mid)).scores) <= 5
