"""Numbers are rounded for people, and a rounded number must not say more than is true."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll.report import formats


@pytest.mark.parametrize(
    ("share", "says"),
    [
        (0, "0%"),
        (1, "100%"),
        (1.0, "100%"),
        (0.9608, "96.1%"),
        (0.9997, "99.97%"),
        (0.0001, "0.01%"),
        (1 / 3, "33.3%"),
        (None, "not defined"),
        (float("nan"), "not defined"),
    ],
)
def test_percent(share, says):
    assert formats.percent(share) == says


@given(st.integers(1, 50_000), st.data())
def test_a_model_with_a_single_mistake_is_never_said_to_be_perfect(photos, data):
    right = data.draw(st.integers(0, photos))
    said = formats.percent(right / photos)
    assert (said == "100%") == (right == photos)
    assert (said == "0%") == (right == 0)
    assert float(said[:-1]) == pytest.approx(100 * right / photos, abs=0.05001)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (0.0, "0.0 points"),
        (0.0065, "+0.7 points"),
        (-0.0065, "\N{MINUS SIGN}0.7 points"),
        (-0.0001, "\N{MINUS SIGN}0.01 points"),
        (None, "not defined"),
    ],
)
def test_a_change_has_its_sign_and_a_small_one_is_not_none(change, says):
    assert formats.points(change) == says


@pytest.mark.parametrize(
    ("write", "given_value", "says"),
    [
        (formats.size, 0, "0 B"),
        (formats.size, 999, "999 B"),
        (formats.size, 1000, "1.0 kB"),
        (formats.size, 999_499, "999 kB"),
        (formats.size, 999_500, "1.0 MB"),
        (formats.size, 2_688_416, "2.7 MB"),
        (formats.size, 17_400_000, "17 MB"),
        (formats.size, 3_210_000_000, "3.2 GB"),
        (formats.size, None, "unknown"),
        (formats.duration, 0.04, "0.0 s"),
        (formats.duration, 59.6, "1 min"),
        (formats.duration, 251.7, "4 min 12 s"),
        (formats.duration, 3599.9, "1 h"),
        (formats.duration, 3780, "1 h 3 min"),
        (formats.duration, None, "unknown"),
        (formats.milliseconds, 0.0384, "0.0384 ms"),
        (formats.milliseconds, 3.0712, "3.07 ms"),
        (formats.milliseconds, 1234.5, "1,234 ms"),
        (formats.chance, 1.0, "1.00"),
        (formats.chance, 0.0312, "0.031"),
        (formats.chance, 1e-9, "< 0.001"),
        (formats.number, 1200, "1,200"),
        (formats.number, 0.5, "0.5000"),
        (formats.number, None, "unknown"),
        (formats.value, True, "yes"),
        (formats.value, [127.5, 0.0078125], "127.5, 0.0078125"),
        (formats.value, None, "unknown"),
        (formats.pass_name, "tail", "last blocks"),
        (formats.pass_name, "another", "another"),
        (formats.sentence, "the Edge TPU", "The Edge TPU"),
    ],
)
def test_what_is_written(write, given_value, says):
    assert write(given_value) == says


@pytest.mark.parametrize(
    ("count", "noun", "says"),
    [
        (1, "photo", "1 photo"),
        (0, "photo", "0 photos"),
        (1200, "class", "1,200 classes"),
        (None, "photo", "an unknown number of photos"),
    ],
)
def test_things_are_counted_in_english(count, noun, says):
    assert formats.counted(count, noun) == says
