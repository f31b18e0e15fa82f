"""The command line repeats names and defaults so as not to load the rooms: they must be theirs."""

import inspect
from typing import get_args

import pytest

from atoll.cli.check import check
from atoll.cli.compile import BackendName, compile_
from atoll.cli.legalize import legalize
from atoll.cli.names import Clock, LinkName
from atoll.cli.profile import profile
from atoll.compiler.request import DEFAULT_TIMEOUT_S, Backend
from atoll.edgetpu.chip import BEAGLE
from atoll.edgetpu.latency.links import LINKS
from atoll.edgetpu.rules import NEWEST_RUNTIME


def test_every_link_clock_and_backend_can_be_named():
    """A row that no flag names would be one that nobody can ask for."""
    assert set(LinkName) == set(LINKS)
    assert set(Clock) == set(BEAGLE.clocks)
    assert set(BackendName) == set(get_args(Backend))


@pytest.mark.parametrize("command", [check, compile_, legalize, profile])
def test_what_is_left_out_means_the_same_everywhere(command):
    """A default of the command line that is another than Python's gives another compile."""
    defaults = inspect.signature(command).parameters
    assert defaults["min_runtime_version"].default == NEWEST_RUNTIME
    if "timeout_sec" in defaults:
        assert defaults["timeout_sec"].default == DEFAULT_TIMEOUT_S
