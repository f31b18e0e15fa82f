"""How a driver is opened: the usual times, and what two models must agree on."""

import pytest

from atoll.errors import UsageError
from atoll.runtime.driver.options import DriverOptions


def test_times_have_usual_values_that_follow_each_other():
    """A first call sends firmware and parameters: it must not be taken for a silent stick."""
    assert (DriverOptions().call_s, DriverOptions().start_s) == (10, 60)
    assert (DriverOptions(timeout_s=2).call_s, DriverOptions(timeout_s=2).start_s) == (2, 60)
    assert DriverOptions(timeout_s=90).start_s == 90
    assert DriverOptions(timeout_s=90, start_timeout_s=5).start_s == 5


@pytest.mark.parametrize(
    "wrong", [{"timeout_s": 0}, {"start_timeout_s": float("inf")}, {"verbosity": 11}]
)
def test_values_that_mean_nothing_are_refused(wrong):
    with pytest.raises(UsageError):
        DriverOptions(**wrong)


def test_times_do_not_make_another_driver():
    """Two models on one stick may be given different times, but not different clocks."""
    assert DriverOptions(timeout_s=1).same_driver(DriverOptions(threads=2))
    assert not DriverOptions(extra={"Performance": "Low"}).same_driver(DriverOptions())
    assert not DriverOptions(library="a").same_driver(DriverOptions(library="b"))
