"""`atoll doctor`: what is wrong with this set-up, and the cure."""

from __future__ import annotations

import sys
from collections import Counter
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from atoll.cli.console import print_json, wrapped
from atoll.cli.options import AsJson

if TYPE_CHECKING:
    from collections.abc import Iterable

    from atoll.host.doctor import Result
    from atoll.host.findings import Finding

# As wide as the longest state, and two more.
_INDENT = " " * 15


class Severity(StrEnum):
    """From which state on the command fails."""

    WARNING = "warning"
    PROBLEM = "problem"


def doctor(
    fail_on: Annotated[
        Severity | None,
        typer.Option(show_default=False, help="Exit with 1 if there is a problem, or a warning."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Look for what keeps an Edge TPU from working here, and tell the cure.

    Devices, permissions, links, power, kernel module, driver, Python packages. Nothing is changed
    and no device is opened; the driver is loaded in a process of its own, to ask its version.
    """
    from atoll.host.doctor import examine
    from atoll.host.host import Host

    results = examine(Host())
    states = Counter(finding.state.value for each in results for finding in each.findings)
    if as_json:
        print_json(_document(results, states))
    else:
        typer.echo("\n".join(_lines(results)))
        typer.echo(f"\n{_summary(states)}")
    _end(fail_on, states)


def _lines(results: Iterable[Result]) -> list[str]:
    lines: list[str] = []
    for result in results:
        for finding in result.findings:
            lines += _finding(result, finding)
    return lines


def _finding(result: Result, finding: Finding) -> list[str]:
    """One line where all is well; else with the rule, and the cure a step a line."""
    about = f"{result.check.name}: " + (f"{finding.device}: " if finding.device else "")
    first = f"{finding.state.value:<{len(_INDENT)}}"
    lines = wrapped(f"{about}{finding.evidence}.", first, _INDENT)
    if not finding.cure:
        return lines
    lines += wrapped(f"{result.check.sentence}.", _INDENT, _INDENT)
    # Commands are copied from here: they are not cut into lines.
    return [*lines, *(f"{_INDENT}{n}. {step}" for n, step in enumerate(finding.cure, 1))]


def _summary(states: Counter[str]) -> str:
    problems, warnings = states["problem"], states["warning"]
    if not problems and not warnings:
        return "Nothing is wrong, so far as it can be seen from here."
    counted = [
        f"{number} {word}{'' if number == 1 else 's'}"
        for number, word in ((problems, "problem"), (warnings, "warning"))
        if number
    ]
    return f"{' and '.join(counted)}."


def _document(results: Iterable[Result], states: Counter[str]) -> dict[str, Any]:
    return {
        "problems": states["problem"],
        "warnings": states["warning"],
        "checks": [
            {
                "name": result.check.name,
                "rule": f"{result.check.sentence}.",
                "state": result.state.value,
                "findings": [
                    {
                        "device": finding.device or None,
                        "state": finding.state.value,
                        "evidence": finding.evidence,
                        "cure": list(finding.cure),
                    }
                    for finding in result.findings
                ],
            }
            for result in results
        ],
    }


def _end(fail_on: Severity | None, states: Counter[str]) -> None:
    if fail_on is None:
        return
    counted = states["problem"] + (states["warning"] if fail_on is Severity.WARNING else 0)
    if counted:
        sys.stderr.write(f"atoll: {_summary(states)[:-1]} (--fail-on {fail_on.value}).\n")
        raise typer.Exit(1)
