"""What a person reads when something is wrong: one line that says what, why and what to do."""

import copy
import inspect
import pickle

import pytest

from atoll import errors
from atoll.errors import AtollError, DeviceError, DeviceLostError, ExtraError

KINDS = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, AtollError) and kind is not ExtraError
]


@pytest.mark.parametrize("kind", KINDS)
def test_a_message_names_the_thing_the_rule_what_came_and_the_way_out(kind):
    error = kind("photos", "there must be two classes", received=1, fix="Add a class")
    assert str(error) == "photos: there must be two classes. Received: 1. Add a class."
    assert (error.thing, error.rule) == ("photos", "there must be two classes")
    assert (error.received, error.fix) == ("1", "Add a class")


def test_a_message_is_one_line_whatever_it_quotes():
    """Scripts read errors line by line, and other people's messages span many."""
    error = AtollError("a\nb", "c\r\n\td", received="Traceback:\n  x\u2028y\x0bz\n", fix="Do\nit")
    assert len(str(error).splitlines()) == 1
    assert str(error) == "a b: c d. Received: Traceback: x y z . Do it."


def test_the_kinds_can_be_caught_together_and_apart():
    """The command line catches all of them; a program may wait for one."""
    assert len(KINDS) >= 10
    for kind in [*KINDS, ExtraError]:
        assert issubclass(kind, AtollError)
    # Whoever catches a device's failures catches its loss too.
    assert issubclass(DeviceLostError, DeviceError)
    for kind in set(KINDS) - {AtollError, DeviceLostError}:
        others = [other for other in KINDS if other not in (kind, AtollError)]
        assert not issubclass(kind, tuple(others))


@pytest.mark.parametrize("again", [lambda error: pickle.loads(pickle.dumps(error)), copy.copy])
def test_an_error_passes_from_a_process_to_another(again):
    """A pool of processes waits for ever for one that cannot be read again."""
    made = [kind("a", "b", received=3, fix="c") for kind in KINDS]
    for error in [*made, ExtraError("training", "train", "tensorflow")]:
        other = again(error)
        assert type(other) is type(error)
        assert (str(other), vars(other)) == (str(error), vars(error))


def test_a_missing_extra_says_how_to_install_it():
    """A light install meets `atoll build` with a command to copy, not with a module's name."""
    message = str(ExtraError("training", "train", "tensorflow"))
    assert "pip install 'atoll[train]'" in message
    assert "tensorflow" in message
    assert "\n" not in message
