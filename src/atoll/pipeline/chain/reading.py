"""A chain's steps from a TOML file. Whatever the file holds, it is a chain or one clear line."""

from __future__ import annotations

import dataclasses
import difflib
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atoll.errors import UsageError
from atoll.pipeline.chain.graph import graph
from atoll.pipeline.chain.keys import BadKeyError
from atoll.pipeline.chain.table import STEP_TYPES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from atoll.pipeline.chain.steps import Step
    from atoll.pipeline.chain.table import StepType

# The table of the steps, and those that belong to who runs a chain on a camera.
STEPS = "steps"
_OTHERS = ("watch",)
_MOST_BYTES = 1 << 20
_MOST_STEPS = 1000


def read_chain(path: str | Path) -> dict[str, Step]:
    """Reads a chain's steps.

    Args:
        path: A TOML file with a table a step, [steps.NAME]. Files that it names are looked for
            beside it. Its table [watch] is left to others.

    Returns:
        The steps by their names, in the file's order.

    Raises:
        UsageError: It is no such file: the message names the step and the key.
    """
    path = Path(path)
    document = _document(path)
    for name in document:
        if name not in (STEPS, *_OTHERS):
            raise UsageError(
                path,
                f"it has the tables {', '.join((STEPS, *_OTHERS))}",
                received=f"{name!r}",
                fix=_instead(name, (STEPS, *_OTHERS), f"Write [{STEPS}.{name}] for a step"),
            )
    tables = document.get(STEPS, {})
    if not isinstance(tables, dict) or len(tables) > _MOST_STEPS:
        raise UsageError(
            path,
            f"each step is a table, [{STEPS}.NAME]",
            received=f"{STEPS} with something else",
            fix=f"Write [{STEPS}.NAME] above its keys",
        )
    steps = {name: _step(path, name, table) for name, table in tables.items()}
    graph(steps, path)
    return steps


def _document(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        received = error.strerror or str(error)
        raise UsageError(
            path, "it must be a file that can be read", received=received, fix="Name a chain's file"
        ) from error
    if len(content) > _MOST_BYTES:
        raise UsageError(
            path,
            f"a chain's file has at most {_MOST_BYTES} bytes",
            received="more",
            fix="Name a chain's file",
        )
    try:
        return tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(
            path, "it must be a TOML file", received=error, fix="Mend it at this place"
        ) from error


def _step(path: Path, name: str, table: Any) -> Step:
    where = f"{path}, step {name!r}"
    if not isinstance(table, dict):
        raise UsageError(
            where,
            "a step is a table",
            received=type(table).__name__,
            fix=f"Write [{STEPS}.{name}] above its keys",
        )
    row = _type(where, table.get("type"))
    rules = {field.name: field.metadata["rule"] for field in dataclasses.fields(row.step)}
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key == "type":
            continue
        if key not in rules:
            raise BadKeyError(
                where,
                key,
                f"a {row.name} step has the keys type, {', '.join(rules)}",
                received=repr(key),
                fix=_instead(key, rules, "Remove it"),
            )
        is_path = rules[key].is_path and isinstance(value, str) and value
        values[key] = path.parent / value if is_path else value
    _check_needed(where, row, values)
    try:
        return row.step(**values)
    except BadKeyError as error:
        raise error.at(where) from None


def _type(where: str, name: object) -> StepType:
    row = STEP_TYPES.get(name) if isinstance(name, str) else None
    if row is None:
        raise BadKeyError(
            where,
            "type",
            f"the types of steps are {', '.join(STEP_TYPES)}",
            received="none" if name is None else repr(name),
            fix=_instead(str(name), STEP_TYPES, "Name one of these"),
        )
    return row


def _check_needed(where: str, row: StepType, values: Mapping[str, Any]) -> None:
    for field in dataclasses.fields(row.step):
        if field.default is dataclasses.MISSING and field.name not in values:
            raise BadKeyError(
                where,
                field.name,
                f"a {row.name} step needs it: {field.metadata['what']}",
                received="none",
                fix=f"Add {field.name} = ...",
            )


def _instead(name: str, known: Iterable[str], otherwise: str) -> str:
    close = difflib.get_close_matches(name, list(known), 1)
    return f"Write {close[0]}" if close else otherwise
