"""Custom operators that LiteRT does not have, run in Python: one table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from atoll.runtime.delegate import PythonDelegate

if TYPE_CHECKING:
    from collections.abc import Callable

    from atoll.runtime.delegate import Kernel
    from atoll.runtime.litert import Delegate
    from atoll.tflite.graph import Model


def _posenet_decoder(model: Model, index: int, payload: bytes) -> Kernel:
    from atoll.runtime.posenet_decoder import posenet_decoder

    return posenet_decoder(model, index, payload)


# Each makes the kernel of the index-th operator of its name in the main subgraph.
CUSTOM_OPS: dict[str, Callable[[Model, int, bytes], Kernel]] = {
    "PosenetDecoderOp": _posenet_decoder,
}


def custom_op_delegates(model: Model) -> list[Delegate]:
    """The delegates for the operators of the table that a model has.

    Args:
        model: The model.

    Returns:
        A delegate a name.
    """
    names = {op.custom_name for op in model.main.operators}

    def delegate(name: str) -> PythonDelegate:
        make = CUSTOM_OPS[name]
        return PythonDelegate(name, lambda index, payload: make(model, index, payload))

    return [delegate(name) for name in CUSTOM_OPS if name in names]
