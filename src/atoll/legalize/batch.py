"""A batch that is open in the file, fixed to 1."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from atoll.legalize.draft import Draft


def fix_batch(draft: Draft) -> list[str]:
    """The batch, left open in the file, is fixed to 1: the chip's compiler wants every size."""
    tensors = draft.graph.tensors
    opened = [i for i in draft.graph.inputs if any(n < 0 for n in tensors[i].shape_signature or ())]
    # Where other sizes are open too, nobody but the user can say what they shall be.
    if any(n < 0 for i in opened for n in (tensors[i].shape_signature or ())[1:]):
        return []
    for index in opened:
        shape = (1, *tensors[index].shape[1:])
        tensors[index] = replace(tensors[index], shape=shape, shape_signature=None)
    return [tensors[index].name for index in opened]
