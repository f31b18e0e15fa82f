"""A TFLite model as typed data: what the file says, and nothing of any chip."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np


@dataclass
class Quantization:
    """Affine quantisation: real = scale * (stored - zero_point).

    Attributes:
        scale: float32, one value, or one a channel along `axis`.
        zero_point: int64, as many as scales.
        axis: The dimension that per-channel values run along.
    """

    scale: np.ndarray
    zero_point: np.ndarray
    axis: int = 0

    @property
    def per_channel(self) -> bool:
        """Whether there is more than one scale."""
        return self.scale.size > 1


@dataclass
class Tensor:
    """One tensor of a subgraph.

    Attributes:
        name: As in the file; not always unique.
        type: TFLite's own name of the type: "INT8", "FLOAT32", ...
        shape: The shape, -1 nowhere: what is unknown is 1 here and -1 in the signature.
        shape_signature: The shape with -1 where it is unknown; None where the file has none.
        quantization: None for a tensor that is not quantised.
        data: The constant value with `shape` and the type's numpy dtype; None for a tensor that
            is computed. What numpy cannot hold as it lies in the file (strings, types of less
            than a byte, sparse tensors) is kept as its raw bytes, uint8 of one dimension.
        is_variable: Whether it keeps its value between calls.
        extra: What the file holds beside this (sparsity, ranges, variant types), kept as is:
            the keys of `atoll.tflite.reader.TENSOR_EXTRAS`.
    """

    name: str
    type: str
    shape: tuple[int, ...]
    shape_signature: tuple[int, ...] | None = None
    quantization: Quantization | None = None
    data: np.ndarray | None = None
    is_variable: bool = False
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def is_constant(self) -> bool:
        """Whether its value is in the file."""
        return self.data is not None


@dataclass
class Operator:
    """One operator.

    Attributes:
        type: TFLite's own name: "CONV_2D"; for a custom operator "CUSTOM".
        inputs: Tensor indices, -1 for one that is left out.
        outputs: Tensor indices.
        version: The operator's version.
        options: The schema's own options object (such as Conv2DOptionsT), or None.
        custom_name: A custom operator's name.
        custom_options: A custom operator's payload.
        intermediates: Tensor indices of an operator's internal values (an LSTM's), which carry
            their quantisation.
        extra: What the file holds beside this, kept as is.
    """

    type: str
    inputs: list[int]
    outputs: list[int]
    version: int = 1
    options: Any = None
    custom_name: str = ""
    custom_options: bytes = b""
    intermediates: list[int] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass
class Subgraph:
    """Tensors, the operators in execution order, and which tensors go in and out.

    Attributes:
        name: As in the file.
        tensors: What the operators' indices point at.
        operators: In execution order.
        inputs: Tensor indices.
        outputs: Tensor indices.
        extra: What the file holds beside this, kept as is.
    """

    name: str
    tensors: list[Tensor]
    operators: list[Operator]
    inputs: list[int]
    outputs: list[int]
    extra: dict[str, Any] = field(default_factory=dict)

    def producers(self) -> dict[int, int]:
        """The index of the operator that computes each computed tensor."""
        return {t: i for i, op in enumerate(self.operators) for t in op.outputs}

    def consumers(self) -> dict[int, list[int]]:
        """The indices of the operators that read each tensor, in order."""
        readers: dict[int, list[int]] = {}
        for i, op in enumerate(self.operators):
            for t in op.inputs:
                if t >= 0:
                    readers.setdefault(t, []).append(i)
        return readers

    def activations(self, op: Operator) -> Iterator[int]:
        """The inputs of an operator that are computed, not constant."""
        return (t for t in op.inputs if t >= 0 and not self.tensors[t].is_constant)

    def input_of(self, op: Operator, place: int) -> Tensor | None:
        """An input of an operator; None where it is left out."""
        return self._at(op.inputs, place)

    def output_of(self, op: Operator, place: int = 0) -> Tensor | None:
        """An output of an operator; None where there is none."""
        return self._at(op.outputs, place)

    def _at(self, places: list[int], place: int) -> Tensor | None:
        if not 0 <= place < len(places) or not 0 <= places[place] < len(self.tensors):
            return None
        return self.tensors[places[place]]


@dataclass
class Model:
    """A whole file.

    Attributes:
        subgraphs: The first is the main one.
        description: Free text.
        version: The schema's version, 3.
        metadata: Named blobs, in order, as the file holds them.
        signatures: The schema's SignatureDefT objects.
        trailer: The zip archive behind the FlatBuffer, which carries label files; its offsets
            count from its own first byte, so that it is a whole archive by itself.
        extra: What the file holds beside this, kept as is.
    """

    subgraphs: list[Subgraph]
    description: str = ""
    version: int = 3
    metadata: dict[str, bytes] = field(default_factory=dict)
    signatures: list[Any] = field(default_factory=list)
    trailer: bytes = b""
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def main(self) -> Subgraph:
        """The subgraph that runs when the model is called."""
        return self.subgraphs[0]
