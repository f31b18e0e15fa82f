"""Many photos to one array of pixels, on every processor core, in bounded memory."""

from __future__ import annotations

import itertools
import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import IO, TYPE_CHECKING

import numpy as np

from atoll import files
from atoll.data.decode import MAX_PIXELS, UnreadablePhoto, decode
from atoll.data.listing import Photo, Skipped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from atoll.data.preprocessing import Preprocessing

DRAFT = 2
"""A JPEG is decoded at no less than this many times the input's width and height.

At twice, photos of 12 megapixels load three times as fast as whole ones and their pixels differ
from those by 0.1 to 0.2 of 255 on average; at once, small photos lose detail (1.6 of 255).
"""

# Photos decoded ahead of the one that is waited for, a worker.
_AHEAD = 8


def read_pixels(
    source: Path | IO[bytes], preprocessing: Preprocessing, *, max_pixels: int = MAX_PIXELS
) -> np.ndarray:
    """One photo as the model's pixels: the same numbers in training, measuring and serving.

    Args:
        source: The file, or an open one.
        preprocessing: The model's.
        max_pixels: The most pixels the photo may have.

    Returns:
        uint8 of shape (height, width, 3), in RGB order.

    Raises:
        UnreadablePhoto: It gives no photo.
    """
    size = DRAFT * preprocessing.width, DRAFT * preprocessing.height
    return preprocessing.pixels(decode(source, max_pixels=max_pixels, draft_size=size))


def load_pixels(
    photos: Sequence[Photo],
    root: Path,
    preprocessing: Preprocessing,
    destination: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
    workers: int | None = None,
) -> tuple[np.ndarray, list[int], list[Skipped]]:
    """Decodes photos to one array.

    Args:
        photos: What to decode.
        root: What their paths start from.
        preprocessing: The model's.
        destination: A .npy file to write the array to, through which it is mapped, so that it
            may be larger than memory; None keeps it in memory.
        progress: Called with the number done and the number in all, after each photo.
        workers: Threads; by default one a processor core.

    Returns:
        The pixels, uint8 of shape (n, height, width, 3); the places in `photos` of the n that
        could be decoded, in their order; and the others, with the reason.

    Raises:
        OutputError: The destination cannot be written to, or the disk is full.
    """
    kept: list[int] = []
    skipped: list[Skipped] = []

    def rows() -> Iterator[np.ndarray]:
        for index, row in enumerate(_decoded(photos, root, preprocessing, workers)):
            if isinstance(row, str):
                skipped.append(Skipped(photos[index].path, row))
            else:
                kept.append(index)
                yield row
            if progress:
                progress(index + 1, len(photos))

    shape = preprocessing.height, preprocessing.width, 3
    if destination is None:
        pixels = np.empty((len(photos), *shape), np.uint8)
        for place, row in enumerate(rows()):
            pixels[place] = row
        return pixels[: len(kept)], kept, skipped
    with files.replacing(destination) as temporary:
        _write_rows(temporary, rows(), shape)
    # An empty file cannot be mapped.
    return np.load(destination, mmap_mode="r" if kept else None), kept, skipped


def _decoded(
    photos: Sequence[Photo], root: Path, preprocessing: Preprocessing, workers: int | None
) -> Iterator[np.ndarray | str]:
    """Each photo's pixels, or why it has none, in order, decoded some way ahead."""

    def attempt(photo: Photo) -> np.ndarray | str:
        try:
            return read_pixels(root / photo.path, preprocessing)
        except UnreadablePhoto as error:
            return str(error)

    workers = workers or os.cpu_count() or 1
    waiting: deque[Future[np.ndarray | str]] = deque()
    remaining = iter(photos)
    with ThreadPoolExecutor(workers) as pool:
        for photo in itertools.islice(remaining, workers * _AHEAD):
            waiting.append(pool.submit(attempt, photo))
        while waiting:
            yield waiting.popleft().result()
            for photo in itertools.islice(remaining, 1):
                waiting.append(pool.submit(attempt, photo))


def _write_rows(path: Path, rows: Iterator[np.ndarray], shape: tuple[int, ...]) -> None:
    """Writes an .npy file of rows whose number is known at the end."""
    with path.open("wb") as file:
        _write_header(file, (0, *shape))
        start = file.tell()
        count = 0
        for row in rows:
            file.write(row.tobytes())
            count += 1
        file.seek(0)
        _write_header(file, (count, *shape))
        # NumPy pads the header for the first axis to grow in place.
        assert file.tell() == start


def _write_header(file: IO[bytes], shape: tuple[int, ...]) -> None:
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
