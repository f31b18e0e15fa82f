"""How an output lies in what the 4 x 4 tiles of the chip send."""

from itertools import accumulate, pairwise

TILES = 4
# Between the tiles' shares, so that nobody takes them for one.
_GAP = 8


def tiles(height: int, width: int, depth: int) -> tuple[list[list[int]], int]:
    """The six maps of an output in tiles, and its size in bytes.

    Rows and columns are cut where Google's compiler cuts them; a pixel's channels are padded to 4.
    """
    y_tile, y_local, _ = _cut(height)
    x_tile, x_local, x_width = _cut(width)
    pixel = -(-depth // 4) * 4
    rows, columns = max(y_tile) + 1, max(x_tile) + 1
    heights = [y_tile.count(t) for t in range(rows)]
    widths = [x_tile.count(t) for t in range(columns)]
    sizes = [h * w * pixel for h in heights for w in widths]
    offsets = [0, *accumulate(size + _GAP for size in sizes)]
    maps = [
        [t * columns for t in y_tile],
        x_tile,
        offsets[:-1],
        [x * pixel for x in x_local],
        y_local,
        [w * pixel for w in x_width],
    ]
    return maps, offsets[-1]


def _cut(size: int) -> tuple[list[int], list[int], list[int]]:
    """For each place its tile, its place within, and the tile's size."""
    bounds = sorted({-(-size * k // TILES) for k in range(TILES + 1)})
    tile, local, width = [], [], []
    for number, (start, end) in enumerate(pairwise(bounds)):
        tile += [number] * (end - start)
        local += range(end - start)
        width += [end - start] * (end - start)
    return tile, local, width
