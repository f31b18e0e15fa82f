"""What a step's keys may hold: a small rule each, whose words are what the user reads."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atoll.errors import AtollError, UsageError
from atoll.runtime.device_names import NAMES, parse_device

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class BadKeyError(UsageError):
    """A key with a value that it cannot have.

    Args:
        where: The step, and the file that it is in.
        key: The key.
        rule: What must hold.
        received: What was found.
        fix: What to do.
    """

    def __init__(self, where: object, key: str, rule: str, *, received: object, fix: str) -> None:
        super().__init__(f"{where}, key {key!r}", rule, received=received, fix=fix)
        self.key = key

    def at(self, where: object) -> BadKeyError:
        """The same, of a step that is known better."""
        return BadKeyError(where, self.key, self.rule, received=self.received, fix=self.fix)


@dataclass(frozen=True)
class Rule:
    """What a value must be.

    Attributes:
        what: In words, behind "it must be".
        read: Gives the value to use; None where it breaks the rule.
        is_path: Whether a string stands for a file, which is looked for beside the configuration.
        fix: What to do otherwise.
    """

    what: str
    read: Callable[[Any], Any]
    is_path: bool = False
    fix: str = "Change it"


def key(rule: Rule, what: str, default: Any = dataclasses.MISSING, *, named: bool = True) -> Any:
    """A field of a step.

    Args:
        rule: What it may hold.
        what: What it does, for lists.
        default: What it is where it is left out; None stands for "not given".
        named: Whether Python wants its name; if not, its place tells.
    """
    metadata = {"rule": rule, "what": what}
    return dataclasses.field(default=default, kw_only=named, metadata=metadata)


def check_keys(step: Any, where: object) -> None:
    """Reads each key of a step by its rule, in its place.

    Raises:
        BadKeyError: One breaks it.
    """
    for field in dataclasses.fields(step):
        value = getattr(step, field.name)
        if value is None and field.default is None:
            continue
        rule: Rule = field.metadata["rule"]
        read = rule.read(value)
        if read is None:
            raise BadKeyError(
                where, field.name, f"it must be {rule.what}", received=_shown(value), fix=rule.fix
            )
        object.__setattr__(step, field.name, read)


def _shown(value: object) -> str:
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


TEXT = Rule("text", lambda value: value if isinstance(value, str) and value else None)
FLAG = Rule("true or false", lambda value: value if isinstance(value, bool) else None)


def number(low: float, high: float = math.inf) -> Rule:
    """A number within limits, both allowed."""
    what = f"a number from {low:g} to {high:g}" if math.isfinite(high) else f"{low:g} or more"

    def read(value: Any) -> float | None:
        fits = isinstance(value, int | float) and not isinstance(value, bool)
        return float(value) if fits and low <= value <= high and math.isfinite(value) else None

    return Rule(what, read)


def whole(low: int, high: int) -> Rule:
    """A whole number within limits, both allowed."""

    def read(value: Any) -> int | None:
        fits = isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
        return value if fits else None

    return Rule(f"a whole number from {low} to {high}", read)


def choice(names: Iterable[str]) -> Rule:
    """One of a few words."""
    words = tuple(names)
    return Rule(" or ".join(words), lambda value: value if value in words else None)


def _words(value: Any) -> tuple[str, ...] | None:
    many = (value,) if isinstance(value, str) else value
    if not isinstance(many, list | tuple) or not many:
        return None
    return tuple(many) if all(isinstance(one, str) and one for one in many) else None


WORDS = Rule("a name, or a list of names", _words)


def _file(value: Any) -> Path | None:
    path = Path(value) if isinstance(value, str | Path) and str(value) else None
    try:
        return path if path is not None and path.is_file() else None
    except (OSError, ValueError):  # a name that is too long, or has a zero in it
        return None


MODEL = Rule(
    "a .tflite file that is there",
    _file,
    is_path=True,
    fix="Name one that is; in a RUN folder, that is model_quant.tflite",
)
FILE = Rule("a file that is there", _file, is_path=True, fix="Name one that is")


def _labels(value: Any) -> Path | tuple[str, ...] | None:
    return _words(value) if isinstance(value, list | tuple) else _file(value)


LABELS = Rule(
    "a labels file that is there, or a list of names", _labels, is_path=True, fix="Name one that is"
)


def _devices(value: Any) -> tuple[str, ...] | None:
    names = _words(value)
    if names is None or len(set(names)) < len(names):
        return None
    return names if all(_is_device(name) for name in names) else None


def _is_device(name: str) -> bool:
    try:
        parse_device(name)
    except AtollError:
        return False
    return True


DEVICES = Rule(f"a device, or a list of different ones: {NAMES}", _devices, fix="Name one of these")
