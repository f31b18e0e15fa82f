"""Where the elements of an output lie in what the tiles send, checked before it is followed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from atoll.edgetpu.package_tables import Layer, OutputLayout, OutputShapeInfo


def largest_byte(layer: Layer, layout: OutputLayout | None, element_bytes: int) -> int | None:
    """The last byte that the driver reads when it brings an output into order.

    Args:
        layer: The output.
        layout: Its layout; None where it has none.
        element_bytes: The bytes of an element.

    Returns:
        The byte's place, of the first time that it is sent in a call; None where the layout does
        not fit the layer's shape.
    """
    y, x, z = layer.y_dim, layer.x_dim, layer.z_dim
    if min(y, x, z) < 1:
        return None
    if y == x == 1:
        # One pixel is copied as it is.
        return z * element_bytes - 1
    if layout is None:
        return None
    maps = [layout.y_tile, layout.y_local, layout.x_tile, layout.x_local, layout.x_row_size]
    if [len(each) for each in maps] != [y, y, x, x, x] or not layout.tile_offset:
        return None
    first = pixel_places(layer, layout)
    return None if first is None or first.min() < 0 else int(first.max() + z) * element_bytes - 1


def pixel_places(layer: Layer, layout: OutputLayout) -> np.ndarray | None:
    """Where each pixel of an output lies, by the formula of `OutputLayout`.

    Args:
        layer: The output.
        layout: Its layout, with at least an entry for each row and each column.

    Returns:
        int64 [y_dim, x_dim], the place of each pixel's first element, which may be any number; None
        where the layout names a tile that is not there.
    """
    y_tile, y_local = (
        np.array(each[: layer.y_dim], np.int64)[:, None] for each in (layout.y_tile, layout.y_local)
    )
    x_tile, x_local, x_row_size = (
        np.array(each[: layer.x_dim], np.int64)
        for each in (layout.x_tile, layout.x_local, layout.x_row_size)
    )
    tiles = y_tile + x_tile
    if tiles.min() < 0 or tiles.max() >= len(layout.tile_offset):
        return None
    tile_offset = np.array(layout.tile_offset, np.int64)[tiles]
    places: np.ndarray = tile_offset + y_local * x_row_size + x_local
    return places


def slices_fit(layer: Layer, info: OutputShapeInfo | None, element_bytes: int) -> bool:
    """Whether the slices of an output lie within what is sent, and within the output itself.

    Args:
        layer: The output.
        info: Its slices; None where it is not sent in slices.
        element_bytes: The bytes of an element.

    Returns:
        Whether they do.
    """
    if info is None:
        return True
    whole = layer.shape.dimensions if layer.shape is not None else ()
    if len(info.slice_layout) != len(info.slice_offset) or not info.slice_layout:
        return False
    for layout, offset in zip(info.slice_layout, info.slice_offset, strict=True):
        ranges = layout.shape.dimensions if layout.shape is not None else ()
        if not len(ranges) == len(layout.stride) == len(whole) or min(layout.stride, default=1) < 0:
            return False
        pairs = zip(ranges, whole, strict=True)
        if any(not least <= first <= last <= most for (first, last), (least, most) in pairs):
            return False
        steps = zip(ranges, layout.stride, strict=True)
        elements = 1 + sum((last - first) * stride for (first, last), stride in steps)
        if not 0 <= offset <= offset + elements * element_bytes <= layer.size_bytes:
            return False
    return True
