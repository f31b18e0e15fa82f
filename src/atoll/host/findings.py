"""What a check of the set-up comes to: a state, what was found, and the cure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from atoll.host.host import Host


class State(StrEnum):
    """How a finding is to be taken, the best first."""

    OK = "ok"
    SKIPPED = "not looked at"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    Attributes:
        state: How it is to be taken.
        evidence: What was found, and where.
        cure: What to do, a step each, as orders with no full stop.
        device: The device that it is about; empty where it is about the machine.
        brief: The cure in one order with no full stop, where the first step alone is not it.
    """

    state: State
    evidence: str
    cure: tuple[str, ...] = ()
    device: str = ""
    brief: str = ""

    @property
    def order(self) -> str:
        """The cure for a message of one line."""
        return self.brief or next(iter(self.cure), "Run atoll doctor for more")


# Looks at the facts, and tells what it found. Its docstring is the sentence that the user reads:
# what must or should be so. Nothing found means that there is nothing to look at on this machine.
Examine = Callable[["Host"], Iterable[Finding]]


@dataclass(frozen=True)
class Check:
    """One row of a table of checks.

    Attributes:
        name: What JSON and the documentation call it.
        examine: What does it.
    """

    name: str
    examine: Examine

    @property
    def sentence(self) -> str:
        """What must or should be so, for the user: a sentence, without its full stop."""
        return " ".join((self.examine.__doc__ or "").split()).removesuffix(".")


def ok(evidence: str, device: str = "") -> Finding:
    """It is as it should be."""
    return Finding(State.OK, evidence, (), device)


def skipped(evidence: str, device: str = "") -> Finding:
    """Nobody looked, and this is why."""
    return Finding(State.SKIPPED, evidence, (), device)


def warning(evidence: str, *cure: str, device: str = "", brief: str = "") -> Finding:
    """It works, and could be better, or may stop to work."""
    return Finding(State.WARNING, evidence, cure, device, brief)


def problem(evidence: str, *cure: str, device: str = "", brief: str = "") -> Finding:
    """It cannot work so."""
    return Finding(State.PROBLEM, evidence, cure, device, brief)
