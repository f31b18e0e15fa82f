"""What the tests of the virtual stick share: the stand-in driver, and small compiled models."""

import pytest
from compiled_files import Wrapping, compiled_pair, image_model
from stand_in_drivers import stick_driver


@pytest.fixture(scope="session")
def new_driver():
    """The stand-in driver, with today's TfLiteRegistration."""
    return stick_driver("new")


@pytest.fixture(scope="session")
def pair(tmp_path_factory):
    """A small compiled model of unsigned numbers, and its twin."""
    wrapping = Wrapping(chunks=2, overlap=16)
    return compiled_pair(tmp_path_factory.mktemp("models"), image_model(), wrapping)


@pytest.fixture(scope="session")
def signed_pair(tmp_path_factory):
    """A small compiled model of signed numbers, and its twin."""
    wrapping = Wrapping(seed=2, token=0x5678, scratch=64)
    return compiled_pair(tmp_path_factory.mktemp("signed"), image_model("int8", seed=1), wrapping)
