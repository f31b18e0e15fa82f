"""Segments that end: with an error, from any thread, at any moment, and never with a hang."""

import itertools
import time

import numpy as np
import pytest
from cut_models import Step, chain, in_thread, one, until
from litert_files import run, runnable

from atoll import Interpreter
from atoll.errors import DeviceError, UsageError
from atoll.pipeline import Segmented
from atoll.tflite.writer import write_model

pytestmark = pytest.mark.timeout(60)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_an_error_in_one_segment_ends_all_and_reaches_the_caller(place):
    """The others would wait for ever for what never comes."""
    steps = [Step(n, fail_at=10 + n if n == place else None) for n in range(3)]
    with Segmented(steps, queue_size=1) as pipeline:
        seen = []
        with pytest.raises(DeviceError, match=f"step {place}: it broke"):
            for result in pipeline.map(one(n) for n in itertools.count()):
                seen.append(int(result["t3"][0]))
        # What was before it is not lost.
        assert seen == list(range(3, 13))
        for stage in pipeline._stages:
            stage.thread.join(10)
            assert not stage.thread.is_alive()
        for call in (lambda: pipeline.push(one(0)), pipeline.pop):
            with pytest.raises(DeviceError, match="it broke"):
                call()


def test_an_error_reaches_those_who_wait():
    """A producer and a consumer in threads of their own, both blocked when it happens."""
    steps = [Step(0), Step(1, hold=True, fail_at=0)]
    with Segmented(steps, queue_size=1) as pipeline:
        errors = []

        def noting(work):
            try:
                while True:
                    work()
            except DeviceError as error:
                errors.append(str(error))

        threads = [
            in_thread(noting, lambda: pipeline.push(one(0))),
            in_thread(noting, pipeline.pop),
        ]
        until(steps[1].begun.is_set)
        time.sleep(0.02)
        steps[1].go.release()
        for thread in threads:
            thread.join(10)
        assert len(errors) == 2


def test_closing_lets_a_blocked_producer_and_consumer_go():
    """Stopped at any moment, from any thread."""
    steps = [Step(0, hold=True), Step(1)]
    pipeline = Segmented(steps, queue_size=1)
    ended = []

    def produce():
        try:
            while True:
                pipeline.push(one(0))
        except UsageError:
            ended.append("producer")

    def consume():
        while pipeline.pop() is not None:
            pass
        ended.append("consumer")

    threads = [in_thread(produce), in_thread(consume)]
    until(steps[0].begun.is_set)
    time.sleep(0.02)
    closer = in_thread(pipeline.close)
    for thread in threads:
        thread.join(10)
    assert sorted(ended) == ["consumer", "producer"]
    steps[0].go.release()
    closer.join(10)
    assert not closer.is_alive()
    pipeline.close()


def test_stopping_under_load_never_hangs(segments):
    """Again and again, at moments that differ by microseconds, full of work."""
    rng = np.random.default_rng(1)
    array = rng.integers(0, 256, (1, 8, 8, 3), np.uint8)
    (expected,) = run(runnable(write_model(chain())), [array])
    models = [Interpreter(path, "sim", 1) for path in segments]
    for _ in range(60):
        pipeline = Segmented(models, queue_size=1, results_size=2)
        wrong, ended = [], []

        def produce(pipeline=pipeline, ended=ended):
            try:
                while True:
                    pipeline.push(array)
            except UsageError:
                ended.append(True)

        def consume(pipeline=pipeline, wrong=wrong, ended=ended):
            for result in pipeline:
                if not np.array_equal(*result.values(), expected):
                    wrong.append(True)
            ended.append(True)

        threads = [in_thread(work) for work in (produce, produce, consume)]
        time.sleep(float(rng.uniform(0, 0.004)))
        pipeline.close(timeout_s=10)
        for thread in threads:
            thread.join(10)
        assert len(ended) == 3
        assert not wrong
    for model in models:
        model.close()


def test_a_device_that_never_comes_back_does_not_hang_close():
    step = Step(0, hold=True)
    pipeline = Segmented([step])
    pipeline.push(one(0))
    until(step.begun.is_set)
    with pytest.raises(DeviceError, match="must come back"):
        pipeline.close(timeout_s=0.05)
    step.go.release()
    pipeline.close()


def test_a_map_that_is_left_early_leaves_nothing_behind():
    """The next caller would get the results of the last one's inputs."""
    with Segmented([Step(0), Step(1)]) as pipeline:
        for result in pipeline.map(one(n) for n in itertools.count()):
            if int(result["t2"][0]) > 5:
                break
        assert [int(r["t2"][0]) for r in pipeline.map([one(100), one(200)])] == [102, 202]

        def failing():
            yield one(1)
            raise KeyError("the camera")

        with pytest.raises(KeyError):
            list(pipeline.map(failing()))
        assert [int(r["t2"][0]) for r in pipeline.map([one(7)])] == [9]
