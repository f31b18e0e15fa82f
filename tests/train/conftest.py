"""What the tests of training share."""

import gc
import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="module")
def _forget_networks() -> Iterator[None]:
    """Keras keeps the graphs of all networks; hundreds of them slow down those that follow."""
    yield
    if "keras" in sys.modules:
        sys.modules["keras"].backend.clear_session()
        gc.collect()
