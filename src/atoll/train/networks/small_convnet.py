"""A small convolutional network for tiny images (digits, CIFAR, icons), trained from scratch."""

from __future__ import annotations

from typing import Any

from atoll.framework import keras

# (filters, stride) of each 3x3 convolution. The early strides keep it fast on a CPU; no filter
# count exceeds 128, so all weights stay in the chip's cache.
_LAYERS = ((32, 1), (48, 2), (64, 1), (96, 2), (128, 1), (128, 2))


def build(shape: tuple[int, int, int], alpha: float) -> Any:
    """The network without its head.

    Args:
        shape: (height, width, 3).
        alpha: Width multiplier on the filters.

    Returns:
        A keras.Model from float images to a feature map an eighth of their size.
    """
    layers = keras().layers
    inputs = keras().Input(shape, name="image")
    x = inputs
    for number, (filters, stride) in enumerate(_LAYERS, start=1):
        x = layers.Conv2D(
            int(filters * alpha),
            3,
            strides=stride,
            padding="same",
            use_bias=False,
            kernel_initializer="he_normal",
            name=f"conv{number}",
        )(x)
        x = layers.BatchNormalization(momentum=0.9, name=f"conv{number}_bn")(x)
        x = layers.ReLU(name=f"conv{number}_relu")(x)
    return keras().Model(inputs, x, name="small_convnet")
