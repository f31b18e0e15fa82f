"""The table of 256 values of an 8-bit function, as the interpreter computes it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from atoll.errors import ModelError
from atoll.legalize.piece import piece
from atoll.legalize.rewrites.quant import LOWEST, STEPS
from atoll.runtime.litert import LITERT_ERRORS, open_litert
from atoll.runtime.soundness import check_sound
from atoll.tflite.writer import write_model

if TYPE_CHECKING:
    from collections.abc import Hashable

    from atoll.legalize.draft import Draft
    from atoll.legalize.rewrites.regions import Region
    from atoll.tflite.graph import Tensor

# LiteRT's own kernels, as the changes are verified by them.
_KERNELS = ("BUILTIN_WITHOUT_DEFAULT_DELEGATES",)
_SHAPE = (1, 1, 1, STEPS + 1)
# Tables that were computed, by what they depend on.
_KNOWN: dict[Hashable, np.ndarray | None] = {}
_MOST_KNOWN = 1024


def table_of(draft: Draft, region: Region) -> np.ndarray | None:
    """What a region gives for each of the 256 values of its source.

    Args:
        draft: The graph.
        region: Elementwise operators from one 8-bit tensor to another.

    Returns:
        int64 [256], from the source's lowest integer on; None where the interpreter cannot run it.
    """
    key = _key(draft, region)
    if key not in _KNOWN:
        if len(_KNOWN) >= _MOST_KNOWN:
            _KNOWN.clear()
        _KNOWN[key] = _run(draft, region)
    return _KNOWN[key]


def _key(draft: Draft, region: Region) -> Hashable:
    """What a table depends on: equal for the same operators elsewhere."""
    places: dict[int, int] = {}
    parts: list[Hashable] = []
    for op in region.operators:
        options = None if op.options is None else repr(sorted(vars(op.options).items()))
        parts.append((op.type, options))
        for index in (*op.inputs, *op.outputs):
            if index in places:
                parts.append(places[index])
                continue
            places[index] = len(places)
            parts.append(_tensor_key(draft.tensor(index)))
    return (places.get(region.source), places.get(region.result), *parts)


def _tensor_key(tensor: Tensor) -> Hashable:
    held = tensor.quantization
    grid = None if held is None else (held.scale.tobytes(), held.zero_point.tobytes())
    return tensor.type, grid, None if tensor.data is None else tensor.data.tobytes()


def _spread(tensor: Tensor) -> Tensor:
    """The tensor with 256 elements; a constant repeats its one."""
    data = None if tensor.data is None else np.full(_SHAPE, tensor.data.reshape(-1)[0])
    grid = tensor.quantization if tensor.type in LOWEST else None
    return replace(tensor, shape=_SHAPE, shape_signature=None, quantization=grid, data=data)


def _run(draft: Draft, region: Region) -> np.ndarray | None:
    tensors = list(draft.graph.tensors)
    for index in {t for op in region.operators for t in (*op.inputs, *op.outputs)}:
        tensors[index] = _spread(tensors[index])
    type = draft.tensor(region.source).type
    values = np.arange(LOWEST[type], LOWEST[type] + STEPS + 1).astype(type.lower())
    model = piece(tensors, region.operators, [region.source], [region.result])
    try:
        check_sound(model, "a function")
        content = write_model(model)
        litert = open_litert(content, "a function", threads=1, kernels=_KERNELS).litert
        litert.set_tensor(litert.get_input_details()[0]["index"], values.reshape(_SHAPE))
        litert.invoke()
        result = litert.get_tensor(litert.get_output_details()[0]["index"])
    except (ModelError, *LITERT_ERRORS):
        return None
    if result.size != values.size or result.dtype != values.dtype:
        return None
    return np.asarray(result, np.int64).reshape(-1)
