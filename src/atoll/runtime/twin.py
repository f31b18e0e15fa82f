"""The twin of a compiled file: what its compiled parts compute, in operators that LiteRT runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from atoll.edgetpu.twin_check import ParameterMatch, match_parameters
from atoll.edgetpu.twins import find_twin, twin_names
from atoll.errors import ModelError
from atoll.runtime.parts import CompiledPart, compiled_parts
from atoll.runtime.soundness import check_sound
from atoll.tflite.edit import between, compact
from atoll.tflite.graph import Model
from atoll.tflite.reader import parse_model, read_content
from atoll.tflite.writer import write_model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from atoll.tflite.graph import Subgraph, Tensor


@dataclass(frozen=True)
class TwinPart:
    """What one compiled part computes.

    Attributes:
        part: The compiled part.
        graph: The operators that it was made of. Its outputs are the part's, in the same order.
        content: A .tflite file of these.
        takes: Which of the part's inputs its own inputs are, in order: an operator's own state is
            an input of a compiled part, and stays within the twin.
        match: How its parameters were found to be those of the compiled part.
    """

    part: CompiledPart
    graph: Subgraph
    content: bytes
    takes: tuple[int, ...]
    match: ParameterMatch


@dataclass(frozen=True)
class Twin:
    """The model that a file was compiled from.

    Attributes:
        model: The model.
        name: Its file.
        parts: What each compiled part computes, in order.
    """

    model: Model
    name: object
    parts: tuple[TwinPart, ...]


def open_twin(model: Model, source: object, twin: str | Path | bytes | None = None) -> Twin:
    """Finds a compiled file's twin and proves that it is that.

    Args:
        model: The compiled model.
        source: Its path, or what to call it in a message.
        twin: The twin's path or content; None takes the one beside the compiled file.

    Returns:
        The twin.

    Raises:
        ModelError: There is none, or it is not what the file was compiled from: its tensors or
            its parameters are others.
    """
    if twin is None:
        twin = _beside(source)
    name: object = "the twin" if isinstance(twin, bytes) else twin
    original = parse_model(twin if isinstance(twin, bytes) else read_content(twin), name)
    check_sound(original, name)
    if compiled_parts(original, name):
        raise _no_twin(source, f"{name}, which is compiled itself")
    parts = compiled_parts(model, source)
    return Twin(original, name, tuple(_twin_part(model, p, original, name) for p in parts))


def _beside(source: object) -> Path:
    path = Path(source) if isinstance(source, (str, Path)) else None
    found = find_twin(path) if path is not None else None
    if found is None:
        looked = _looked_for(path) if path is not None else ""
        either = "Put it there, or name it" if looked else "Name it"
        raise ModelError(
            source,
            "a compiled file runs in software only with the model that it was compiled from, "
            "its twin",
            received=f"no {looked}" if looked else "no twin",
            fix=f"{either} with --twin (twin= in Python), or use an Edge TPU",
        )
    return found


def _looked_for(path: Path) -> str:
    places = twin_names(path)
    names = " or ".join(dict.fromkeys(each.name for each in places))
    if not names:
        return ""
    above = any(each.parent != path.parent for each in places)
    return f"{names} beside it" + (" or one folder up" if above else "")


def _twin_part(model: Model, part: CompiledPart, original: Model, name: object) -> TwinPart:
    graph = original.main
    given = [_counterpart(model, original, tensor, "inputs", name) for tensor in part.inputs]
    wanted = [_counterpart(model, original, tensor, "outputs", name) for tensor in part.outputs]
    takes = [i for i, t in enumerate(given) if not graph.tensors[t].is_variable]
    piece = between(graph, [given[i] for i in takes], wanted)
    _check_whole(piece, name)
    match = match_parameters(piece, part.package)
    if match.fault is not None:
        raise _no_twin(name, match.fault)
    small, _ = compact(piece)
    content = write_model(Model([small], description="What the Edge TPU computes in one part."))
    return TwinPart(part, small, content, tuple(takes), match)


def _counterpart(model: Model, original: Model, tensor: Tensor, side: str, name: object) -> int:
    """The twin's tensor for one of a compiled part: of its name, or at its place in the model."""
    graph = original.main
    faces: list[int] = getattr(model.main, side)
    twin_faces: list[int] = getattr(graph, side)
    place = next((k for k, t in enumerate(faces) if model.main.tensors[t] is tensor), None)
    same_place = [] if place is None or len(faces) != len(twin_faces) else [twin_faces[place]]
    # Names may be shared: of tensors with one name, the one at that place, or else of that face.
    named = [t for t in same_place if graph.tensors[t].name == tensor.name]
    named += [t for t, each in enumerate(graph.tensors) if each.name == tensor.name]
    candidates = named or same_place
    if not candidates:
        raise _no_twin(name, f"no tensor {tensor.name!r}")
    index = next(
        (t for t in candidates if _difference(tensor, graph.tensors[t]) is None), candidates[0]
    )
    difference = _difference(tensor, graph.tensors[index])
    if difference is not None:
        raise _no_twin(name, difference)
    return index


def _difference(tensor: Tensor, twin: Tensor) -> str | None:
    """In what a twin's tensor is another than the compiled file's; None where in nothing."""
    if (tensor.type, tensor.shape) != (twin.type, twin.shape):
        return (
            f"{twin.name!r} of {twin.type} {list(twin.shape)}, where the compiled file has "
            f"{tensor.type} {list(tensor.shape)}"
        )
    ours, theirs = tensor.quantization, twin.quantization
    if ours is None or theirs is None:
        return None
    for what, mine, other in (
        ("scale", ours.scale, theirs.scale),
        ("zero point", ours.zero_point, theirs.zero_point),
    ):
        if not np.array_equal(mine, other):
            return (
                f"{twin.name!r} with the {what} {_told(other)}, where the compiled file has "
                f"{_told(mine)}"
            )
    return None


def _told(values: np.ndarray) -> str:
    return ", ".join(f"{value:g}" for value in values[:3]) or "none"


def _check_whole(piece: Subgraph, name: object) -> None:
    """That the piece computes its outputs from its inputs and constants alone."""
    known = set(piece.inputs)
    for op in piece.operators:
        for t in op.inputs:
            tensor = piece.tensors[t] if t >= 0 else None
            if tensor is None or tensor.is_constant or tensor.is_variable or t in known:
                continue
            raise _no_twin(name, f"{tensor.name!r}, which the compiled part does not take")
        known |= {*op.outputs}
    missing = [piece.tensors[t].name for t in piece.outputs if t not in known]
    if missing:
        raise _no_twin(name, f"nothing that computes {missing[0]!r}")


def _no_twin(name: object, received: str) -> ModelError:
    return ModelError(
        name,
        "it must be the model that the compiled file was made of",
        received=received,
        fix="Name the right one with --twin (twin= in Python)",
    )


def proven(twin: Twin) -> str:
    """What was proven of a twin, in words."""
    matches: Sequence[ParameterMatch] = [part.match for part in twin.parts]
    equal, total = sum(m.equal_bytes for m in matches), sum(m.total_bytes for m in matches)
    return f"{equal} of {total} bytes of the compiled file's parameters are those of {twin.name}"
