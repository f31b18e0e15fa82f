"""The schema classes that LiteRT ships, loaded when first needed: they take a third of a second."""

from __future__ import annotations

from functools import cache
from typing import Any

FILE_IDENTIFIER = b"TFL3"

# Bytes at the head of a file that can be no offset: LiteRT takes 0 and 1 as "not used".
FIRST_OFFSET = 2


@cache
def schema() -> Any:
    """The module with the generated classes of the TFLite schema."""
    import ai_edge_litert.schema_py_generated as module

    return module


@cache
def operator_names() -> dict[int, str]:
    """Code to name of every builtin operator that this schema knows."""
    return {code: name for name, code in operator_codes().items()}


@cache
def operator_codes() -> dict[str, int]:
    """Name to code of every builtin operator that this schema knows."""
    return _members(schema().BuiltinOperator)


@cache
def option_unions() -> tuple[tuple[str, dict[str, int]], ...]:
    """For each of an operator's two unions of options: its field, and class name to code."""
    module = schema()
    return (
        ("builtinOptions", _option_classes(module.BuiltinOptions)),
        ("builtinOptions2", _option_classes(module.BuiltinOptions2)),
    )


def _option_classes(enum: type) -> dict[str, int]:
    return {f"{name}T": code for name, code in _members(enum).items() if code}


def _members(enum: type) -> dict[str, int]:
    return {name: code for name, code in vars(enum).items() if isinstance(code, int)}
