"""A model in segments: the uncut model's bytes, in order, from files that belong together."""

import time

import numpy as np
import pytest
from cut_models import Step, chain, cut, in_thread, one, until, written_model
from litert_files import random_inputs, run, runnable

from atoll.errors import ModelError, UsageError
from atoll.pipeline import Segmented
from atoll.runtime.tensor_info import TensorInfo
from atoll.tflite.build import GraphBuilder
from atoll.tflite.reader import read_model
from atoll.tflite.writer import write_model

pytestmark = pytest.mark.timeout(60)


def skips():
    """A tensor that the last segment takes from the first, and an output that is made early."""
    b = GraphBuilder("int8", seed=4)
    x = first = b.conv2d(b.input((1, 8, 8, 3)), 8, 3)
    for _ in range(4):
        x = b.add(x, b.conv2d(x, 8, 3))
    return b.model([b.logistic(first), b.add(first, x)])


def two_inputs():
    """An input that only the end needs."""
    b = GraphBuilder("int8", seed=6)
    one, two = b.input((1, 8, 8, 4), name="one"), b.input((1, 8, 8, 8), name="two")
    x = one
    for _ in range(3):
        x = b.conv2d(x, 8, 3, activation="RELU6")
    return b.model(b.conv2d(b.add(x, two), 4, 1))


MODELS = {f.__name__: f for f in (chain, skips, two_inputs)}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("count", [1, 2, 3])
def test_segments_give_the_uncut_model_s_bytes(name, count, tmp_path):
    """A tensor that went to the wrong place would give other numbers, and no error."""
    path = written_model(MODELS[name](), tmp_path)
    files = cut(path, count, tmp_path / "out")
    assert len(files) == count
    litert = runnable(path)
    names = [detail["name"] for detail in litert.get_output_details()]
    asked = [random_inputs(litert, seed) for seed in range(12)]
    with Segmented(files, ["sim"] * count) as pipeline:
        assert {info.name for info in pipeline.inputs} == {
            detail["name"] for detail in litert.get_input_details()
        }
        order = [info.name for info in pipeline.inputs]
        given = [d["name"] for d in litert.get_input_details()]
        items = [tuple(arrays[given.index(name)] for name in order) for arrays in asked]
        for arrays, result in zip(asked, pipeline.map(items), strict=True):
            for name, wanted in zip(names, run(litert, arrays), strict=True):
                assert np.array_equal(result[name], wanted)
        assert [stats.count for stats in pipeline.stats()] == [12] * count


def test_a_published_model_in_segments(shared, tmp_path):
    """MobileNet in four segments, found by the name of the first."""
    path = shared / "models/v10/mobilenet_v1_0.25_128_quant.tflite"
    first, *_ = cut(path, 4, tmp_path)
    litert = runnable(path)
    asked = [random_inputs(litert, seed)[0] for seed in range(6)]
    with Segmented(first, ["sim:0", "sim:1", "sim:2", "sim:3"]) as pipeline:
        for array, result in zip(asked, pipeline.map(asked), strict=True):
            (scores,) = result.values()
            assert np.array_equal(scores, run(litert, [array])[0])
        assert [stats.device for stats in pipeline.stats()] == [f"sim:{n}" for n in range(4)]


class Published:
    """A published segment whose tensors are known, though nothing here computes them."""

    def __init__(self, path):
        graph = read_model(path).main
        self.name = path
        self.inputs, self.outputs = (
            [
                TensorInfo(t.name, t.shape, np.dtype(t.type.lower()), 0.0, 0)
                for t in (graph.tensors[i] for i in side)
            ]
            for side in (graph.inputs, graph.outputs)
        )

    def invoke(self, *arrays):
        return [np.full(info.shape, arrays[0].flat[0], info.dtype) for info in self.outputs]

    def close(self):
        pass


def test_google_s_segments_belong_together(shared):
    """Two tensors, with names of hundreds of letters, go from one file to the other."""
    folder = shared / "models/v13"
    files = [
        folder / f"ssd_mobilenet_v1_coco_quant_postprocess_segment_{n}_of_2_edgetpu.tflite"
        for n in range(2)
    ]
    pieces = [Published(path) for path in files]
    with Segmented(pieces) as pipeline:
        assert [info.name for info in pipeline.inputs] == ["normalized_input_image_tensor"]
        assert len(pipeline.outputs) == 4
        pipeline.push(np.full((1, 300, 300, 3), 7, np.uint8))
        assert {float(array.flat[0]) for array in pipeline.pop().values()} == {7.0}
    with pytest.raises(ModelError, match="gives later"):
        Segmented(pieces[::-1])


def test_push_and_pop_from_two_threads(segments):
    """A camera's thread pushes, another one shows the results, in order, up to the end."""
    rng = np.random.default_rng(0)
    asked = [rng.integers(0, 256, (1, 8, 8, 3), np.uint8) for _ in range(100)]
    litert = runnable(write_model(chain()))
    with Segmented(segments, queue_size=1, results_size=1) as pipeline:

        def produce():
            for array in asked:
                pipeline.push({"input": array})
            pipeline.end()

        producer = in_thread(produce)
        results = list(pipeline)
        producer.join(10)
        assert pipeline.pop() is None
        with pytest.raises(UsageError, match="must be open for inputs"):
            pipeline.push(asked[0])
    assert len(results) == len(asked)
    for array, result in zip(asked, results, strict=True):
        assert np.array_equal(*result.values(), run(litert, [array])[0])


def test_queues_are_bounded():
    """Frames would fill the memory in front of the slowest segment."""
    steps = [Step(0), Step(1, hold=True)]
    pipeline = Segmented(steps, queue_size=2)
    pushed = []
    producer = in_thread(lambda: [pushed.append(pipeline.push(one(n))) for n in range(20)])
    # Two in each queue, one in each segment.
    until(lambda: len(pushed) == 6)
    time.sleep(0.05)
    assert len(pushed) == 6
    assert [stats.waiting for stats in pipeline.stats()] == [2, 2]
    steps[1].go.release(20)
    producer.join(10)
    assert [int(pipeline.pop()["t2"][0]) for _ in range(20)] == list(range(2, 22))
    first, second = pipeline.stats()
    assert first.blocked_ms > second.blocked_ms
    assert first.count == second.count == 20
    pipeline.close()
    assert not any(step.closed for step in steps)  # the caller's own


def test_inputs_that_do_not_fit_are_said_at_once(segments):
    """In the caller's thread, where it can be mended, and the pipeline goes on."""
    right = np.zeros((1, 8, 8, 3), np.uint8)
    with Segmented(segments, threads=1) as pipeline:
        for wrong in (
            (right[0],),
            (right.astype(np.float32),),
            (right, right),
            (),
            ({"other": right},),
        ):
            with pytest.raises(UsageError, match="takes"):
                pipeline.push(*wrong)
        pipeline.push(right)
        assert pipeline.pop() is not None


def test_segments_that_do_not_belong_together_are_refused(segments, tmp_path):
    """In another order, one missing, of two models: wrong numbers, or a KeyError in a thread."""
    for files, reason in (
        (segments[::-1], "must be named, in order"),
        (segments[:2], "must be named, in order"),
        ([path.read_bytes() for path in segments[::-1]], "gives later"),
    ):
        with pytest.raises(ModelError, match=reason):
            Segmented(files)
    other = Step(0)
    other.outputs = [TensorInfo("t1", (2,), np.dtype("int64"), 0.0, 0)]
    with pytest.raises(ModelError, match="must be what step 0 gives"):
        Segmented([other, Step(1)])
    twice = Step(0)
    twice.outputs *= 2
    with pytest.raises(ModelError, match="two named 't1'"):
        Segmented([twice])
    alone = tmp_path / segments[0].name
    alone.write_bytes(segments[0].read_bytes())
    with pytest.raises(ModelError, match=r"no .*segment_1_of_3"):
        Segmented(alone)
    with pytest.raises(ModelError, match="is named X_segment_0"):
        Segmented(tmp_path / "model.tflite")


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ({"segments": []}, "at least one"),
        ({"devices": ["sim"]}, "each segment has one device"),
        ({"devices": "sim"}, "each segment has one device"),
        ({"queue_size": 0}, "1 or more"),
        ({"results_size": 0}, "1 or more"),
    ],
)
def test_settings_that_mean_nothing_are_refused(how, reason):
    with pytest.raises(UsageError, match=reason):
        Segmented(**({"segments": [Step(0), Step(1)]} | how))
