"""The errors a user can meet: one small hierarchy, one shape of message.

A message names the thing, states the rule it breaks, says what was received and
what to do about it, on one line. The command line prints it and exits with 2.
"""

from __future__ import annotations

from typing import Any


class AtollError(Exception):
    """Something a user can mend.

    Args:
        thing: What the message is about: a file, a folder, a flag, a device.
        rule: What must hold and does not, as a clause with no full stop.
        received: What was found instead.
        fix: What to do, as an order with no full stop.
    """

    def __init__(self, thing: object, rule: str, *, received: object, fix: str) -> None:
        self.thing = str(thing)
        self.rule = rule
        self.received = str(received)
        self.fix = fix
        message = f"{self.thing}: {rule}. Received: {self.received}. {fix}."
        super().__init__(" ".join(message.split()))

    def __reduce__(self) -> tuple[Any, ...]:
        """How it passes from a process to another, with all that it says."""
        return _made_again, (type(self), self.args, vars(self).copy())


def _made_again(
    kind: type[AtollError], args: tuple[object, ...], state: dict[str, object]
) -> AtollError:
    error = kind.__new__(kind, *args)
    vars(error).update(state)
    return error


class DatasetError(AtollError):
    """A data set that cannot be trained on or measured with."""


class ModelError(AtollError):
    """A model file that cannot be read, or is not what it must be here."""


class WeightsError(AtollError):
    """Weights that cannot be had, or do not fit the network."""


class TrainingError(AtollError):
    """A network that does not learn."""


class RunError(AtollError):
    """A RUN folder that holds something else than what is asked for."""


class OutputError(AtollError):
    """A place that cannot be written to."""


class DeviceError(AtollError):
    """A device that is not there, or failed."""


class DeviceLostError(DeviceError):
    """A device that was there and is no longer: unplugged, silent, or its driver ended.

    The call that raises it has no answer; another device may be asked the same.
    """


class CompilerError(AtollError):
    """A compiler that failed, or a graph that it cannot take."""


class UsageError(AtollError):
    """A flag or a setting with a value that means nothing."""


class ExtraError(AtollError):
    """An optional part of Atoll that is not installed."""

    def __init__(self, command: str, extra: str, missing: str) -> None:
        super().__init__(
            command,
            f"this needs the extra '{extra}'",
            received=f"no module named {missing!r}",
            fix=f"Run: pip install 'atoll[{extra}]'",
        )
