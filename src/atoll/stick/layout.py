"""How tensors lie in what goes to the chip and comes from it (docs/format.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from atoll.edgetpu.package_layout import pixel_places
from atoll.edgetpu.package_part import ELEMENT_BYTES
from atoll.edgetpu.package_tables import DataType, OutputLayer
from atoll.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable

    from atoll.edgetpu.package_tables import Layer, OutputLayout

# Of these the chip has the highest bit the other way round.
_FLIPPED = (DataType.SIGNED_FIXED_POINT8, DataType.SIGNED_FIXED_POINT16)
# What the chip puts between the elements is not known: a driver must not depend on it.
_PADDING = 0xCC
_MOST_BYTES = 1 << 28


class LayerLayout:
    """Where the elements of one input or output lie.

    Args:
        layer: What the compiled file says of it.
        source: What to call the file in a message.

    Attributes:
        name: The layer's name.
        size: Bytes that are sent, padding included.
        tensor_bytes: Bytes of the tensor itself.
        steady_bytes: Bytes from the start that are the same whenever they are sent. Behind them the
            published driver sends what lies in memory behind the tensor.

    Raises:
        ModelError: The layer contradicts itself, or is laid out in a way that is not known.
    """

    def __init__(self, layer: Layer, source: object) -> None:
        self.name = layer.name
        self.size = layer.size_bytes
        self._source = source
        sizes = (layer.y_dim, layer.x_dim, layer.z_dim, layer.execution_count_per_inference)
        width = ELEMENT_BYTES[layer.data_type]
        if min(sizes) < 1 or not 0 < self.size <= _MOST_BYTES or self.size % width:
            raise self._damaged("its sizes must be sound", f"{self.size} bytes for {sizes}")
        self.tensor_bytes = int(np.prod(sizes, dtype=object)) * width
        if self.tensor_bytes > self.size:
            raise self._damaged("it must hold its tensor", f"{self.size} bytes for {sizes}")
        self._type = np.dtype(f"<u{width}")
        self._flip = layer.data_type in _FLIPPED
        self._places = self._find_places(layer)
        self.steady_bytes = self.tensor_bytes if self._places is None else self.size

    def from_chip(self, data: np.ndarray) -> np.ndarray:
        """A tensor from the bytes of its buffer.

        Args:
            data: uint8 [size].

        Returns:
            uint8 [tensor_bytes], the tensor's bytes as TFLite has them.
        """
        elements = data.view(self._type)
        places = self._places
        taken = elements[: self._count] if places is None else elements[places]
        return (taken ^ self._top if self._flip else taken.copy()).view(np.uint8)

    def to_chip(self, tensor: np.ndarray) -> np.ndarray:
        """The buffer of a tensor.

        Args:
            tensor: Of any shape and type, `tensor_bytes` long.

        Returns:
            uint8 [size].
        """
        given = np.ascontiguousarray(tensor).reshape(-1).view(self._type)
        elements = np.full(self.size // self._type.itemsize, _padding(self._type), self._type)
        values = given ^ self._top if self._flip else given
        if self._places is None:
            elements[: self._count] = values
        else:
            elements[self._places] = values
        return elements.view(np.uint8)

    @property
    def _count(self) -> int:
        return self.tensor_bytes // self._type.itemsize

    @property
    def _top(self) -> np.ndarray:
        return np.array(1 << (8 * self._type.itemsize - 1), self._type)

    def _find_places(self, layer: Layer) -> np.ndarray | None:
        """The element that each of the tensor's lies at; None where it is the same one."""
        executions = layer.execution_count_per_inference
        if isinstance(layer.kind, OutputLayer):
            if layer.kind.shape_info is not None:
                raise self._damaged("its layout must be known", "an output in slices")
            if layer.y_dim * layer.x_dim > 1 and executions > 1:
                raise self._damaged("its layout must be known", f"{executions} executions")
            if layer.y_dim * layer.x_dim > 1 and layer.kind.layout is not None:
                return self._checked(_tile_places(layer, layer.kind.layout, self._damaged))
        if executions == 1:
            return None
        # Each execution's share is padded by itself.
        share, padded = self._count // executions, self.size // self._type.itemsize // executions
        starts = np.arange(executions) * padded
        return self._checked((starts[:, None] + np.arange(share)).reshape(-1))

    def _checked(self, places: np.ndarray) -> np.ndarray | None:
        room = self.size // self._type.itemsize
        used = np.zeros(room, bool)
        if places.size and (places.min() < 0 or places.max() >= room):
            raise self._damaged("its elements must lie within it", f"element {places.max()}")
        used[places] = True
        if np.count_nonzero(used) != places.size:
            raise self._damaged("no two of its elements may lie at one place", f"{room} places")
        return None if np.array_equal(places, np.arange(places.size)) else places

    def _damaged(self, rule: str, received: str) -> ModelError:
        return ModelError(
            self._source,
            f"layer {self.name!r}: {rule}",
            received=received,
            fix="Compile the model again",
        )


def _tile_places(
    layer: Layer, layout: OutputLayout, damaged: Callable[[str, str], ModelError]
) -> np.ndarray:
    """Where the tiles put the element (y, x, z): see `OutputLayout`."""
    rows = min(len(layout.y_tile), len(layout.y_local))
    columns = min(len(layout.x_tile), len(layout.x_local), len(layout.x_row_size))
    if rows < layer.y_dim or columns < layer.x_dim:
        raise damaged("its maps must have an entry a row and a column", "shorter ones")
    pixels = pixel_places(layer, layout)
    if pixels is None:
        raise damaged("its tiles must be there", f"none of its {len(layout.tile_offset)}")
    places: np.ndarray = pixels[:, :, None] + np.arange(layer.z_dim)
    return places.reshape(-1)


def _padding(dtype: np.dtype) -> int:
    return int.from_bytes(bytes([_PADDING] * dtype.itemsize), "little")
