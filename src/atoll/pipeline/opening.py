"""Putting a model on the device of a name, again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from atoll.edgetpu.simfile import EDGETPU_OP
from atoll.errors import ModelError
from atoll.tflite.reader import parse_model, read_content

if TYPE_CHECKING:
    from pathlib import Path

    from atoll.pipeline.runner import OpenDevice
    from atoll.tflite.graph import Model


def opener(model: str | Path | bytes, options: dict[str, Any]) -> OpenDevice:
    """What opens a model on a device.

    Args:
        model: A .tflite file's path or content.
        options: What `atoll.Interpreter` takes beside the model and the device.
    """
    from atoll.runtime.interpreter import Interpreter

    return lambda name: Interpreter(model, name, **options)


def software_device(model: str | Path | bytes, name: str) -> str:
    """The device that a fallback's name stands for.

    Args:
        model: A .tflite file's path or content.
        name: A device's name, as it was asked for.

    Returns:
        The same name; but a compiled file has no operators that the processor runs by itself:
        "cpu" is the simulator for it, which computes on the processor.

    Raises:
        ModelError: There is no such file, or it is no model.
    """
    if name != "cpu":
        return name
    content = model if isinstance(model, bytes) else read_content(model)
    compiled = any(
        op.custom_name == EDGETPU_OP
        for graph in parse_model(content, "model" if model is content else model).subgraphs
        for op in graph.operators
    )
    return "sim" if compiled else name


def check_stateless(model: Model, name: object) -> None:
    """Refuses a model with a state: each device would keep one of its own, of other calls.

    Args:
        model: The model.
        name: What to call it in a message.

    Raises:
        ModelError: It keeps a state from call to call.
    """
    kept = [tensor for graph in model.subgraphs for tensor in graph.tensors if tensor.is_variable]
    if kept:
        raise ModelError(
            name,
            "a model that keeps a state from call to call cannot run on several devices",
            received=f"variable {kept[0].name!r}",
            fix="Open it with atoll.Interpreter on one device",
        )
