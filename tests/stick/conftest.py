"""What the tests of the virtual stick share: the stand-in driver, and small compiled models."""

import sys

import pytest
from compiled_models import Wrapping, compiled_pair, image_model
from driver_build import driver

from atoll.errors import CompilerError


@pytest.fixture(scope="session")
def new_driver():
    """The stand-in driver, with today's TfLiteRegistration."""
    if sys.platform != "linux":
        pytest.skip("virtual sticks need Linux")
    try:
        return driver("new")
    except CompilerError as error:
        if "must compile it" in str(error):
            raise
        pytest.skip(str(error))


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
