"""Faults are asked for in words, and a word that means nothing is told so."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll.errors import UsageError
from atoll.stick.faults import FAULTS, FRAMES, MOMENTS, Answer, parse_fault
from atoll.stick.wire import Status, UsbError

READ = {
    "unplug": ("unplug", 0, "input", 1, 0),
    "unplug@idle": ("unplug", 0, "idle", 1, 0),
    "stall@program:3": ("stall", 0, "program", 3, 0),
    "stall@input:every#7": ("stall", 0, "input", 0, 7),
    "slow=0.25@input:2#1": ("slow", 0.25, "input", 2, 1),
    "io-error@12": ("io-error", 0, "", 12, 0),
    "io-error@0": ("io-error", 0, "", 0, 0),
    "short=100": ("short", 100, "output", 1, 0),
    "surplus": ("surplus", 16, "output", 1, 0),
    "busy": ("busy", 0, "claim", 0, 0),
    "access@open:2": ("access", 0, "open", 2, 0),
}


@pytest.mark.parametrize("text", READ)
def test_faults_are_read_as_they_are_written(text):
    """The command line's own language."""
    found = parse_fault(text)
    read = (found.fault.name, found.value, found.moment, found.count, found.stick)
    assert read == READ[text]


REFUSED = {
    "": "NAME",
    "melt": "it must be one of unplug",
    "stall=3": "stall has no value",
    "slow=1.2.3": "must be a number",
    "stall@lunch": "stall happens at caching",
    "stall@open": "stall happens at caching",
    "short@input": "short happens at output",
    "busy@3": "busy happens at claim",
    "stall@input3": "a moment's count follows a colon",
    "stall@input:": "a moment's count follows a colon",
    "stall@input:0": "begins with 1",
    "stall@every": "happens at",
    "stall#9x": "NAME",
    "Stall": "NAME",
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_means_nothing_is_refused(text):
    """A fault that never happens would pass every test."""
    with pytest.raises(UsageError, match=re.escape(REFUSED[text])) as caught:
        parse_fault(text)
    assert len(str(caught.value).splitlines()) == 1


@given(st.text(alphabet="abcdeilnoprstu-=@:#0123456789.", max_size=24))
def test_any_text_is_a_fault_or_refused(text):
    """Never anything else."""
    try:
        found = parse_fault(text)
    except UsageError:
        return
    assert found.fault.name in FAULTS
    assert found.moment in ("", *found.fault.only)


@given(st.sampled_from(sorted(FAULTS)), st.binary(max_size=50), st.floats(0, 100))
def test_no_fault_makes_up_a_right_answer(name, content, value):
    """A fault's answer differs from the sound one, or says why it is as good."""
    sound = Answer(data=[(1, content), (2, bytes(16))])
    changed = FAULTS[name].change(Answer(data=list(sound.data)), value)
    harmless = name == "slow" or (name in ("surplus", "garbage") and int(value) == 0)
    # A short answer is a whole one where it has no more bytes than that.
    harmless = harmless or (name == "short" and int(value) >= len(content))
    assert harmless or changed != sound
    assert changed.status in Status
    assert changed.error in UsbError


def test_the_table_says_what_each_row_does():
    """Its sentences are the help."""
    for row in FAULTS.values():
        assert row.sentence.endswith(".")
        assert row.at in row.only
        assert set(row.only) <= set(MOMENTS)
        assert bool(row.value) == bool(row.unit)
    assert set(FRAMES) < set(MOMENTS)


def test_the_documentation_lists_every_fault():
    """A fault that nobody knows of tests nothing."""
    page = (Path(__file__).parents[2] / "docs/stick.md").read_text()
    for row in FAULTS.values():
        assert f"| `{row.name}" in page
