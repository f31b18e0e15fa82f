"""From what a caller has to what a model takes, call by call, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from atoll.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from atoll.runtime.tensor_info import TensorInfo


def feed(
    source: object, infos: Sequence[TensorInfo], inputs: np.ndarray | Mapping[str, np.ndarray]
) -> Iterator[list[np.ndarray]]:
    """Gives the arrays of each call.

    Args:
        source: What to call the model in a message.
        infos: The model's inputs.
        inputs: See `Interpreter.run`.

    Yields:
        One array an input, of its shape and type.

    Raises:
        UsageError: The arrays do not fit the inputs, or each other.
    """
    _check_names(source, infos)
    named = _named(source, infos, inputs)
    batches = [_batch(source, info, np.asarray(named[info.name])) for info in infos]
    count = max((len(batch) for batch in batches), default=1)
    for info, batch in zip(infos, batches, strict=True):
        if len(batch) not in (1, count):
            raise UsageError(
                source,
                "all inputs of a batch have the same length, or 1",
                received=f"{len(batch)} for {info.name!r}, {count} for another",
                fix="Give as many of each",
            )
    for i in range(count):
        yield [
            _stored(source, info, batch[i if len(batch) > 1 else 0])
            for info, batch in zip(infos, batches, strict=True)
        ]


def collect(
    infos: Sequence[TensorInfo], results: Sequence[Sequence[np.ndarray]], quantized: bool
) -> dict[str, np.ndarray]:
    """Joins the outputs of the calls of a batch.

    Args:
        infos: The model's outputs.
        results: Of every call, one array an output.
        quantized: Whether they are given as the model stores them.

    Returns:
        An array for each output, by its name.

    Raises:
        UsageError: Two outputs have one name.
    """
    _check_names("outputs", infos)
    joined = {}
    for info, arrays in zip(infos, zip(*results, strict=True), strict=True):
        whole = arrays[0] if len(arrays) == 1 else _joined(arrays)
        joined[info.name] = whole if quantized else info.dequantize(whole)
    return joined


def _check_names(source: object, infos: Sequence[TensorInfo]) -> None:
    names = [info.name for info in infos]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(
            source,
            "tensors are told apart by their names here",
            received=f"two named {twice!r}",
            fix="Call invoke, which takes and gives them in order",
        )


def _joined(arrays: Sequence[np.ndarray]) -> np.ndarray:
    return np.stack(arrays) if arrays[0].ndim == 0 else np.concatenate(arrays)


def _named(
    source: object, infos: Sequence[TensorInfo], inputs: np.ndarray | Mapping[str, np.ndarray]
) -> Mapping[str, np.ndarray]:
    names = [info.name for info in infos]
    if not isinstance(inputs, Mapping):
        if len(names) != 1:
            raise UsageError(
                source,
                f"the model takes {len(names)} inputs, by their names",
                received="one array",
                fix=f"Give a dict of {', '.join(names)}",
            )
        return {names[0]: inputs}
    if set(inputs) != set(names):
        raise UsageError(
            source,
            f"the model's inputs are {', '.join(names)}",
            received=", ".join(map(str, inputs)) or "none",
            fix="Give each of these, and no other",
        )
    return inputs


def _batch(source: object, info: TensorInfo, array: np.ndarray) -> Sequence[np.ndarray]:
    """The arrays of the calls, each of the input's shape."""
    shape = info.shape
    if array.shape == shape:
        return [array]
    if shape and shape[0] == 1:
        if array.shape == shape[1:]:
            return [array[None]]
        if array.ndim == len(shape) and array.shape[1:] == shape[1:] and len(array):
            return [array[i : i + 1] for i in range(len(array))]
    raise UsageError(
        source,
        f"input {info.name!r} has the shape {list(shape)}",
        received="no numbers"
        if array.dtype.kind in "OU"
        else f"an array of shape {list(array.shape)}",
        fix="Resize it first",
    )


def _stored(source: object, info: TensorInfo, array: np.ndarray) -> np.ndarray:
    """An array as the model stores it."""
    if array.dtype == info.dtype or array.dtype.kind == info.dtype.kind == "S":
        return array
    if array.dtype.kind == "f" and info.is_quantized and np.isnan(array).any():
        raise UsageError(
            source,
            f"input {info.name!r} takes real numbers, which are quantised",
            received="nan, which is none",
            fix="Replace it first",
        )
    if array.dtype.kind == "f" and (info.is_quantized or info.dtype.kind == "f"):
        return info.quantize(array)
    raise UsageError(
        source,
        f"input {info.name!r} takes {info.dtype}"
        + (", or floats, which are quantised" if info.is_quantized else ""),
        received=f"an array of {array.dtype}",
        fix="Convert it first",
    )
