"""The knobs of training: nonsense is refused before the first photo is read."""

import pytest

from atoll.errors import UsageError
from atoll.train.settings import TrainSettings


@pytest.mark.parametrize(
    ("knob", "value"),
    [
        ("epochs", 0),
        ("epochs", -1),
        ("epochs", 10_001),
        ("tail_epochs", -1),
        ("batch_size", 0),
        ("batch_size", 4097),
        ("dropout", 1.0),
        ("dropout", -0.1),
        ("dropout", float("nan")),
        ("label_smoothing", 1.0),
        ("label_smoothing", -0.1),
        ("learning_rate", 0.0),
        ("learning_rate", 1.5),
        ("learning_rate", float("nan")),
        ("learning_rate", float("inf")),
        ("seed", -1),
        ("seed", 2**32),
    ],
)
def test_a_value_that_means_nothing_is_refused_with_its_flag(knob, value):
    with pytest.raises(UsageError) as caught:
        TrainSettings(**{knob: value})
    message = str(caught.value)
    assert message.startswith("--" + knob.replace("_", "-"))
    assert f"Received: {value}." in message
    assert "\n" not in message


def test_the_ends_of_the_ranges_are_taken():
    TrainSettings()
    TrainSettings(1, 0, 1.0, 1, 0.0, 0.0, "none", 0)
    TrainSettings(10_000, 10_000, 1e-9, 4096, 0.99, 0.99, "photo", 2**32 - 1)
    assert TrainSettings(epochs=None, label_smoothing=None).epochs is None
