"""The search for the operator that breaks a compile."""

import math

import pytest

from atoll.compiler.bisect import longest_prefix


@pytest.mark.parametrize("count", [1, 2, 7, 72, 400])
def test_the_operator_is_found_in_few_runs(count):
    """Each run is a whole compile: a linear search would take hours."""
    for bad in range(count):
        runs = []

        def compiles(n, bad=bad, runs=runs):
            runs.append(n)
            return n <= bad

        found = longest_prefix(count, compiles)
        assert (found.good, found.bad, found.exact) == (bad, bad + 1, True)
        assert found.runs == len(runs) <= math.ceil(math.log2(count)) + 1
        assert all(0 < n < count for n in runs)


def test_a_step_leaves_out_so_many_operators_at_a_time():
    """It is edgetpu_compiler's -k: only the count less a multiple of it is tried."""
    tried = []
    found = longest_prefix(25, lambda n: tried.append(n) or n <= 12, step=5)
    assert set(tried) <= {5, 10, 15, 20}
    assert (found.good, found.bad) == (10, 15)


def test_the_runs_are_bounded_and_what_was_found_is_said():
    """A huge model must not be compiled for ever; a range is better than nothing."""
    found = longest_prefix(1000, lambda n: n <= 700, most_runs=3)
    assert found.runs == 3
    assert found.good <= 700 < found.bad
    assert not found.exact
