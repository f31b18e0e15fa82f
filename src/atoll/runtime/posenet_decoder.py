"""PosenetDecoderOp, the custom operator of Coral's PoseNet and BodyPix models, in Python.

Source of its payload, tensors and constants: google-coral/libcoral, posenet_decoder_op.cc.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from atoll.errors import ModelError
from atoll.runtime.posenet_poses import EDGES, PARTS, decode_poses, instance_masks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from atoll.tflite.graph import Model, Quantization, Tensor

NAME = "PosenetDecoderOp"

# How many numbers each input has a cell: heatmaps, short, mid and long offsets.
_CHANNELS = (PARTS, 2 * PARTS, 4 * EDGES, 2 * PARTS)
# Memory is taken for so many poses before any is found.
_MOST_POSES = 10_000


@dataclass(frozen=True)
class Settings:
    """What the operator's payload says.

    Attributes:
        max_detections: The most poses that are given.
        score_threshold: Poses and parts below it are none, 0 to 1.
        stride: Input pixels a cell of the maps.
        nms_radius: Pixels within which two parts of one kind are the same.
    """

    max_detections: int
    score_threshold: float
    stride: int
    nms_radius: float


def read_settings(payload: bytes) -> Settings:
    """Reads the payload, a FlexBuffer. Raises ModelError."""
    from flatbuffers import flexbuffers

    try:
        found: Any = flexbuffers.Loads(payload)
        settings = Settings(
            max_detections=int(found["max_detections"]),
            score_threshold=float(found["score_threshold"]),
            stride=int(found["stride"]),
            nms_radius=float(found["nms_radius"]),
        )
    except Exception as error:  # the reader lets out whatever the bytes drive it into
        raise _bad("its options must be readable", f"{type(error).__name__}: {error}") from error
    sane = (
        0 < settings.max_detections <= _MOST_POSES
        and 0 < settings.stride <= 1024
        and math.isfinite(settings.nms_radius)
        and settings.nms_radius >= 0
        and 0 <= settings.score_threshold < 1
    )
    if not sane:
        raise _bad("its options must make sense", str(settings))
    return settings


class PosenetDecoder:
    """The operator's kernel.

    Args:
        settings: What the payload says.
        quantizations: Of each input; None for one that holds real numbers.
    """

    def __init__(self, settings: Settings, quantizations: Sequence[Quantization | None]) -> None:
        self._settings = settings
        self._quantizations = list(quantizations)

    def output_shapes(self, input_shapes: Sequence[tuple[int, ...]]) -> list[tuple[int, ...]]:
        """The shapes of what it gives, which not every file says.

        Args:
            input_shapes: Heatmaps (1, h, w, 17), short offsets (1, h, w, 34), mid offsets
                (1, h, w, 64) and, where instance masks are wanted, long offsets (1, h, w, 34).

        Returns:
            Of keypoints, their scores, the poses' scores, their count and, with long offsets, the
            masks.

        Raises:
            ModelError: The inputs are not these.
        """
        if len(input_shapes) not in (3, 4):
            raise _bad("it has three or four inputs", str(len(input_shapes)))
        _, height, width, _ = input_shapes[0] if len(input_shapes[0]) == 4 else (0, 0, 0, 0)
        for shape, channels in zip(input_shapes, _CHANNELS, strict=False):
            if shape != (1, height, width, channels) or height < 1 or width < 1:
                raise _bad(
                    f"an input has the shape [1, h, w, {channels}], h and w the same for all",
                    str(list(shape)),
                )
        most = self._settings.max_detections
        shapes: list[tuple[int, ...]] = [(1, most, PARTS, 2), (1, most, PARTS), (1, most), (1,)]
        return [*shapes, (1, most, height, width)] if len(input_shapes) == 4 else shapes

    def __call__(self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> None:
        """Fills the outputs from the inputs; what lies beyond the count is 0."""
        settings = self._settings
        heatmaps, *offsets = (
            _real(values, quantization)[0]
            for values, quantization in zip(inputs, self._quantizations, strict=True)
        )
        short, mid, *long = (values / np.float32(settings.stride) for values in offsets)
        poses = decode_poses(
            heatmaps,
            short,
            mid,
            most=settings.max_detections,
            threshold=settings.score_threshold,
            radius=settings.nms_radius / settings.stride,
        )
        count = len(poses.scores)
        for output in outputs:
            output[...] = 0
        outputs[0][0, :count] = poses.points * settings.stride
        outputs[1][0, :count] = poses.part_scores
        outputs[2][0, :count] = poses.scores
        outputs[3][...] = count
        if long:
            outputs[4][0, :count] = instance_masks(long[0], poses.points)


def posenet_decoder(model: Model, index: int, payload: bytes) -> PosenetDecoder:
    """The kernel of one operator.

    Args:
        model: The model that it is in.
        index: Its place among the operators of its name in the main subgraph.
        payload: Its options.

    Raises:
        ModelError: Its options or inputs are not what they must be.
    """
    graph = model.main
    op = [op for op in graph.operators if op.custom_name == NAME][index]
    tensors = [graph.tensors[i] for i in op.inputs if i >= 0]
    for tensor in tensors:
        _check(tensor)
    return PosenetDecoder(read_settings(payload), [tensor.quantization for tensor in tensors])


def _check(tensor: Tensor) -> None:
    scaled = tensor.quantization is not None and not tensor.quantization.per_channel
    if tensor.type != "FLOAT32" and not (tensor.type in ("UINT8", "INT8") and scaled):
        raise _bad("its inputs are FLOAT32, or 8 bits with a scale", tensor.type)


def _real(values: np.ndarray, quantization: Quantization | None) -> np.ndarray:
    if quantization is None or values.dtype.kind == "f":
        return values.astype(np.float32, copy=False)
    shifted: np.ndarray = values.astype(np.float32) - np.float32(quantization.zero_point[0])
    return shifted * np.float32(quantization.scale[0])


def _bad(rule: str, received: str) -> ModelError:
    return ModelError(NAME, rule, received=received, fix="Get the model again")
