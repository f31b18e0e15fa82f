"""What `--fail-on` takes: limits that scripts set, and the exit status where one is crossed."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path

import typer


class Limit(StrEnum):
    """A limit."""

    CPU_OPS = "cpu-ops"
    OFF_CHIP = "off-chip"


def check_limits(limits: Iterable[Limit], models: Iterable[tuple[Path, int, int]]) -> None:
    """Ends the command with 1 where a limit is crossed, with a line for each on standard error.

    Args:
        limits: The limits that were set.
        models: What each is called, its operators on the CPU, and its bytes off the chip.

    Raises:
        Exit: One is crossed.
    """
    chosen, crossed = set(limits), False
    for path, cpu_ops, off_chip in models:
        found = {
            Limit.CPU_OPS: (cpu_ops, f"operators on the CPU: {cpu_ops}"),
            Limit.OFF_CHIP: (off_chip, f"bytes of parameters off the chip: {off_chip}"),
        }
        for limit in Limit:
            amount, words = found[limit]
            if limit in chosen and amount:
                sys.stderr.write(f"atoll: {path}: {words} (--fail-on {limit.value}).\n")
                crossed = True
    if crossed:
        raise typer.Exit(1)
