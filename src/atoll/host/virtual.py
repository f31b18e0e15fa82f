"""Whether this process was started with virtual sticks plugged in (`atoll stick`)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

# What `atoll stick` sets for the programs that it starts: where the sticks listen, and how many.
SOCKET_VARIABLE = "ATOLL_STICK_SOCKET"
COUNT_VARIABLE = "ATOLL_STICK_COUNT"


def sticks_plugged_in() -> bool:
    """Whether virtual sticks are plugged in."""
    return bool(os.environ.get(SOCKET_VARIABLE))


def virtual_sticks(environ: Mapping[str, str] = os.environ) -> int:
    """How many virtual sticks are plugged in. They stand in the place of all real ones."""
    if not environ.get(SOCKET_VARIABLE):
        return 0
    count = environ.get(COUNT_VARIABLE, "1")
    return int(count) if count.isdecimal() else 1
