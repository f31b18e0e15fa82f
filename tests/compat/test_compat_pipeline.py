"""pycoral.pipeline: segments in a line, with the original's words and waits."""

import gc
import threading

import numpy as np
import pytest
from coral_models import classifier, two_segments, windows

from atoll.compat.pycoral.pipeline.pipelined_model_runner import PipelinedModelRunner
from atoll.compat.tflite_runtime.interpreter import Interpreter
from atoll.tflite.writer import write_model

PATIENCE_S = 20


def opened(*models, allocate=True):
    made = [Interpreter(model_content=write_model(model)) for model in models]
    for interpreter in made if allocate else []:
        interpreter.allocate_tensors()
    return made


@pytest.fixture(scope="module")
def models():
    return two_segments()


@pytest.fixture
def runner(models):
    return PipelinedModelRunner(opened(*models))


def images(count):
    rng = np.random.default_rng(5)
    return [rng.integers(0, 256, (1, 8, 8, 3)).astype(np.uint8) for _ in range(count)]


def answers(models, pictures):
    """What the segments say by hand."""
    first, second = opened(*models)
    for picture in pictures:
        first.set_tensor(first.get_input_details()[0]["index"], picture)
        first.invoke()
        middle = first.get_tensor(first.get_output_details()[0]["index"])
        for detail in second.get_input_details():
            second.set_tensor(detail["index"], picture if detail["name"] == "image" else middle)
        second.invoke()
        (gives,) = second.get_output_details()
        yield {gives["name"]: second.get_tensor(gives["index"])}


def test_results_are_those_of_the_segments_in_order(runner, models):
    """A frame's boxes on another frame are worse than none."""
    pictures = images(12)
    for picture in pictures:
        assert runner.push({"image": picture}) is None
        # It was copied: cameras fill the same memory again.
        picture += 1
    runner.push({})
    for wanted in answers(models, [picture - 1 for picture in pictures]):
        result = runner.pop()
        assert result.keys() == wanted.keys()
        assert all(np.array_equal(result[name], wanted[name]) for name in wanted)
    assert runner.pop() is None
    assert runner.pop() is None


def test_images_may_come_without_their_batch(runner, models):
    """The original's example pushes a photo as it is."""
    (picture,) = images(1)
    runner.push({"image": picture[0]})
    assert np.array_equal(
        *(next(iter(r.values())) for r in (runner.pop(), *answers(models, [picture])))
    )


def test_lists_of_version_1_are_taken_and_given(runner, models):
    """Programs of 2020 push lists, and look at what push returns."""
    (picture,) = images(1)
    assert runner.push([picture]) is True
    (result,) = runner.pop()
    assert np.array_equal(result, *next(answers(models, [picture])).values())
    assert runner.push([]) is True
    assert runner.push([picture]) is False
    assert runner.pop() is None


def test_after_the_end_nothing_is_taken(runner):
    """In the original's words."""
    runner.push({})
    for more in ({"image": images(1)[0]}, {}):
        with pytest.raises(RuntimeError, match=r"^Pipeline was turned off before\.$"):
            runner.push(more)


def test_wrong_inputs_are_told_at_once(runner, models):
    """Not when the result is asked for."""
    with pytest.raises(ValueError, match="Expected input of length 1, but got 2"):
        runner.push({"image": images(1)[0], "other": images(1)[0]})
    for wrong in (np.zeros((1, 8, 8, 3)), [[0] * 192]):
        with pytest.raises(ValueError, match="Input should be a list of numpy array of type"):
            runner.push({"image": wrong})
    with pytest.raises(KeyError):
        runner.push({"photo": images(1)[0]})
    runner.push({"image": images(1)[0]})
    assert runner.pop()


def test_segments_that_do_not_follow_each_other_are_refused(models):
    """Two files in the wrong order."""
    first, second = opened(*models)
    with pytest.raises(ValueError, match="Interpreter 1 can not get its input tensors"):
        PipelinedModelRunner([second, opened(classifier())[0]])
    with pytest.raises(ValueError, match="At least one interpreter expected"):
        PipelinedModelRunner([])
    runner = PipelinedModelRunner([first])
    assert runner.interpreters() == [first]


def test_queues_of_a_size_make_push_wait(runner):
    """A camera that is faster than the chip would fill the memory: one waits everywhere."""
    runner.set_input_queue_size(1)
    runner.set_output_queue_size(1)
    (picture,) = images(1)
    full = 2 * 2 + 1
    pushed = threading.Semaphore(0)

    def produce():
        for _ in range(full + 1):
            runner.push({"image": picture})
            pushed.release()
        runner.push({})

    producer = threading.Thread(target=produce, daemon=True)
    producer.start()
    assert all(pushed.acquire(timeout=PATIENCE_S) for _ in range(full))
    assert not pushed.acquire(timeout=0.2)
    taken = 0
    while runner.pop() is not None:
        taken += 1
    producer.join(PATIENCE_S)
    assert not producer.is_alive()
    assert taken == full + 1


def test_an_error_is_told_to_pop_and_then_to_push(models):
    """As in the original: the error of a segment stops all of them."""
    runner = PipelinedModelRunner(opened(*models, allocate=False))
    runner.push({"image": images(1)[0]})
    words = r"^Segment 0 runner error: Invoke called on model that is not ready\.?"
    with pytest.raises(RuntimeError, match=words):
        runner.pop()
    for more in ({"image": images(1)[0]}, {}):
        with pytest.raises(RuntimeError, match=words):
            runner.push(more)
    assert runner.pop() is None


def test_an_image_of_another_size_is_told_with_both(runner):
    """The original read behind its end."""
    runner.push({"image": np.zeros((1, 4, 4, 3), np.uint8)})
    with pytest.raises(RuntimeError, match=r"Segment 0 runner error: 48 bytes .* of 192 bytes"):
        runner.pop()


def test_outputs_of_floats_have_their_shape():
    """The original took them for bytes, and failed."""
    (interpreter,) = opened(windows([(1, 4), (1, 2, 3)]))
    runner = PipelinedModelRunner([interpreter])
    runner.push({"image": np.arange(192, dtype=np.float32).reshape(1, 8, 8, 3)})
    four, six = runner.pop().values()
    assert four.tolist() == [[0, 1, 2, 3]]
    assert six.tolist() == [[[4, 5, 6], [7, 8, 9]]]


def test_a_pipeline_that_is_forgotten_ends_and_says_what_was_left(models, capsys):
    """Its threads must not outlive it, nor the program hang."""
    before = set(threading.enumerate())
    runner = PipelinedModelRunner(opened(*models))
    segments = set(threading.enumerate()) - before
    assert len(segments) == 2
    for picture in images(3):
        runner.push({"image": picture})
    del runner
    gc.collect()
    words = "WARNING: 3 unconsumed results in the pipeline during destruction!"
    assert words in capsys.readouterr().out
    for thread in segments:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
