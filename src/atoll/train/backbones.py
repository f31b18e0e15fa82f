"""The backbones: one table, a row each, and how a row becomes a Keras network."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from atoll.data.preprocessing import Preprocessing
from atoll.errors import UsageError
from atoll.framework import keras

if TYPE_CHECKING:
    from collections.abc import Callable

    Builder = Callable[[tuple[int, int, int], float], Any]

# Keras feeds these networks pixel / 127.5 - 1. With 128 in both places a pixel differs by at most
# 0.008 and is then exactly the 8-bit input value, as in Coral's own models (scale 1/128, zero
# point 128): a program may hand its photo to the interpreter as it is.
_SIGNED = ((128.0, 128.0, 128.0), (128.0, 128.0, 128.0))
_CAFFE = ((103.939, 116.779, 123.68), (1.0, 1.0, 1.0))


@dataclass(frozen=True)
class Backbone:
    """A row of the table.

    Attributes:
        name: As in `--backbone`.
        build: Makes the network without its head from an input shape and a width multiplier.
        size: The default input size in pixels.
        smallest: The smallest input size.
        multiple: Input sizes are multiples of this.
        alphas: The width multipliers that there are.
        mean: What is taken from a pixel, a channel, in `channel_order`.
        std: What it is then divided by.
        channel_order: The order of the input's channels.
        cut: The layer whose output the last blocks start from: what comes before stays frozen in
            the second pass. Empty for a network that is only ever trained whole.
        application: Its name in keras.applications, which publishes ImageNet weights for it;
            empty where there are none.
        convolutions: How many CONV_2D and DEPTHWISE_CONV_2D it has, by which a TFLite model of
            the same network is found.
        edgetpu: What the Edge TPU thinks of it, with the source of the statement.
    """

    name: str
    build: Builder
    size: int
    smallest: int
    multiple: int
    alphas: tuple[float, ...]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    channel_order: str
    cut: str
    application: str
    convolutions: tuple[int, int]
    edgetpu: str

    def preprocessing(self, width: int, height: int) -> Preprocessing:
        """How a photo is prepared for this network at a given input size."""
        return Preprocessing(
            width=width,
            height=height,
            mean=self.mean,
            std=self.std,
            channel_order="bgr" if self.channel_order == "bgr" else "rgb",
        )


def _application(name: str, *, has_alpha: bool = False) -> Builder:
    def build(shape: tuple[int, int, int], alpha: float) -> Any:
        width = {"alpha": alpha} if has_alpha else {}
        return getattr(keras().applications, name)(
            input_shape=shape, include_top=False, weights=None, **width
        )

    return build


def _own(module: str) -> Builder:
    def build(shape: tuple[int, int, int], alpha: float) -> Any:
        return import_module(f"atoll.train.networks.{module}").build(shape, alpha)

    return build


_ROWS = (
    Backbone(
        name="mobilenet_v1",
        build=_application("MobileNet", has_alpha=True),
        size=224,
        smallest=32,
        multiple=32,
        alphas=(0.25, 0.5, 0.75, 1.0),
        mean=_SIGNED[0],
        std=_SIGNED[1],
        channel_order="rgb",
        cut="conv_pw_12_relu",
        application="MobileNet",
        convolutions=(14, 13),
        edgetpu="Maps whole and fits the cache; 2.4 ms at 224 over USB 3 (vendor document).",
    ),
    Backbone(
        name="mobilenet_v2",
        build=_application("MobileNetV2", has_alpha=True),
        size=224,
        smallest=32,
        multiple=32,
        alphas=(0.35, 0.5, 0.75, 1.0, 1.3, 1.4),
        mean=_SIGNED[0],
        std=_SIGNED[1],
        channel_order="rgb",
        cut="block_13_project_BN",
        application="MobileNetV2",
        convolutions=(35, 17),
        edgetpu="Maps whole and fits the cache (compiled file); the best start for most data.",
    ),
    Backbone(
        name="inception_v3",
        build=_application("InceptionV3"),
        size=299,
        smallest=75,
        multiple=1,
        alphas=(1.0,),
        mean=_SIGNED[0],
        std=_SIGNED[1],
        channel_order="rgb",
        cut="mixed8",
        application="InceptionV3",
        convolutions=(94, 0),
        edgetpu="Maps; larger than the cache, so part of its weights is sent at every call "
        "(inferred from its 22 MB of parameters).",
    ),
    Backbone(
        name="resnet50",
        build=_application("ResNet50"),
        size=224,
        smallest=32,
        multiple=1,
        alphas=(1.0,),
        mean=_CAFFE[0],
        std=_CAFFE[1],
        channel_order="bgr",
        cut="conv5_block1_out",
        application="ResNet50",
        convolutions=(53, 0),
        edgetpu="Maps; three times the cache, most weights are sent at every call: 49 ms at 299 "
        "over USB 3 (vendor document).",
    ),
    Backbone(
        name="vgg16",
        build=_application("VGG16"),
        size=224,
        smallest=32,
        multiple=1,
        alphas=(1.0,),
        mean=_CAFFE[0],
        std=_CAFFE[1],
        channel_order="bgr",
        cut="block4_pool",
        application="VGG16",
        convolutions=(13, 0),
        edgetpu="Maps, and is slow: 296 ms at 224 over USB 3 with its dense layers (vendor "
        "document); this head leaves those out.",
    ),
    Backbone(
        name="inception_resnet_v2",
        build=_application("InceptionResNetV2"),
        size=299,
        smallest=75,
        multiple=1,
        alphas=(1.0,),
        mean=_SIGNED[0],
        std=_SIGNED[1],
        channel_order="rgb",
        cut="block8_8_ac",
        application="InceptionResNetV2",
        convolutions=(244, 0),
        edgetpu="Maps; seven times the cache: 57 ms at 299 over USB 3 (vendor document). "
        "Quantisation has been seen to cost it much accuracy.",
    ),
    Backbone(
        name="efficientnet_lite0",
        build=_own("efficientnet_lite"),
        size=224,
        smallest=32,
        multiple=32,
        alphas=(1.0,),
        mean=(127.0, 127.0, 127.0),
        std=(128.0, 128.0, 128.0),
        channel_order="rgb",
        cut="block6c_add",
        application="",
        convolutions=(33, 16),
        edgetpu="Made for such chips: no swish, no squeeze-and-excite. No published latency "
        "(unknown).",
    ),
    Backbone(
        name="small_convnet",
        build=_own("small_convnet"),
        size=64,
        smallest=16,
        multiple=1,
        alphas=(0.5, 1.0, 2.0),
        mean=_SIGNED[0],
        std=_SIGNED[1],
        channel_order="rgb",
        cut="",
        application="",
        convolutions=(6, 0),
        edgetpu="Maps whole; under 1 MB (inferred from its layers).",
    ),
)

BACKBONES: dict[str, Backbone] = {row.name: row for row in _ROWS}


def find_backbone(name: str) -> Backbone:
    """A row by its name.

    Raises:
        UsageError: There is no such row.
    """
    if name not in BACKBONES:
        raise UsageError(
            "--backbone",
            "there is no such backbone",
            received=name,
            fix=f"Choose one of: {', '.join(BACKBONES)}",
        )
    return BACKBONES[name]


def check_size(row: Backbone, width: int, height: int) -> None:
    """Holds an input size against what the network can take.

    Raises:
        UsageError: It is too small, too large, or no multiple of what the network needs.
    """
    for side in (width, height):
        if not row.smallest <= side <= 1024 or side % row.multiple:
            multiple = f", a multiple of {row.multiple}" if row.multiple > 1 else ""
            raise UsageError(
                "--size",
                f"{row.name} takes {row.smallest} to 1024 pixels{multiple}",
                received=f"{width}x{height}",
                fix=f"Leave --size out for {row.size}, or choose another",
            )


def check_alpha(row: Backbone, alpha: float) -> None:
    """Holds a width multiplier against those that the row has.

    Raises:
        UsageError: It has no such one.
    """
    if alpha not in row.alphas:
        raise UsageError(
            "--alpha",
            f"{row.name} comes in the widths {', '.join(map(str, row.alphas))}",
            received=alpha,
            fix="Choose one of these",
        )
