"""The module `pycoral.pipeline.pipelined_model_runner`: a model's segments, one device each."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from atoll.compat.segments import Line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from atoll.compat.tflite_runtime.interpreter import Interpreter

    Tensors = Mapping[str, np.ndarray] | Sequence[np.ndarray]

__all__ = ["PipelinedModelRunner"]


class PipelinedModelRunner:
    """Runs the segments of a model one behind the other, each in a thread of its own.

    Version 1 of pycoral pushed and popped lists, version 2 dictionaries. Who pushes lists pops
    lists.

    Args:
        interpreters: One a segment, in order, their tensors allocated.

    Raises:
        ValueError: There is none, or one takes what no earlier one gives.
    """

    def __init__(self, interpreters: Sequence[Interpreter]) -> None:
        if not interpreters:
            raise ValueError("At least one interpreter expected")
        takes = interpreters[0].get_input_details()
        known = {detail["name"] for detail in takes}
        for index, interpreter in enumerate(interpreters):
            if not {detail["name"] for detail in interpreter.get_input_details()} <= known:
                raise ValueError(f"Interpreter {index} can not get its input tensors")
            known |= {detail["name"] for detail in interpreter.get_output_details()}
        self._interpreters = interpreters
        self._types = {detail["name"]: detail["dtype"] for detail in takes}
        self._lists = False
        self._line = Line(interpreters)
        # Also where the program ends with results that nobody took.
        self._end = weakref.finalize(self, _end, self._line)

    def set_input_queue_size(self, size: int) -> None:
        """Sets how many inputs may wait before `push` waits; any number at first."""
        self._line.resize(inputs=size)

    def set_output_queue_size(self, size: int) -> None:
        """Sets how many results may wait before the segments do; any number at first."""
        self._line.resize(outputs=size)

    def push(self, input_tensors: Tensors) -> bool | None:
        """Gives the next input; copies it.

        Args:
            input_tensors: An array an input, by name. An empty dictionary says that no more come.

        Returns:
            None; of a list, whether it was taken.

        Raises:
            ValueError: There are too few or too many arrays, or one is of another type.
            RuntimeError: It was said before that no more come, or a segment has failed.
        """
        self._lists = not isinstance(input_tensors, Mapping)
        if input_tensors and len(input_tensors) != len(self._types):
            raise ValueError(
                f"Expected input of length {len(self._types)}, but got {len(input_tensors)}"
            )
        if isinstance(input_tensors, Mapping):
            self._push(input_tensors)
            return None
        try:
            self._push(dict(zip(self._types, input_tensors, strict=False)))
        except RuntimeError:
            return False
        return True

    def pop(self) -> dict[str, np.ndarray] | list[np.ndarray] | None:
        """Takes the next result, once it is there.

        Returns:
            An array an output, by name; None behind the last one.

        Raises:
            RuntimeError: A segment has failed.
        """
        result = self._line.take()
        return list(result.values()) if result is not None and self._lists else result

    def interpreters(self) -> Sequence[Interpreter]:
        """The interpreters it was made of."""
        return self._interpreters

    def _push(self, tensors: Mapping[str, np.ndarray]) -> None:
        for name, tensor in tensors.items():
            wanted: Any = self._types[name]
            if not isinstance(tensor, np.ndarray) or tensor.dtype != wanted:
                raise ValueError(f"Input should be a list of numpy array of type {wanted}")
        if tensors:
            self._line.put({name: np.array(tensor, order="C") for name, tensor in tensors.items()})
        else:
            self._line.end()


def _end(line: Line) -> None:
    left = line.drain()
    if left:
        sys.stdout.write(
            f"WARNING: {left} unconsumed results in the pipeline during destruction!\n"
        )
