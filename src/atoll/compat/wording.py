"""LiteRT's refusals in the words of `tflite_runtime`, which programs and tests look for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_IDENTIFIER = slice(4, 8)
_EXPECTED = b"TFL3"


def as_it_was(error: ValueError, arguments: Mapping[str, Any]) -> ValueError:
    """The same refusal, as it was worded.

    Args:
        error: LiteRT's.
        arguments: Those of the interpreter: model_path and model_content.
    """
    text = str(error)
    path = arguments["model_path"]
    unopened = f"Could not open '{path}'."
    if path and text.startswith(unopened):
        return ValueError(unopened)
    if "not a valid Flatbuffer" in text:
        identifier = _identifier(path, arguments["model_content"])
        if identifier not in (b"", _EXPECTED):
            told = identifier.decode("latin-1")
            return ValueError(f"Model provided has model identifier '{told}', should be 'TFL3'\n")
    return error


def _identifier(path: Any, content: bytes | None) -> bytes:
    if content is None:
        try:
            content = Path(path).read_bytes()
        except OSError:
            return b""
    return content[_IDENTIFIER]
