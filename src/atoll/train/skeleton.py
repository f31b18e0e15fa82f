"""The bones of a network: its weighted layers and how they hang together, whatever the format.

A TFLite graph and a Keras model of the same network differ in everything but this: which
convolutions there are, and what feeds what. Two skeletons are matched by their structure alone,
so that weights find their layer without any agreement on names or order.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from atoll.tflite.graph import Operator, Subgraph

Ports = tuple[int, ...]


@dataclass(frozen=True)
class Bone:
    """One node.

    Attributes:
        kind: "input", "conv", "depthwise", "dense", "pool", "concat", "merge" or "unknown".
        shape: What must be equal for two nodes to be the same: kernel sizes, strides, dilation.
        inputs: Indices of the nodes that feed it.
        layer: What it stands for: an index into a subgraph's operators, or a Keras layer.
    """

    kind: str
    shape: tuple[Any, ...]
    inputs: Ports
    layer: Any


class _Builder:
    """Collects nodes; a value is known by the node it comes from, through all that has no bones."""

    def __init__(self) -> None:
        self.bones: list[Bone] = []
        self._source: dict[Any, int] = {}

    def add(self, value: Any, kind: str, shape: tuple[Any, ...], inputs: Ports, layer: Any) -> None:
        self._source[value] = len(self.bones)
        self.bones.append(Bone(kind, shape, inputs, layer))

    def alias(self, value: Any, node: int) -> None:
        self._source[value] = node

    def sources(self, values: list[Any]) -> Ports:
        return tuple(self._source[value] for value in values if value in self._source)


def of_tflite(graph: Subgraph) -> list[Bone]:
    """The skeleton of a TFLite graph.

    Args:
        graph: Any subgraph; operators that carry no weights and join nothing are passed through.

    Returns:
        Nodes in execution order; `layer` is the operator's index.
    """
    builder = _Builder()
    for tensor in graph.inputs:
        builder.add(tensor, "input", (), (), None)
    for index, op in enumerate(graph.operators):
        inputs = builder.sources(op.inputs)
        if not inputs:
            continue
        kind, shape = _tflite_kind(graph, op, inputs)
        for output in op.outputs:
            if kind:
                builder.add(output, kind, shape, inputs, index)
            else:
                builder.alias(output, inputs[0])
    return builder.bones


def _tflite_kind(graph: Subgraph, op: Operator, inputs: Ports) -> tuple[str, tuple[Any, ...]]:
    try:
        return _declared_kind(graph, op, inputs)
    except (AttributeError, IndexError, TypeError, ValueError):
        # Its options or weights are not those of its type: no network of ours has such a one.
        return "unknown", (op.type,)


def _declared_kind(graph: Subgraph, op: Operator, inputs: Ports) -> tuple[str, tuple[Any, ...]]:
    options = op.options
    if op.type in ("CONV_2D", "DEPTHWISE_CONV_2D"):
        filters, height, width, depth = graph.tensors[op.inputs[1]].shape
        stride = (options.strideH, options.strideW)
        dilation = (options.dilationHFactor, options.dilationWFactor)
        if op.type == "CONV_2D":
            return "conv", (height, width, depth, filters, *stride, *dilation)
        return "depthwise", (height, width, depth, *stride, *dilation)
    if op.type == "FULLY_CONNECTED":
        units, depth = graph.tensors[op.inputs[1]].shape
        return "dense", (depth, units)
    if op.type in ("MAX_POOL_2D", "AVERAGE_POOL_2D"):
        kernel = (options.filterHeight, options.filterWidth)
        return "pool", (op.type[:3], *kernel, options.strideH, options.strideW)
    if op.type == "CONCATENATION":
        return "concat", ()
    return ("merge", ()) if len(set(inputs)) > 1 else ("", ())


def of_keras(model: Any) -> list[Bone]:
    """The skeleton of a functional Keras model that nests no other model.

    Args:
        model: A keras.Model.

    Returns:
        Nodes in execution order; `layer` is the Keras layer.
    """
    builder = _Builder()
    for tensor in model.inputs:
        builder.add(id(tensor), "input", (), (), None)
    nodes = [
        node
        for depth in sorted(model._nodes_by_depth, reverse=True)
        for node in model._nodes_by_depth[depth]
    ]
    for node in nodes:
        inputs = builder.sources([id(tensor) for tensor in node.input_tensors])
        if not inputs:
            continue
        kind, shape = _keras_kind(node.operation, inputs)
        for output in node.output_tensors:
            if kind:
                builder.add(id(output), kind, shape, inputs, node.operation)
            else:
                builder.alias(id(output), inputs[0])
    return builder.bones


def _keras_kind(layer: Any, inputs: Ports) -> tuple[str, tuple[Any, ...]]:
    name = type(layer).__name__
    if name == "Conv2D":
        height, width, depth, filters = layer.kernel.shape
        return "conv", (height, width, depth, filters, *layer.strides, *layer.dilation_rate)
    if name == "DepthwiseConv2D":
        height, width, depth, multiplier = layer.kernel.shape
        return "depthwise", (
            height,
            width,
            depth * multiplier,
            *layer.strides,
            *layer.dilation_rate,
        )
    if name == "Dense":
        return "dense", tuple(layer.kernel.shape)
    if name in ("MaxPooling2D", "AveragePooling2D"):
        return "pool", (name[:3].upper(), *layer.pool_size, *layer.strides)
    if name == "Concatenate":
        return "concat", ()
    return ("merge", ()) if len(set(inputs)) > 1 else ("", ())


def match(source: list[Bone], target: list[Bone]) -> dict[int, int] | None:
    """Finds the target inside the source: the same nodes, fed by the same nodes.

    The source may go on after the target ends (a classifier's head). Nodes are told apart by
    colour refinement (Weisfeiler and Leman, 1968): first by what leads to them, then by what
    follows too; the order of a concatenation's inputs counts, that of a sum's does not. Nodes
    that are still alike after that are interchangeable, and are paired one at a time.

    Args:
        source: The larger skeleton.
        target: The smaller one.

    Returns:
        The source's index for each target index; None where the target is not in the source.
    """
    lineage_of_target = _lineage(target)
    wanted = set(lineage_of_target)
    kept = [i for i, colour in enumerate(_lineage(source)) if colour in wanted]
    if len(kept) != len(target):
        return None
    place = {old: new for new, old in enumerate(kept)}
    trimmed = [
        Bone(bone.kind, bone.shape, tuple(place[i] for i in bone.inputs), None)
        for bone in (source[i] for i in kept)
    ]
    fixed_source: dict[int, str] = {}
    fixed_target: dict[int, str] = {}
    while True:
        of_source, of_target = _refine(trimmed, fixed_source), _refine(target, fixed_target)
        if sorted(of_source) != sorted(of_target):
            return None
        twins = _first_ambiguous(of_target)
        if twins is None:
            by_colour = {colour: i for i, colour in enumerate(of_source)}
            return {t: kept[by_colour[colour]] for t, colour in enumerate(of_target)}
        tag = f"pair {len(fixed_target)}"
        fixed_target[twins] = tag
        fixed_source[of_source.index(of_target[twins])] = tag


def _digest(*parts: Any) -> str:
    return hashlib.blake2b(repr(parts).encode(), digest_size=12).hexdigest()


def _join(kind: str, colours: list[str]) -> list[str]:
    return sorted(colours) if kind == "merge" else colours


def _lineage(bones: list[Bone]) -> list[str]:
    colours: list[str] = []
    for bone in bones:
        feeders = _join(bone.kind, [colours[i] for i in bone.inputs])
        colours.append(_digest(bone.kind, bone.shape, feeders))
    return colours


def _refine(bones: list[Bone], fixed: Mapping[int, str]) -> list[str]:
    readers: list[list[tuple[int, int]]] = [[] for _ in bones]
    for i, bone in enumerate(bones):
        for port, feeder in enumerate(bone.inputs):
            readers[feeder].append((i, port if bone.kind == "concat" else 0))
    colours = [_digest(bone.kind, bone.shape, fixed.get(i)) for i, bone in enumerate(bones)]
    kinds = 0
    while len(set(colours)) != kinds:
        kinds = len(set(colours))
        colours = [
            _digest(
                colours[i],
                _join(bone.kind, [colours[feeder] for feeder in bone.inputs]),
                sorted((colours[reader], port) for reader, port in readers[i]),
            )
            for i, bone in enumerate(bones)
        ]
    return colours


def _first_ambiguous(colours: list[str]) -> int | None:
    seen: dict[str, int] = {}
    for i, colour in enumerate(colours):
        if colour in seen:
            return seen[colour]
        seen[colour] = i
    return None
