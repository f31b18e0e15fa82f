"""What several rewrites are made of: RESHAPE, SLICE and CONCATENATION, and the shapes that map."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from atoll.legalize.draft import Draft
    from atoll.tflite.graph import Operator, Quantization

Shape = tuple[int, ...]

# Operators that keep the order of the elements, and change the shape alone.
RESHAPES = ("RESHAPE", "SQUEEZE", "EXPAND_DIMS")
# Sizes are numbers of 32 bits.
_LARGEST = 1 << 31
# Constants with a value a channel are made for no more channels than this.
MOST_CHANNELS = 1 << 16
# More operators than this in the place of one are no help.
MOST_PIECES = 16


def is_flat(shape: Shape) -> bool:
    """Whether the chip takes such a shape: only the three innermost sizes may be above 1."""
    return math.prod(shape[:-3]) == 1


def is_fixed(draft: Draft, *tensors: int) -> bool:
    """Whether tensors have sizes above 0 that are known, and that a file can hold."""
    return all(
        t >= 0
        and not any(size < 0 for size in draft.tensor(t).shape_signature or ())
        and all(size > 0 for size in draft.tensor(t).shape)
        and math.prod(draft.tensor(t).shape) < _LARGEST
        for t in tensors
    )


@dataclass
class Chain:
    """Operators that are put one behind the other.

    Attributes:
        draft: Where their tensors are added.
        name: What the names of new tensors start with.
        operators: So far.
    """

    draft: Draft
    name: str
    operators: list[Operator] = field(default_factory=list)

    def shape(self, tensor: int) -> Shape:
        """A tensor's shape."""
        return self.draft.tensor(tensor).shape

    def op(
        self,
        kind: str,
        inputs: Sequence[int],
        shape: Shape,
        *,
        into: int | None = None,
        quantization: Quantization | None = None,
        **options: Any,
    ) -> int:
        """Adds an operator with one output.

        Args:
            kind: TFLite's name of it.
            inputs: Tensor indices; the output is like the first computed one.
            shape: The output's shape.
            into: The output's index where it is there already.
            quantization: The output's, where it is not that of the input.
            **options: Fields of its options in the schema.

        Returns:
            The output's index.
        """
        draft = self.draft
        if into is None:
            like = next(t for t in inputs if t >= 0 and not draft.tensor(t).is_constant)
            name = f"{self.name}/{kind.lower()}_{len(self.operators)}"
            into = draft.add_tensor(name, draft.tensor(like), shape, quantization)
        self.operators.append(draft.new(kind, inputs, [into], **options))
        return into

    def reshape(self, tensor: int, shape: Shape, into: int | None = None) -> int:
        """The same elements in another shape; nothing is added where it is the same shape."""
        if into is None and self.shape(tensor) == shape:
            return tensor
        target = self.draft.add_integers(f"{self.name}/shape", shape)
        return self.op("RESHAPE", [tensor, target], shape, into=into, newShape=list(shape))

    def window(
        self, tensor: int, begins: Sequence[int], sizes: Sequence[int], into: int | None = None
    ) -> int:
        """A part along all axes; nothing is added where it is all of the tensor."""
        if into is None and tuple(sizes) == self.shape(tensor):
            return tensor
        constants = (
            self.draft.add_integers(f"{self.name}/begin", begins),
            self.draft.add_integers(f"{self.name}/size", sizes),
        )
        return self.op("SLICE", [tensor, *constants], tuple(sizes), into=into)

    def slice(self, tensor: int, axis: int, begin: int, size: int, into: int | None = None) -> int:
        """A part along one axis; nothing is added where it is all of the tensor."""
        sizes = list(self.shape(tensor))
        begins = [0] * len(sizes)
        begins[axis], sizes[axis] = begin, size
        return self.window(tensor, begins, sizes, into)

    def concatenate(self, tensors: Sequence[int], axis: int, into: int | None = None) -> int:
        """Tensors joined along an axis; nothing is added for a single one."""
        if into is None and len(tensors) == 1:
            return tensors[0]
        shape = list(self.shape(tensors[0]))
        shape[axis] = sum(self.shape(t)[axis] for t in tensors)
        return self.op("CONCATENATION", tensors, tuple(shape), into=into, axis=axis)


def source_of(draft: Draft, tensor: int) -> int:
    """The tensor with the same elements in the same order, before reshapes, that the chip takes.

    Args:
        draft: The draft.
        tensor: Where to start.

    Returns:
        The tensor itself where its own shape is taken, else the first behind it whose is; -1.
    """
    size = math.prod(draft.tensor(tensor).shape)
    for _ in range(MOST_PIECES):
        if math.prod(draft.tensor(tensor).shape) != size:
            return -1
        if is_flat(draft.tensor(tensor).shape):
            return tensor
        number = draft.before(tensor, *RESHAPES)
        if number < 0:
            return -1
        tensor = draft.operators[number].inputs[0]
    return -1


def targets_of(draft: Draft, tensor: int) -> tuple[list[int], list[int]]:
    """Which tensors to compute in the place of one, with the same elements in the same order.

    Args:
        draft: The draft.
        tensor: A computed tensor.

    Returns:
        The tensor itself where the chip takes its shape, or another operator than a reshape reads
        it, else what reshapes make of it; and the numbers of those reshapes.
    """
    size = math.prod(draft.tensor(tensor).shape)
    targets, between, waiting = [], [], [tensor]
    while waiting:
        held = waiting.pop()
        readers = draft.readers(held)
        made = [t for n in readers for t in draft.operators[n].outputs]
        if (
            is_flat(draft.tensor(held).shape)
            or draft.is_output(held)
            or any(draft.operators[n].type not in RESHAPES for n in readers)
            or any(math.prod(draft.tensor(t).shape) != size for t in made)
            or len(made) != len(readers)
        ):
            targets.append(held)
        else:
            between += readers
            waiting += made
    return targets, between
