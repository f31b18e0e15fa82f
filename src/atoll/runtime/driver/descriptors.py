"""The numbers of the standard streams, which a program may have closed, as services do.

What is opened next takes their place: a connection, or the memory of tensors. Any library that
writes to "standard error" would then write into that.
"""

from __future__ import annotations

import os


def keep_standard_numbers() -> None:
    """Has nothing take the numbers of standard streams that are closed: they lead nowhere now."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # It gets the lowest number that is free.
            os.open(os.devnull, os.O_RDWR)
