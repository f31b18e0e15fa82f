"""A lost device is tried again soon, and ever more seldom."""

from atoll.runtime.driver.backoff import Backoff


def test_the_schedule_doubles_up_to_half_a_minute(clock):
    """A stick that is gone for good must not cost an attempt at every frame of a camera."""
    backoff = Backoff(clock)
    assert backoff.left_s == 0
    assert [backoff.lost() for _ in range(9)] == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    clock.now += 29
    assert backoff.left_s == 1
    clock.now += 1
    assert backoff.left_s == 0


def test_a_call_that_was_answered_begins_anew(clock):
    """A stick that was pulled out once a day is back at once each time."""
    backoff = Backoff(clock)
    backoff.lost()
    backoff.lost()
    backoff.worked()
    assert backoff.left_s == 0
    assert backoff.lost() == 0.5
