"""Whether this process was started with virtual sticks plugged in (`atoll stick`)."""

from __future__ import annotations

import os

# What `atoll stick` sets for the programs that it starts: where the sticks listen.
SOCKET_VARIABLE = "ATOLL_STICK_SOCKET"


def sticks_plugged_in() -> bool:
    """Whether virtual sticks are plugged in."""
    return bool(os.environ.get(SOCKET_VARIABLE))
