"""The one way from a photo to numbers: training, calibration, evaluation and serving share it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from PIL import Image

from atoll.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def stretch(image: Image.Image, width: int, height: int) -> Image.Image:
    """The whole photo, its proportions given up."""
    return image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=3.0)


def crop(image: Image.Image, width: int, height: int) -> Image.Image:
    """The largest part of the photo's middle that has the proportions of the input."""
    scale = min(image.width / width, image.height / height)
    # Rounding must not carry the box out of the photo.
    wide, high = min(scale * width, image.width), min(scale * height, image.height)
    left, top = (image.width - wide) / 2, (image.height - high) / 2
    return image.resize(
        (width, height),
        Image.Resampling.BILINEAR,
        box=(left, top, left + wide, top + high),
        reducing_gap=3.0,
    )


RESIZES: dict[str, Callable[[Image.Image, int, int], Image.Image]] = {
    "stretch": stretch,
    "crop": crop,
}


@dataclass(frozen=True)
class Preprocessing:
    """How a photo becomes a model's input: resized, its channels ordered, (pixel - mean) / std.

    Attributes:
        width: Input width in pixels.
        height: Input height in pixels.
        mean: One value a channel, in `channel_order`, in pixel units (0 to 255).
        std: One value a channel, in `channel_order`, in pixel units.
        channel_order: The order of the channels in the model's input.
        resize: A key of RESIZES.
    """

    width: int
    height: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    channel_order: Literal["rgb", "bgr"] = "rgb"
    resize: str = "crop"

    def pixels(self, image: Image.Image) -> np.ndarray:
        """An RGB image resized to the input.

        Args:
            image: A photo in mode RGB.

        Returns:
            uint8 of shape (height, width, 3), in RGB order.
        """
        resized = image
        if image.size != (self.width, self.height):
            resized = RESIZES[self.resize](image, self.width, self.height)
        return np.asarray(resized)

    def normalize(self, pixels: np.ndarray) -> np.ndarray:
        """Pixels as a float model wants them.

        Args:
            pixels: uint8 or float of shape (..., height, width, 3), RGB, 0 to 255.

        Returns:
            float32 of the same shape, in `channel_order`.
        """
        ordered = pixels[..., ::-1] if self.channel_order == "bgr" else pixels
        mean, std = np.array(self.mean, np.float32), np.array(self.std, np.float32)
        normal: np.ndarray = (ordered.astype(np.float32) - mean) / std
        return normal

    def quantize(
        self, pixels: np.ndarray, scale: float, zero_point: int, dtype: np.dtype | type
    ) -> np.ndarray:
        """Pixels as a quantised model wants them: by a table of 256 values a channel.

        Args:
            pixels: uint8 of shape (..., height, width, 3), RGB.
            scale: The input tensor's scale.
            zero_point: The input tensor's zero point.
            dtype: The input tensor's type, int8 or uint8.

        Returns:
            `dtype` of the same shape, in `channel_order`.
        """
        ordered = pixels[..., ::-1] if self.channel_order == "bgr" else pixels
        table = _quantization_table(self, float(scale), int(zero_point), np.dtype(dtype))
        if (table == table[:, :1]).all():
            one = table[:, 0]
            identity = one.dtype == np.uint8 and np.array_equal(one, np.arange(256))
            return ordered if identity else np.take(one, ordered)
        return np.asarray(table[ordered, np.arange(3)])

    def resized(self, width: int, height: int) -> Preprocessing:
        """The same for another input size."""
        return replace(self, width=width, height=height)

    def to_json(self) -> dict[str, Any]:
        """As plain data, for preprocessing.json and the model's metadata."""
        document = asdict(self)
        return document | {"mean": list(self.mean), "std": list(self.std)}

    @classmethod
    def from_json(cls, document: Mapping[str, Any], source: object) -> Preprocessing:
        """Reads what `to_json` wrote.

        Args:
            document: The plain data.
            source: Where it comes from, for the message.

        Raises:
            ModelError: A field is missing or holds what it cannot.
        """
        try:
            read = cls(
                width=int(document["width"]),
                height=int(document["height"]),
                mean=_three(document["mean"]),
                std=_three(document["std"]),
                channel_order=document["channel_order"],
                resize=document["resize"],
            )
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise _bad(source, f"{type(error).__name__} {error}") from error
        sane = (
            0 < read.width <= 8192
            and 0 < read.height <= 8192
            and np.isfinite((*read.mean, *read.std)).all()
            and all(value > 0 for value in read.std)
            and read.channel_order in ("rgb", "bgr")
            and read.resize in tuple(RESIZES)
        )
        if not sane:
            raise _bad(source, read)
        return read


def _three(values: Any) -> tuple[float, float, float]:
    one, two, three = (float(value) for value in values)
    return one, two, three


def _bad(source: object, received: object) -> ModelError:
    return ModelError(
        source,
        "its preprocessing must give width, height, mean, std, channel_order and resize",
        received=received,
        fix="Export the model again with atoll build",
    )


@lru_cache(maxsize=64)
def _quantization_table(
    preprocessing: Preprocessing, scale: float, zero_point: int, dtype: np.dtype
) -> np.ndarray:
    mean, std = np.array(preprocessing.mean), np.array(preprocessing.std)
    real = (np.arange(256)[:, None] - mean) / std
    limits = np.iinfo(dtype)
    table = np.clip(np.rint(real / scale + zero_point), limits.min, limits.max)
    return np.asarray(table, dtype)
