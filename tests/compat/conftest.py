"""Compiled models in software, for all tests of the old libraries."""

import pytest
from compiled_files import write_pair
from coral_models import classifier

from atoll.compat import hardware, origins


@pytest.fixture(autouse=True)
def in_software(monkeypatch):
    """Four simulated Edge TPUs, whatever is plugged in; and nothing known of other tests."""
    monkeypatch.setenv(hardware.DEVICE_VARIABLE, "sim")
    monkeypatch.delenv(hardware.COUNT_VARIABLE, raising=False)
    monkeypatch.delenv(origins.TWIN_VARIABLE, raising=False)
    monkeypatch.setenv(hardware.TOLD_VARIABLE, "1")
    monkeypatch.setattr(origins, "_seen", type(origins._seen)())


@pytest.fixture(scope="session")
def compiled(tmp_path_factory):
    """A compiled classifier, its twin beside it."""
    return str(write_pair(tmp_path_factory.mktemp("compiled"), classifier()))


@pytest.fixture(scope="session")
def plain(compiled):
    """The same, not compiled."""
    return compiled.replace("_edgetpu", "")
