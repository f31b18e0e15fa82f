"""Float between 8-bit operators: what needs no float is done in 8 bits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from atoll.legalize.draft import Change
from atoll.legalize.rewrite import Rewrite

if TYPE_CHECKING:
    from atoll.legalize.draft import Draft


def requantize(draft: Draft, number: int) -> Change | None:
    """DEQUANTIZE and QUANTIZE behind one another become one QUANTIZE, or nothing."""
    op = draft.operators[number]
    before = draft.before(op.inputs[0], "DEQUANTIZE")
    if before < 0:
        return None
    source, output = draft.operators[before].inputs[0], op.outputs[0]
    if not draft.is_quantized(source) or not draft.is_quantized(output):
        return None
    if draft.same_quantization(source, output):
        return Change(removed=(number,), renamed={output: source})
    return Change([draft.new("QUANTIZE", [source], [output])], (number,))


ROWS = (Rewrite("requantize", ("QUANTIZE",), requantize, "one step", always=True),)
