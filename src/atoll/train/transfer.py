"""Weights out of a TFLite model and into a Keras backbone, so that it can be trained again.

Coral's published models can no longer be loaded from their training checkpoints; what is left of
them are their 8-bit files. Their weights are dequantised, and the batch normalisation, which was
folded into them, becomes the identity plus a bias.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from atoll.errors import WeightsError
from atoll.evaluate.predict import predict
from atoll.framework import keras
from atoll.quiet import quiet
from atoll.runtime.interpreter import Interpreter
from atoll.runtime.model_input import input_spec
from atoll.runtime.soundness import check_sound
from atoll.tflite.reader import read_model
from atoll.train import skeleton
from atoll.train.backbones import BACKBONES, Backbone, check_size, find_backbone

if TYPE_CHECKING:
    from pathlib import Path

    from atoll.data.preprocessing import Preprocessing
    from atoll.tflite.graph import Operator, Subgraph, Tensor


@dataclass
class Transfer:
    """A backbone with the weights of a TFLite model.

    Attributes:
        source: The TFLite file.
        row: The backbone's row.
        alpha: Its width multiplier.
        preprocessing: What the TFLite model's input wants of a photo.
        model: The Keras network without a head.
        head: The last layer of the TFLite model, (kernel (features, classes), bias (classes,)),
            where it is a single one behind an average over the plane; else None.
        layers: How many weighted layers were filled.
        resized: Whether the network's input has another size than the file's.
    """

    source: Path
    row: Backbone
    alpha: float
    preprocessing: Preprocessing
    model: Any
    head: tuple[np.ndarray, np.ndarray] | None
    layers: int
    resized: bool = False

    def classifier(self) -> Any:
        """The whole network with the TFLite model's own last layer, giving logits.

        Returns:
            A keras.Model from normalised images to float32 (n, classes).

        Raises:
            WeightsError: The TFLite model does not end in one such layer.
        """
        if self.head is None:
            raise WeightsError(
                self.source,
                "its head must be one layer behind an average over the plane",
                received="another head",
                fix="Use its backbone alone",
            )
        layers = keras().layers
        kernel, bias = self.head
        x = layers.GlobalAveragePooling2D()(self.model.output)
        dense = layers.Dense(len(bias))
        model = keras().Model(self.model.input, dense(x))
        dense.set_weights([kernel, bias])
        return model


def from_tflite(
    path: Path, *, backbone: str | None = None, size: tuple[int, int] | None = None
) -> Transfer:
    """Reads a TFLite model's weights into the backbone that has its structure.

    Args:
        path: Any .tflite whose convolutions are those of a row of the table: quantised, float16
            or float32, with any head or none.
        backbone: A row's name; None finds it.
        size: (width, height) of the input; None takes the file's.

    Returns:
        The filled backbone.

    Raises:
        ModelError: The file is no TFLite model of one image, or is damaged.
        UsageError: There is no such backbone, or it does not take this size.
        WeightsError: No row, or not the one asked for, has its structure.
    """
    model = read_model(path)
    check_sound(model, path)
    graph = model.main
    preprocessing = input_spec(model, path).preprocessing
    resized = size is not None and size != (preprocessing.width, preprocessing.height)
    if size is not None:
        preprocessing = preprocessing.resized(*size)
    shape = (preprocessing.height, preprocessing.width, 3)
    bones = skeleton.of_tflite(graph)
    for row in _candidates(bones, backbone):
        if size is not None:
            check_size(row, *size)
        elif min(shape[:2]) < row.smallest:
            continue
        for alpha in row.alphas:
            network = row.build(shape, alpha)
            target = skeleton.of_keras(network)
            found = skeleton.match(bones, target)
            if found is None:
                continue
            layers = _fill(graph, bones, target, found, path)
            head = _read_head(graph, bones, found[len(target) - 1], network.output.shape[-1])
            return Transfer(path, row, alpha, preprocessing, network, head, layers, resized)
    raise WeightsError(
        path,
        f"it must have the structure of {backbone or 'one of the backbones'}",
        received=_counts_in_words(bones),
        fix="Choose a model of one of these: " + ", ".join(BACKBONES),
    )


def agreement(transfer: Transfer, pixels: np.ndarray) -> tuple[float, float]:
    """Runs the TFLite model and the filled network on the same photos.

    Args:
        transfer: A transfer with a head.
        pixels: uint8 (n, height, width, 3) at the TFLite model's own input size.

    Returns:
        The share of photos with the same top-1, and the share whose TFLite top-1 is among the
        network's first five.
    """
    classifier = transfer.classifier()
    logits = np.asarray(
        classifier(transfer.preprocessing.normalize(pixels), training=False), dtype=np.float32
    )
    with quiet():
        opened = Interpreter(transfer.source, device="cpu")
    with opened as interpreter:
        theirs = np.argmax(predict(interpreter, transfer.preprocessing, pixels), axis=1)
    order = np.argsort(-logits, axis=1)
    return float(np.mean(order[:, 0] == theirs)), float(
        np.mean((order[:, :5] == theirs[:, None]).any(axis=1))
    )


def check_agreement(transfer: Transfer, among_five: float) -> None:
    """Refuses a transfer whose network does not compute what the TFLite model does.

    The same layers in the same places may still pad or activate in another way. By chance, one
    of a network's first five answers among 1000 is the other's in 1 of 200 photos.

    Args:
        transfer: The transfer.
        among_five: As `agreement` found it.

    Raises:
        WeightsError: The share is below a half.
    """
    if among_five < 0.5:
        raise WeightsError(
            transfer.source,
            f"{transfer.row.name} with its weights must give its answers",
            received=f"the file's top-1 is among the network's first five in {among_five:.0%}",
            fix="It pads or activates in another way: choose another model",
        )


def _candidates(bones: list[skeleton.Bone], backbone: str | None) -> list[Backbone]:
    if backbone is not None:
        return [find_backbone(backbone)]
    have = _counts(bones)
    heads = 2
    return [
        row
        for row in BACKBONES.values()
        if row.convolutions[1] == have[1] and 0 <= have[0] - row.convolutions[0] <= heads
    ]


def _counts(bones: list[skeleton.Bone]) -> tuple[int, int]:
    kinds = [bone.kind for bone in bones]
    return kinds.count("conv"), kinds.count("depthwise")


def _counts_in_words(bones: list[skeleton.Bone]) -> str:
    convolutions, depthwise = _counts(bones)
    return f"{convolutions} CONV_2D and {depthwise} DEPTHWISE_CONV_2D"


def _fill(
    graph: Subgraph,
    bones: list[skeleton.Bone],
    target: list[skeleton.Bone],
    found: dict[int, int],
    path: Path,
) -> int:
    filled = 0
    for t, bone in enumerate(target):
        if bone.kind not in ("conv", "depthwise"):
            continue
        op = graph.operators[bones[found[t]].layer]
        kernel = _real(graph, op.inputs[1], path)
        bias = _bias(graph, op.inputs, path)
        if bone.kind == "conv":
            kernel = kernel.transpose(1, 2, 3, 0)
        else:
            kernel = kernel.reshape(bone.layer.kernel.shape)
        if not _scaled_when_run(graph, op):
            factor = _following_scale(bone.layer)
            kernel, bias = kernel / factor, None if bias is None else bias / factor
        _set_weights(bone.layer, kernel, bias, path)
        filled += 1
    return filled


def _set_weights(layer: Any, kernel: np.ndarray, bias: np.ndarray | None, path: Path) -> None:
    normalisation = _following_normalisation(layer)
    channels = layer.output.shape[-1]
    offset = np.zeros(channels, np.float32) if bias is None else bias
    if offset.shape != (channels,):
        raise WeightsError(
            path,
            f"layer {layer.name} must have {channels} biases",
            received=f"shape {list(offset.shape)}",
            fix="Get the file again",
        )
    if layer.use_bias:
        layer.set_weights([kernel, offset])
        offset = np.zeros_like(offset)
    else:
        layer.set_weights([kernel])
    if normalisation is not None:
        values = {
            "gamma": np.ones_like(offset),
            "beta": offset,
            "moving_mean": np.zeros_like(offset),
            "moving_variance": np.full_like(offset, 1.0 - normalisation.epsilon),
        }
        normalisation.set_weights([values[v.name] for v in normalisation.weights])
    elif not layer.use_bias and offset.any():
        raise WeightsError(
            path,
            f"layer {layer.name} has no place for a bias",
            received="a bias other than 0",
            fix="Choose a model of the same network",
        )


def _following_normalisation(layer: Any) -> Any:
    reader = _only_reader(layer)
    return reader if type(reader).__name__ == "BatchNormalization" else None


def _following_scale(layer: Any) -> float:
    """What Inception-ResNet multiplies a branch by: the converter folds it into the branch's end.

    Its layer computes inputs[0] + scale * inputs[1].
    """
    reader = _only_reader(layer)
    if type(reader).__name__ != "CustomScaleLayer" or reader.input[1] is not layer.output:
        return 1.0
    return float(reader.scale)


def _scaled_when_run(graph: Subgraph, op: Operator) -> bool:
    readers = graph.consumers().get(op.outputs[0], [])
    return any(graph.operators[i].type == "MUL" for i in readers)


def _only_reader(layer: Any) -> Any:
    readers = [node.operation for node in layer._outbound_nodes]
    return readers[0] if len(readers) == 1 else None


def _read_head(
    graph: Subgraph, bones: list[skeleton.Bone], last: int, features: int
) -> tuple[np.ndarray, np.ndarray] | None:
    """The one weighted layer behind the backbone, if it sees an average over the plane."""
    reached = {last}
    weighted = []
    for i, bone in enumerate(bones):
        if i > last and reached.intersection(bone.inputs):
            reached.add(i)
            if bone.kind in ("conv", "dense"):
                weighted.append(i)
            elif bone.kind != "pool" or not bone.shape[0].startswith("AVE"):
                return None
    if len(weighted) != 1:
        return None
    op = graph.operators[bones[weighted[0]].layer]
    kernel = _constant(graph, op.inputs[1])
    if kernel is None or not _is_dense(kernel):
        return None
    weights = dequantize(kernel)
    weights = weights.reshape(weights.shape[0], -1)
    if weights.shape[1] != features:
        return None
    bias = _constant(graph, op.inputs[2]) if len(op.inputs) > 2 and op.inputs[2] >= 0 else None
    offset = np.zeros(len(weights), np.float32) if bias is None else dequantize(bias)
    if offset.shape != (len(weights),):
        return None
    return np.ascontiguousarray(weights.T), offset


def _bias(graph: Subgraph, inputs: list[int], path: Path) -> np.ndarray | None:
    return _real(graph, inputs[2], path) if len(inputs) > 2 and inputs[2] >= 0 else None


def _real(graph: Subgraph, index: int, path: Path) -> np.ndarray:
    tensor = _constant(graph, index)
    if tensor is None:
        raise WeightsError(
            path,
            "its weights must be constants",
            received=f"tensor {graph.tensors[index].name!r}, computed when it runs",
            fix="Choose another model",
        )
    values = dequantize(tensor) if _is_dense(tensor) else np.array(np.nan)
    if not np.isfinite(values).all():
        raise WeightsError(
            path,
            "its weights must be finite numbers of 8 bits or more, and not sparse",
            received=f"{tensor.type} in tensor {tensor.name!r}",
            fix="Choose another model",
        )
    return values


def _is_dense(tensor: Tensor) -> bool:
    """Whether its data are its elements: not so for sparse tensors and for less than a byte."""
    return tensor.data is not None and tensor.data.shape == tensor.shape


def _constant(graph: Subgraph, index: int) -> Tensor | None:
    """A constant, seen through the DEQUANTIZE that float16 models put before their weights."""
    tensor = graph.tensors[index]
    if tensor.is_constant:
        return tensor
    producer = graph.producers().get(index)
    if producer is not None and graph.operators[producer].type == "DEQUANTIZE":
        return _constant(graph, graph.operators[producer].inputs[0])
    return None


def dequantize(tensor: Tensor) -> np.ndarray:
    """A constant tensor's real values.

    Args:
        tensor: Quantised per tensor or per channel, or float.

    Returns:
        float32 of the tensor's shape: scale * (stored - zero point).
    """
    assert tensor.data is not None
    quantization = tensor.quantization
    if quantization is None or tensor.data.dtype.kind == "f":
        return tensor.data.astype(np.float32)
    along = [1] * tensor.data.ndim
    if quantization.per_channel:
        along[quantization.axis] = -1
    scale = quantization.scale.astype(np.float64).reshape(along)
    zero_point = quantization.zero_point.astype(np.float64).reshape(along)
    return ((tensor.data.astype(np.float64) - zero_point) * scale).astype(np.float32)
