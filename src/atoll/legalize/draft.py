"""A graph that is being changed: a copy of a model's main subgraph, with the tools to change it."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from atoll.legalize.options import make_options
from atoll.tflite.graph import Operator, Quantization, Subgraph, Tensor
from atoll.tflite.versions import usual_version

if TYPE_CHECKING:
    from collections.abc import Iterable

_QUANTIZED = ("INT8", "UINT8")
# Operators that do more than compute their outputs: they stay though nobody reads them.
_WITH_EFFECTS = ("ASSIGN_VARIABLE", "CALL", "CALL_ONCE", "CUSTOM", "DELEGATE", "IF", "WHILE")


@dataclass(frozen=True)
class Change:
    """What a rewrite wants changed.

    Attributes:
        operators: What comes in, in execution order. They must compute the tensors that others
            read of the operators removed, under the same indices, or those must be renamed.
        removed: Numbers of the operators that go. The new ones stand where the last of them stood.
            One whose outputs are still read by others need not be named: what nobody reads any
            more goes by itself.
        renamed: Tensors that others shall read instead: old index to new one.
    """

    operators: list[Operator] = field(default_factory=list)
    removed: tuple[int, ...] = ()
    renamed: dict[int, int] = field(default_factory=dict)


class Draft:
    """A graph that is being changed.

    Operators have numbers that they keep while others come and go. Rewrites read the draft, and
    change it through a `Change` alone; they may add tensors.

    Args:
        graph: The graph to start from; it stays as it is.
        min_runtime: The oldest runtime version that must run the model.

    Attributes:
        graph: Tensors, inputs and outputs as they are now. Its list of operators is the one that
            the draft began with: ask the draft instead.
        min_runtime: As given.
        operators: The operators as they are now, by their numbers.
        next_number: The number that the next operator will have.
    """

    def __init__(self, graph: Subgraph, min_runtime: int) -> None:
        self.graph = replace(
            graph,
            tensors=list(graph.tensors),
            operators=list(graph.operators),
            inputs=list(graph.inputs),
            outputs=list(graph.outputs),
        )
        self.min_runtime = min_runtime
        self.operators: dict[int, Operator] = {}
        self._place: dict[int, tuple[int, ...]] = {}
        self._producer: dict[int, int] = {}
        self._readers: dict[int, dict[int, None]] = {}
        self.next_number = 0
        for place, op in enumerate(graph.operators):
            self._insert(op, (place,))

    # What a rewrite asks.

    def tensor(self, index: int) -> Tensor:
        """The tensor with this index."""
        return self.graph.tensors[index]

    def producer(self, tensor: int) -> int:
        """The number of the operator that computes a tensor; -1 where none does."""
        return self._producer.get(tensor, -1)

    def before(self, tensor: int, *kinds: str, inputs: int = 1) -> int:
        """The number of the operator that computes a tensor, where it is one of some kinds.

        Args:
            tensor: The tensor.
            kinds: TFLite's names of them.
            inputs: How many inputs must be there, from the first.

        Returns:
            Its number; -1 where there is no such operator.
        """
        number = self.producer(tensor)
        if number < 0 or self.operators[number].type not in kinds:
            return -1
        first = self.operators[number].inputs[:inputs]
        return number if len(first) == inputs and min(first) >= 0 else -1

    def readers(self, tensor: int) -> list[int]:
        """The numbers of the operators that read a tensor."""
        return list(self._readers.get(tensor, ()))

    def is_output(self, tensor: int) -> bool:
        """Whether the model gives this tensor out."""
        return tensor in self.graph.outputs

    def only_reader(self, tensor: int) -> int:
        """The number of the one operator that reads a tensor that the model does not give out.

        Returns:
            Its number; -1 where there are several, or none, or the tensor is an output.
        """
        found = self._readers.get(tensor, {})
        return next(iter(found)) if len(found) == 1 and not self.is_output(tensor) else -1

    def is_quantized(self, tensor: int) -> bool:
        """Whether a tensor is INT8 or UINT8 with one scale for all of it."""
        if tensor < 0:
            return False
        held = self.graph.tensors[tensor]
        return (
            held.type in _QUANTIZED
            and held.quantization is not None
            and held.quantization.scale.size == held.quantization.zero_point.size == 1
        )

    def same_quantization(self, one: int, other: int) -> bool:
        """Whether two quantised tensors have the same type, scale and zero point."""
        return (
            self.is_quantized(one)
            and self.is_quantized(other)
            and self.tensor(one).type == self.tensor(other).type
            and self.scale(one) == self.scale(other)
            and self.zero_point(one) == self.zero_point(other)
        )

    def scale(self, tensor: int) -> float:
        """The one scale of a quantised tensor."""
        held = self.graph.tensors[tensor].quantization
        return float(held.scale.flat[0]) if held is not None else 0.0

    def zero_point(self, tensor: int) -> int:
        """The one zero point of a quantised tensor."""
        held = self.graph.tensors[tensor].quantization
        return int(held.zero_point.flat[0]) if held is not None else 0

    def constant(self, op: Operator, position: int) -> np.ndarray | None:
        """An operator's constant input; None where it is missing or computed."""
        index = op.inputs[position] if position < len(op.inputs) else -1
        return self.graph.tensors[index].data if index >= 0 else None

    def integers(self, op: Operator, position: int) -> list[int] | None:
        """An operator's constant integer input as a flat list; None where there is none."""
        data = self.constant(op, position)
        if data is None or data.dtype.kind not in "iu":
            return None
        return [int(value) for value in data.flat]

    # What a rewrite adds.

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
        """Adds a constant of the type that `data` has (int8, int32, ...); returns its index."""
        new = Tensor(
            name=name,
            type=np.dtype(data.dtype).name.upper(),
            shape=tuple(data.shape),
            quantization=quantization,
            data=data,
        )
        self.graph.tensors.append(new)
        return len(self.graph.tensors) - 1

    def add_integers(self, name: str, values: Iterable[int]) -> int:
        """Adds a constant of INT32, such as a shape or axes; returns its index."""
        return self.add_constant(name, np.asarray(list(values), np.int32))

    def new(
        self, kind: str, inputs: Iterable[int], outputs: Iterable[int], **options: Any
    ) -> Operator:
        """An operator to put into a `Change`; it is not in the draft before that is done.

        Args:
            kind: TFLite's name of it: "CONV_2D".
            inputs: Tensor indices.
            outputs: Tensor indices.
            **options: Fields of its options in the schema, such as `strideH=2`; others have the
                value that leaves them out (strides and dilations are 1).

        Returns:
            The operator, at the version that the converter writes.
        """
        tensors = self.graph.tensors
        read = [*inputs]
        like = next((t for t in read if t >= 0 and not tensors[t].is_constant), read[0])
        return Operator(
            kind,
            read,
            list(outputs),
            version=usual_version(kind, tensors[like].type),
            options=make_options(kind, options),
        )

    # What the engine does.

    def ordered(self) -> list[int]:
        """The operators' numbers in execution order: the first order that is valid."""
        waiting = {
            number: sum(1 for t in {*op.inputs} if self._producer.get(t, number) != number)
            for number, op in self.operators.items()
        }
        ready = [(self._place[n], n) for n, count in waiting.items() if not count]
        heapq.heapify(ready)
        order: list[int] = []
        while ready:
            _, number = heapq.heappop(ready)
            order.append(number)
            for tensor in {*self.operators[number].outputs}:
                for reader in self._readers.get(tensor, ()):
                    if reader == number:
                        continue
                    waiting[reader] -= 1
                    if not waiting[reader]:
                        heapq.heappush(ready, (self._place[reader], reader))
        return order

    def in_order(self, numbers: Iterable[int]) -> list[int]:
        """A few operators' numbers, those first that others of them read from."""
        inside = {*numbers}
        order: dict[int, None] = {}
        stack = sorted(inside, key=self._place.__getitem__, reverse=True)
        while stack:
            number = stack[-1]
            before = {self.producer(t) for t in self.operators[number].inputs} & inside
            missing = [n for n in before if n not in order and n not in stack]
            if number in order or not missing:
                order[number] = None
                stack.pop()
            else:
                stack += missing
        return list(order)

    def snapshot(self) -> Subgraph:
        """The graph as it is now, in execution order."""
        return replace(
            self.graph,
            tensors=list(self.graph.tensors),
            operators=[self.operators[number] for number in self.ordered()],
        )

    def commit(self, change: Change) -> list[int]:
        """Makes a change.

        Args:
            change: What goes and what comes.

        Returns:
            The numbers of the operators to look at again: new ones, and those beside them.
        """
        place = max((self._place[n] for n in change.removed), default=(self.next_number,))
        around: dict[int, None] = {}
        for number in change.removed:
            around |= dict.fromkeys(self._neighbours(number))
        for number in change.removed:
            self._remove(number)
        for step, op in enumerate(change.operators):
            around[self._insert(op, (*place, step))] = None
        for old, new in change.renamed.items():
            around |= dict.fromkeys(self._rename(old, new))
        for number in [n for n in around if n in self.operators]:
            around |= dict.fromkeys(self._neighbours(number))
        self.sweep(around)
        return [number for number in around if number in self.operators]

    def going(self, change: Change) -> set[int]:
        """The numbers of the operators that a change removes, and of those read by these alone."""
        going = {*change.removed}
        kept = {t for op in change.operators for t in op.inputs} | {*change.renamed.values()}
        waiting = list(going)
        while waiting:
            for tensor in self.operators[waiting.pop()].inputs:
                number = self.producer(tensor)
                if number < 0 or number in going or tensor in kept or self.is_output(tensor):
                    continue
                outputs = self.operators[number].outputs
                if len(outputs) == 1 and {*self.readers(tensor)} <= going:
                    going.add(number)
                    waiting.append(number)
        return going

    def depth(self, number: int) -> int:
        """How many changes, one upon the other, an operator comes from; 0 for the model's own."""
        return len(self._place[number]) - 1

    def sweep(self, among: Iterable[int]) -> None:
        """Drops operators that compute only what nobody reads, and then those before them."""
        stack = list(among)
        while stack:
            number = stack.pop()
            op = self.operators.get(number)
            if op is None or not op.outputs or op.type in _WITH_EFFECTS:
                continue
            if any(self._readers.get(t) or self.is_output(t) for t in op.outputs):
                continue
            before = [self.producer(t) for t in op.inputs]
            self._remove(number)
            stack += [n for n in before if n >= 0]

    def _insert(self, op: Operator, place: tuple[int, ...]) -> int:
        number, self.next_number = self.next_number, self.next_number + 1
        self.operators[number] = op
        self._place[number] = place
        for tensor in op.outputs:
            self._producer[tensor] = number
        for tensor in op.inputs:
            if tensor >= 0:
                self._readers.setdefault(tensor, {})[number] = None
        return number

    def _remove(self, number: int) -> None:
        op = self.operators.pop(number)
        for tensor in op.outputs:
            if self._producer.get(tensor) == number:
                del self._producer[tensor]
        for tensor in op.inputs:
            self._readers.get(tensor, {}).pop(number, None)

    def _neighbours(self, number: int) -> list[int]:
        op = self.operators[number]
        before = [self.producer(t) for t in op.inputs]
        after = [reader for t in op.outputs for reader in self._readers.get(t, ())]
        return [n for n in (*before, *after) if n >= 0]

    def _rename(self, old: int, new: int) -> list[int]:
        """Lets others read `new`; an output of the model keeps its own tensor and name."""
        if self.is_output(old):
            old, new = new, old
            self._write_to(new, old)
        readers = self.readers(old)
        for number in readers:
            op = self.operators[number]
            self.operators[number] = replace(op, inputs=[new if t == old else t for t in op.inputs])
            self._readers.setdefault(new, {})[number] = None
        self._readers.pop(old, None)
        return readers

    def _write_to(self, new: int, old: int) -> None:
        """Lets the operator that computes `old` compute `new` instead."""
        number = self._producer.pop(old, -1)
        if number >= 0:
            op = self.operators[number]
            self.operators[number] = replace(
                op, outputs=[new if t == old else t for t in op.outputs]
            )
            self._producer[new] = number
