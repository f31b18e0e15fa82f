"""A graph that is being changed: a copy of a model's main subgraph, with the tools to change it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from atoll.tflite.graph import Quantization, Subgraph, Tensor

if TYPE_CHECKING:
    from atoll.tflite.graph import Operator


@dataclass(frozen=True)
class Change:
    """What a rewrite wants changed.

    Attributes:
        operators: What comes in, in execution order. They must compute the tensors that others
            read of the operators removed, under the same indices.
        removed: Indices of the operators that go. The new ones stand where the last of them stood.
        renamed: Tensors that others shall read instead: old index to new one.
    """

    operators: list[Operator] = field(default_factory=list)
    removed: tuple[int, ...] = ()
    renamed: dict[int, int] = field(default_factory=dict)


class Draft:
    """A graph that is being changed.

    Attributes:
        graph: The graph as it is now. Rewrites read it, and change it through a `Change` alone;
            they may add tensors.
        min_runtime: The oldest runtime version that must run the model.
    """

    def __init__(self, graph: Subgraph, min_runtime: int) -> None:
        self.graph = replace(graph, tensors=list(graph.tensors), operators=list(graph.operators))
        self.min_runtime = min_runtime

    def add_tensor(
        self,
        name: str,
        like: Tensor,
        shape: tuple[int, ...] | None = None,
        quantization: Quantization | None = None,
    ) -> int:
        """Adds a computed tensor.

        Args:
            name: Its name.
            like: The tensor whose type, and where not given shape and quantisation, it has.
            shape: Its shape.
            quantization: Its quantisation.

        Returns:
            Its index.
        """
        new = Tensor(
            name=name,
            type=like.type,
            shape=like.shape if shape is None else shape,
            quantization=quantization or like.quantization,
        )
        self.graph.tensors.append(new)
        return len(self.graph.tensors) - 1

    def add_constant(
        self, name: str, data: np.ndarray, quantization: Quantization | None = None
    ) -> int:
        """Adds a constant of the type that `data` has (int8, uint8, int32...); returns its index."""
        new = Tensor(
            name=name,
            type=np.dtype(data.dtype).name.upper(),
            shape=tuple(data.shape),
            quantization=quantization,
            data=data,
        )
        self.graph.tensors.append(new)
        return len(self.graph.tensors) - 1
