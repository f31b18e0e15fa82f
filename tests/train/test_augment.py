"""Augmented views: what the network learns from, and what a run that goes on must see again."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atoll.errors import UsageError
from atoll.train.augment import AUGMENTATIONS, Augmentation, find_augmentation, view, view_of

PHOTO = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
KINDS = [name for name, value in AUGMENTATIONS.items() if value is not None]


@pytest.mark.parametrize("name", KINDS)
def test_a_view_depends_on_seed_round_and_photo_alone(name):
    """A run that was killed goes on with the views that it would have had."""
    augmentation = AUGMENTATIONS[name]
    one = view_of(PHOTO, augmentation, 7, 3, 11)
    view_of(PHOTO, augmentation, 7, 4, 12)
    assert np.array_equal(one, view_of(PHOTO, augmentation, 7, 3, 11))
    for other in [(8, 3, 11), (7, 4, 11), (7, 3, 12)]:
        assert not np.array_equal(one, view_of(PHOTO, augmentation, *other))


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_round_0_is_the_photo_itself(name):
    """Validation and the cached features of plain photos rest on it."""
    assert np.array_equal(view_of(PHOTO, AUGMENTATIONS[name], 0, 0, 5), PHOTO)


def test_no_augmentation_is_no_change():
    assert np.array_equal(view_of(PHOTO, None, 0, 9, 5), PHOTO)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1), st.sampled_from(KINDS))
def test_a_view_has_the_photo_s_shape_and_type(height, width, seed, name):
    """Whatever the proportions: a strip of one pixel too."""
    photo = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    kept = photo.copy()
    seen = view(photo, AUGMENTATIONS[name], np.random.default_rng(seed))
    assert seen.shape == photo.shape
    assert seen.dtype == np.uint8
    assert np.array_equal(photo, kept)


def test_a_view_that_may_not_stray_is_the_photo():
    still = Augmentation(smallest=1.0, stretch=1.0, flip=False, light=0.0)
    assert np.array_equal(view(PHOTO, still, np.random.default_rng(0)), PHOTO)


def test_only_photos_are_mirrored():
    """A mirrored digit is another sign."""
    ramp = np.broadcast_to(np.arange(0, 240, 8, np.uint8)[None, :, None], (20, 30, 3))

    def mirrored(name):
        views = [view_of(ramp, AUGMENTATIONS[name], 0, 1, i).astype(int) for i in range(60)]
        return np.mean([seen[:, 0].mean() > seen[:, -1].mean() for seen in views])

    assert mirrored("light") == 0
    assert 0.25 < mirrored("photo") < 0.75


def test_light_changes_both_ways_and_never_wraps_around():
    """An overflow would put black specks into a bright sky."""
    bright = np.full((8, 8, 3), 250, np.uint8)
    dark = np.full((8, 8, 3), 5, np.uint8)
    views = [view_of(bright, AUGMENTATIONS["photo"], 0, 1, i) for i in range(40)]
    assert min(seen.min() for seen in views) > 150
    assert max(seen.max() for seen in views) == 255
    views = [view_of(dark, AUGMENTATIONS["photo"], 0, 1, i) for i in range(40)]
    assert max(seen.max() for seen in views) < 80
    middle = np.full((8, 8, 3), 128, np.uint8)
    means = [view_of(middle, AUGMENTATIONS["photo"], 0, 1, i).mean() for i in range(40)]
    assert min(means) < 120
    assert max(means) > 136


def test_auto_leaves_writing_and_x_rays_as_they_are():
    grey = np.repeat(np.random.default_rng(0).integers(0, 256, (200, 8, 8, 1), np.uint8), 3, -1)
    assert find_augmentation("auto", grey) == "light"
    colored = grey.copy()
    colored[..., 0] //= 2
    assert find_augmentation("auto", colored) == "photo"


def test_a_name_that_is_given_is_taken():
    for name in AUGMENTATIONS:
        assert find_augmentation(name, PHOTO[None]) == name
    with pytest.raises(UsageError) as caught:
        find_augmentation("heavy", PHOTO[None])
    assert "heavy" in str(caught.value)
    assert "auto, none, light, photo" in str(caught.value)
