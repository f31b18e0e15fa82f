"""The photos a model is calibrated on: with the wrong ones it is quantised for another world."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedShuffleSplit

from atoll.data.preprocessing import Preprocessing
from atoll.quantize.calibration import choose, samples


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 6), min_size=1, max_size=80),
    st.integers(1, 100),
    st.integers(0, 2**32 - 1),
)
def test_every_class_gives_as_many_photos_as_the_others_while_it_has_them(labels, count, seed):
    """A rare class whose range was never seen is clipped, and lost."""
    labels = np.array(labels)
    chosen = choose(labels, count, seed)
    assert len(chosen) == min(count, len(labels))
    assert np.array_equal(chosen, np.unique(chosen))
    assert 0 <= chosen.min() <= chosen.max() < len(labels)
    taken = np.bincount(labels[chosen], minlength=7)
    there = np.bincount(labels, minlength=7)
    for one in range(7):
        for other in range(7):
            # One that has photos left gives no fewer than any other, but for the last round.
            if taken[one] < there[one]:
                assert taken[one] >= taken[other] - 1
    assert np.array_equal(chosen, choose(labels, count, seed))


def test_all_photos_are_taken_where_there_are_few():
    assert choose(np.array([0, 1, 1, 0, 2]), 200, 0).tolist() == [0, 1, 2, 3, 4]


def test_the_draw_depends_on_the_seed():
    """Two seeds show how much the choice of photos matters."""
    labels = np.repeat(np.arange(4), 50)
    draws = [choose(labels, 20, seed).tolist() for seed in range(5)]
    assert len({tuple(draw) for draw in draws}) == 5


def test_no_photo_is_preferred():
    """The first files of each folder are often one series of the same thing."""
    labels = np.repeat(np.arange(3), 20)
    times = np.zeros(60)
    for seed in range(600):
        times[choose(labels, 15, seed)] += 1
    # Each photo is drawn with a chance of a quarter: 150 times, with a deviation of 10.6.
    assert np.abs(times - 150).max() < 55


def test_an_even_data_set_is_sampled_as_scikit_learn_does():
    labels = np.repeat(np.arange(5), 30)
    split = StratifiedShuffleSplit(n_splits=1, train_size=40, random_state=0)
    theirs, _ = next(split.split(labels, labels))
    ours = choose(labels, 40, 0)
    assert np.array_equal(np.bincount(labels[ours]), np.bincount(labels[theirs]))


SIGNED = Preprocessing(4, 3, (128.0,) * 3, (128.0,) * 3)
CAFFE = Preprocessing(4, 3, (103.939, 116.779, 123.68), (1.0,) * 3, "bgr")


@pytest.mark.parametrize("prepare", [SIGNED, CAFFE])
def test_the_converter_sees_a_pixel_s_whole_range(prepare):
    """Photos without black or white would shift the input's scale, and every pixel with it."""
    photos = np.full((3, 3, 4, 3), 100, np.uint8)
    shown = list(samples(photos, prepare))
    assert [(one.shape, one.dtype) for one in shown] == [((1, 3, 4, 3), np.float32)] * 3
    mean, std = np.array(prepare.mean), np.array(prepare.std)
    np.testing.assert_allclose(shown[0][0, 0, 0], -mean / std, rtol=1e-6)
    np.testing.assert_allclose(shown[0][0, -1, -1], (255 - mean) / std, rtol=1e-6)
    plain = prepare.normalize(photos[:1])
    inside = np.ones((3, 4), bool)
    inside[0, 0] = inside[-1, -1] = False
    assert np.array_equal(shown[0][0, inside], plain[0, inside])
    for other in shown[1:]:
        assert np.array_equal(other, plain)


def test_the_caller_s_photos_are_left_alone():
    """They are trained on and measured afterwards; often they are a read-only map of a file."""
    photos = np.full((2, 3, 4, 3), 100, np.uint8)
    photos.setflags(write=False)
    list(samples(photos, SIGNED))
    assert (photos == 100).all()


def test_photos_are_shown_one_at_a_time():
    """Ten thousand photos as float at once would not fit into memory."""
    photos = np.zeros((1000, 3, 4, 3), np.uint8)
    stream = samples(photos, SIGNED)
    assert next(stream).nbytes == 3 * 4 * 3 * 4
    assert sum(1 for _ in stream) == 999
