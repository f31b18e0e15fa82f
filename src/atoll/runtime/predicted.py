"""What a call should take on an Edge TPU, of any file that the simulator runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from atoll.edgetpu.analysis import analyse
from atoll.edgetpu.simfile import EDGETPU_OP, SIM_OP, uncut

if TYPE_CHECKING:
    from pathlib import Path

    from atoll.tflite.graph import Model

_LINK = "usb3"


def predicted_ms(
    model: Model, source: object, twin: str | Path | bytes | None = None
) -> float | None:
    """Predicts the time of a call, parameters loaded before, at USB 3 and the highest clock.

    Args:
        model: A model, plain or compiled.
        source: Its path, or what to call it in a message.
        twin: The model that a compiled file was made of; None takes the one beside it.

    Returns:
        Milliseconds.

    Raises:
        ModelError: A compiled file's twin is missing or another.
    """
    names = {op.custom_name for op in model.main.operators}
    if EDGETPU_OP in names:
        from atoll.runtime.twin import open_twin

        model = open_twin(model, source, twin).model
    elif SIM_OP in names:
        model = uncut(model, source)
    return analyse(model.main).latency[_LINK].ms
