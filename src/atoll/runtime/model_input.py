"""What a model's input wants of a photo: as its file says, or as its quantisation implies."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from atoll.data.preprocessing import Preprocessing
from atoll.errors import ModelError
from atoll.tflite.metadata import read_card

if TYPE_CHECKING:
    from collections.abc import Sequence

    from atoll.tflite.graph import Model, Tensor

# The metadata entry with what `Preprocessing.to_json` gives.
ENTRY = "atoll.preprocessing"

Basis = Literal["atoll", "metadata", "quantization", "pixels", "assumed"]

# What (pixel - mean) / std of a float model is, where nothing says it: -1 to 1.
_ASSUMED = 127.5
# Where a pixel of 0 stands in a quantised input: what the type's lowest number is below 0.
_SHIFT = {"UINT8": 0, "INT8": 128}
# The types that an image may have, and whether it has a scale.
_KINDS = (("UINT8", True), ("INT8", True), ("UINT8", False), ("FLOAT32", False))


@dataclass(frozen=True)
class InputSpec:
    """How to prepare a photo, and how that is known.

    Attributes:
        preprocessing: From a photo to the numbers of a float model's input.
        basis: "atoll": this project wrote it into the file; "metadata": the file's TFLite
            Metadata; "quantization": the input's own scale and zero point, by which a pixel is
            its own quantised value; "pixels": uint8 without a scale, which are the pixels
            themselves; "assumed": nothing says it, and -1 to 1 is usual.
    """

    preprocessing: Preprocessing
    basis: Basis


def preprocessing_of(model: Model, source: object) -> Preprocessing:
    """What `input_spec` finds, without how it is known."""
    return input_spec(model, source).preprocessing


def input_spec(model: Model, source: object) -> InputSpec:
    """Finds out what a model's input wants of a photo.

    Args:
        model: A model with one input, an image of shape [1, height, width, 3].
        source: What to call it in a message.

    Returns:
        How to prepare a photo, and how that is known.

    Raises:
        ModelError: The model takes something else, or what it says of its input makes no sense.
    """
    tensor = _image_input(model, source)
    said = _from_entry(model, source)
    if said is not None:
        _check_size(said, tensor, source)
        return InputSpec(said, "atoll")
    card = read_card(model)
    if card is not None and card.mean and card.std:
        return InputSpec(_sized(tensor, card.mean, card.std, source), "metadata")
    if tensor.quantization is not None:
        scale = float(tensor.quantization.scale.flat[0])
        zero_point = int(tensor.quantization.zero_point.flat[0])
        if not (np.isfinite(scale) and scale > 0):
            raise _bad_input(source, f"a scale of {scale}")
        mean = [float(zero_point + _SHIFT[tensor.type])]
        return InputSpec(_sized(tensor, mean, [1 / scale], source), "quantization")
    if tensor.type == "UINT8":
        return InputSpec(_sized(tensor, [0.0], [1.0], source), "pixels")
    return InputSpec(_sized(tensor, [_ASSUMED], [_ASSUMED], source), "assumed")


def _image_input(model: Model, source: object) -> Tensor:
    graph = model.main
    if len(graph.inputs) != 1:
        raise _bad_input(source, f"{len(graph.inputs)} inputs")
    tensor = graph.tensors[graph.inputs[0]]
    image = len(tensor.shape) == 4 and tensor.shape[0] == 1 and tensor.shape[3] == 3
    if not image or min(tensor.shape) < 1:
        raise _bad_input(source, f"shape {list(tensor.shape)}")
    if (tensor.type, tensor.quantization is not None) not in _KINDS:
        scale = "without" if tensor.quantization is None else "with"
        raise _bad_input(source, f"{tensor.type} {scale} a scale")
    return tensor


def _from_entry(model: Model, source: object) -> Preprocessing | None:
    entry = model.metadata.get(ENTRY)
    if entry is None:
        return None
    try:
        # A buffer may be padded with zeros behind its content.
        document = json.loads(entry.rstrip(b"\0"))
    except (ValueError, RecursionError) as error:
        raise _bad_input(source, f"the metadata entry {ENTRY} that is no JSON") from error
    if not isinstance(document, dict):
        raise _bad_input(source, f"the metadata entry {ENTRY} that is no JSON object")
    return Preprocessing.from_json(document, source)


def _check_size(said: Preprocessing, tensor: Tensor, source: object) -> None:
    _, height, width, _ = tensor.shape
    if (said.height, said.width) != (height, width):
        raise _bad_input(
            source, f"{width}x{height}, and {said.width}x{said.height} in its entry {ENTRY}"
        )


def _sized(
    tensor: Tensor, mean: Sequence[float], std: Sequence[float], source: object
) -> Preprocessing:
    _, height, width, _ = tensor.shape
    usual = Preprocessing(width, height, (0.0,) * 3, (1.0,) * 3)
    # Through its own reading, which checks the numbers.
    document = usual.to_json() | {"mean": _three(mean), "std": _three(std)}
    return Preprocessing.from_json(document, source)


def _three(values: Sequence[float]) -> list[float]:
    """One value for all channels stands three times."""
    return list(values) * 3 if len(values) == 1 else list(values)


def _bad_input(source: object, received: str) -> ModelError:
    return ModelError(
        source,
        "the model must have one input, a uint8, int8 or float32 image of shape [1, h, w, 3]",
        received=received,
        fix="Give an image model, or prepare its input yourself with atoll.Interpreter",
    )
