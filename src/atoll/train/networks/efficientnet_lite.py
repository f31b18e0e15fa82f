"""EfficientNet-Lite0: EfficientNet-B0 with ReLU6, no squeeze-and-excite, a fixed stem and head.

Source: Google's EfficientNet-Lite (2020); the stage table is EfficientNet-B0's (Tan and Le, 2019).
"""

from __future__ import annotations

from typing import Any

from atoll.framework import keras

# (kernel, repeats, filters, expansion, stride) of each stage.
_STAGES = (
    (3, 1, 16, 1, 1),
    (3, 2, 24, 6, 2),
    (5, 2, 40, 6, 2),
    (3, 3, 80, 6, 2),
    (5, 3, 112, 6, 1),
    (5, 4, 192, 6, 2),
    (3, 1, 320, 6, 1),
)
_STEM, _HEAD = 32, 1280


def build(shape: tuple[int, int, int], alpha: float) -> Any:
    """The network without its head.

    Args:
        shape: (height, width, 3).
        alpha: Must be 1: Lite0 has one width.

    Returns:
        A keras.Model from float images to a feature map of 1280 channels.
    """
    del alpha
    inputs = keras().Input(shape, name="image")
    x = _convolution(inputs, _STEM, 3, 2, "stem")
    for stage, (kernel, repeats, filters, expansion, stride) in enumerate(_STAGES, start=1):
        for repeat in range(repeats):
            name = f"block{stage}{chr(ord('a') + repeat)}"
            x = _block(x, kernel, filters, expansion, stride if repeat == 0 else 1, name)
    x = _convolution(x, _HEAD, 1, 1, "head")
    return keras().Model(inputs, x, name="efficientnet_lite0")


def _block(x: Any, kernel: int, filters: int, expansion: int, stride: int, name: str) -> Any:
    layers = keras().layers
    channels = x.shape[-1]
    y = x
    if expansion != 1:
        y = _convolution(y, channels * expansion, 1, 1, f"{name}_expand")
    y = layers.DepthwiseConv2D(
        kernel, strides=stride, padding="same", use_bias=False, name=f"{name}_dw"
    )(y)
    y = layers.BatchNormalization(name=f"{name}_dw_bn")(y)
    y = layers.ReLU(6.0, name=f"{name}_dw_relu")(y)
    y = layers.Conv2D(filters, 1, use_bias=False, name=f"{name}_project")(y)
    y = layers.BatchNormalization(name=f"{name}_project_bn")(y)
    if stride == 1 and channels == filters:
        y = layers.Add(name=f"{name}_add")([x, y])
    return y


def _convolution(x: Any, filters: int, kernel: int, stride: int, name: str) -> Any:
    layers = keras().layers
    x = layers.Conv2D(
        filters, kernel, strides=stride, padding="same", use_bias=False, name=f"{name}_conv"
    )(x)
    x = layers.BatchNormalization(name=f"{name}_bn")(x)
    return layers.ReLU(6.0, name=f"{name}_relu")(x)
