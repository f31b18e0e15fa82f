"""The types of a model's inputs and outputs: float32 for a person, 8 bits for the chip."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from atoll.errors import UsageError
from atoll.legalize.draft import Change
from atoll.tflite.graph import Tensor

if TYPE_CHECKING:
    from atoll.legalize.draft import Draft

Face = Literal["float32", "int8", "uint8"]
FACES: tuple[Face, ...] = ("float32", "int8", "uint8")

# From the zero point of the other 8-bit type to that of this one.
_SHIFT = {"INT8": -128, "UINT8": 128}


@dataclass
class Changed:
    """What became of inputs or outputs.

    Attributes:
        moved: Old tensor index to new one.
        names: Those that changed.
        left: Those that cannot have the type asked for.
    """

    moved: dict[int, int]
    names: list[str]
    left: list[str]


def check_face(flag: str, face: str | None) -> None:
    """Refuses a type that a face cannot have.

    Raises:
        UsageError: It is none of `FACES`.
    """
    if face is not None and face not in FACES:
        raise UsageError(
            flag, f"it must be {', '.join(FACES)}", received=face, fix="Leave it out to keep it"
        )


def change_inputs(draft: Draft, face: Face) -> Changed:
    """Gives the inputs another type, by a QUANTIZE that comes or goes."""
    changed = Changed({}, [], [])
    for place, index in enumerate(draft.graph.inputs):
        inner, edge = _behind_input(draft, index)
        outer = _outer(draft, inner, index, face)
        if outer is None:
            changed.left.append(draft.tensor(index).name)
            continue
        if outer.type == draft.tensor(index).type:
            continue
        draft.commit(Change(removed=() if edge < 0 else (edge,)))
        new = _put(draft, inner, outer)
        if new != inner:
            draft.commit(Change([draft.new("QUANTIZE", [new], [inner])]))
        draft.graph.inputs[place] = changed.moved[index] = new
        changed.names.append(outer.name)
    return changed


def change_outputs(draft: Draft, face: Face) -> Changed:
    """Gives the outputs another type, by a QUANTIZE or DEQUANTIZE that comes or goes."""
    changed = Changed({}, [], [])
    for place, index in enumerate(draft.graph.outputs):
        inner = _before_output(draft, index)
        outer = _outer(draft, inner, index, face)
        if outer is None:
            changed.left.append(draft.tensor(index).name)
            continue
        if outer.type == draft.tensor(index).type:
            continue
        new = _put(draft, inner, outer)
        draft.graph.outputs[place] = changed.moved[index] = new
        if new != inner:
            kind = "DEQUANTIZE" if face == "float32" else "QUANTIZE"
            draft.commit(Change([draft.new(kind, [inner], [new])]))
        old = draft.producer(index)
        if old >= 0:
            draft.sweep([old])
        changed.names.append(outer.name)
    return changed


def _behind_input(draft: Draft, index: int) -> tuple[int, int]:
    """The 8-bit tensor that an input becomes, and the operator between; -1 where there is none."""
    reader = draft.only_reader(index)
    if reader >= 0 and draft.operators[reader].type == "QUANTIZE":
        inner = draft.operators[reader].outputs[0]
        if draft.is_quantized(inner) and _is_edge(draft, index, inner):
            return inner, reader
    return (index if draft.is_quantized(index) else -1), -1


def _before_output(draft: Draft, index: int) -> int:
    """The 8-bit tensor that an output is made of; -1 where there is none."""
    number = draft.producer(index)
    if number >= 0 and draft.operators[number].type in ("QUANTIZE", "DEQUANTIZE"):
        inner = draft.operators[number].inputs[0]
        if draft.is_quantized(inner) and _is_edge(draft, index, inner):
            return inner
    return index if draft.is_quantized(index) else -1


def _is_edge(draft: Draft, outer: int, inner: int) -> bool:
    """Whether two tensors hold the same numbers, seen as float or as the other 8-bit type."""
    face, kind = draft.tensor(outer), draft.tensor(inner).type
    if draft.is_output(inner) or inner in draft.graph.inputs or draft.tensor(inner).is_constant:
        return False
    if face.type == "FLOAT32":
        return True
    return (
        draft.is_quantized(outer)
        and face.type != kind
        and draft.scale(outer) == draft.scale(inner)
        and draft.zero_point(inner) == draft.zero_point(outer) + _SHIFT[kind]
    )


def _outer(draft: Draft, inner: int, index: int, face: Face) -> Tensor | None:
    """A face for an 8-bit tensor; None where there is no such tensor behind this face."""
    if inner < 0:
        same = draft.tensor(index).type == face.upper()
        return draft.tensor(index) if same else None
    held, kind = draft.tensor(inner), face.upper()
    quantization = held.quantization
    assert quantization is not None
    if face == "float32":
        quantization = None
    elif kind != held.type:
        shifted = (quantization.zero_point + _SHIFT[kind]).astype(np.int64)
        quantization = replace(quantization, zero_point=shifted)
    return Tensor(draft.tensor(index).name, kind, held.shape, None, quantization)


def _put(draft: Draft, inner: int, outer: Tensor) -> int:
    """The index of the tensor that has this face: the inner one itself where it is alike."""
    held = draft.tensor(inner)
    if held.type == outer.type:
        draft.graph.tensors[inner] = replace(held, name=outer.name)
        return inner
    if held.name == outer.name:
        draft.graph.tensors[inner] = replace(held, name=f"{outer.name}/quantized")
    draft.graph.tensors.append(outer)
    return len(draft.graph.tensors) - 1
