"""One photo file to an upright RGB image, whatever the file holds."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import re
import warnings
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
    _imaging,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_PIXELS = 120_000_000
"""Pixels of the largest photo decoded: a little more than a telephone's largest today (108)."""

MAX_SCANS = 256
"""Scans of a progressive JPEG: encoders write about ten, an attack as many as the file holds."""

# Only these parsers of Pillow's are ever reached. An MPO, two JPEGs in one file, opens as JPEG.
_READERS = {
    JpegImagePlugin.JpegImageFile.format: rb"\xff\xd8\xff",
    PngImagePlugin.PngImageFile.format: rb"\x89PNG",
    BmpImagePlugin.BmpImageFile.format: rb"BM",
    GifImagePlugin.GifImageFile.format: rb"GIF8",
    WebPImagePlugin.WebPImageFile.format: rb"RIFF....WEBP",
    TiffImagePlugin.TiffImageFile.format: rb"II\*\0|MM\0\*|II\+\0|MM\0\+",
    PpmImagePlugin.PpmImageFile.format: rb"P[1-6fF]\s",
}
_UNREAD = {
    "HEIC": rb"....ftyp(?:heic|heix|hevc|hevx|mif1|msf1)",
    "JPEG 2000": rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51",
    "JPEG XL": rb"\xff\x0a|\0\0\0\x0cJXL ",
    "PDF": rb"%PDF",
    "SVG": rb"\s*(?:<\?xml[^>]*>\s*)?<svg",
}
with contextlib.suppress(ImportError):  # Pillow before 11.3, or built without it
    from PIL import AvifImagePlugin

    if AvifImagePlugin.SUPPORTED:
        _READERS[AvifImagePlugin.AvifImageFile.format] = rb"....ftypavi[fs]"

FORMATS = tuple(_READERS)
"""What Pillow calls the formats that a photo may have."""

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION = 0x0112

# The values that may stand for white in an image of more than 8 bits a channel: the first that
# no pixel exceeds does. A photo brighter than all of them is scaled by its brightest pixel.
_WHITES = {"I": (65535.0,), "F": (1.0, 255.0, 65535.0)}


class UnreadablePhoto(ValueError):  # noqa: N818 - it names what was met, as the lists of it do
    """A file that gives no photo. Its text is the reason, in a few words."""


def _silence() -> None:
    """Keeps what Pillow and libtiff say about damaged files off standard error, for good.

    The reason of an UnreadablePhoto says it. Python's filters and libtiff's handler belong to
    the whole process, so setting and restoring them around a call would not survive threads.
    """
    warnings.filterwarnings("ignore", module=r"PIL\.")
    logging.getLogger("PIL").addHandler(logging.NullHandler())
    with contextlib.suppress(OSError, AttributeError):  # no libtiff, or not a shared one
        ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler(None)


_silence()


def decode(
    source: Path | IO[bytes],
    *,
    max_pixels: int = MAX_PIXELS,
    draft_size: tuple[int, int] | None = None,
) -> Image.Image:
    """Decodes a photo, upright and in RGB.

    The EXIF orientation is applied, transparency is laid over white, an animation gives its
    first frame, grey of 16 or 32 bits is scaled to 8, CMYK is converted as Adobe writes it.
    Colour profiles are not applied: networks are trained on pixels as they are stored.

    Args:
        source: The file, or an open one that can be searched.
        max_pixels: The most pixels the photo may have, checked before decoding. Pillow's own
            limit of about 179 million holds as well.
        draft_size: The (width, height) that will do: a JPEG much larger is decoded at 1/2, 1/4
            or 1/8 of its size, several times faster, and never smaller than this.

    Returns:
        The image, in mode RGB, loaded.

    Raises:
        UnreadablePhoto: The file cannot be opened, is no photo, is damaged, or is too large.
    """
    try:
        with _opened(source) as file:
            return _decode(file, max_pixels, draft_size)
    except UnreadablePhoto:
        raise
    except Exception as error:
        # Pillow's parsers let out whatever the bytes drive them into: OSError, SyntaxError,
        # ValueError, struct.error, zlib.error, OverflowError, RuntimeError and bare Exception.
        raise UnreadablePhoto(_reason(error, max_pixels)) from error


@contextlib.contextmanager
def _opened(source: Path | IO[bytes]) -> Iterator[IO[bytes]]:
    if not isinstance(source, Path):
        source.seek(0)
        yield source
        return
    # Opening a pipe would wait for a writer.
    if source.exists() and not source.is_file():
        raise UnreadablePhoto("not a regular file")
    with source.open("rb") as file:
        yield file


def _decode(file: IO[bytes], max_pixels: int, draft_size: tuple[int, int] | None) -> Image.Image:
    head = file.read(512)
    if not head:
        raise UnreadablePhoto("an empty file")
    try:
        image = Image.open(file, formats=FORMATS)
    except UnidentifiedImageError as error:
        raise UnreadablePhoto(_unidentified(head)) from error
    if image.width * image.height > max_pixels:
        raise UnreadablePhoto(_too_large(image.width * image.height, max_pixels))
    if image.format in ("JPEG", "MPO"):
        _check_scans(image, file)
        if draft_size is not None:
            wide, high = draft_size
            image.draft(None, (high, wide) if _orientation(image) >= 5 else (wide, high))
    image.load()
    rgb = to_rgb(image)
    # Only now: some readers turn the image themselves while loading, and clear the tag.
    method = _UPRIGHT.get(_orientation(image))
    return rgb if method is None else rgb.transpose(method)


def _check_scans(image: Image.Image, file: IO[bytes]) -> None:
    """Refuses a JPEG made to take hours: each pass over all its pixels costs it a few bytes."""
    if not image.info.get("progressive"):
        return
    position = file.tell()
    file.seek(0)
    scans = file.read().count(b"\xff\xda")
    file.seek(position)
    if scans > MAX_SCANS:
        raise UnreadablePhoto(f"{scans} progressive scans, the limit is {MAX_SCANS}")


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; upright where the EXIF block is damaged."""
    try:
        orientation = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # the block is as hostile as the rest, and the photo does not need it
        return 1
    return orientation if isinstance(orientation, int) and orientation in _UPRIGHT else 1


def to_rgb(image: Image.Image) -> Image.Image:
    """An image in RGB, as `decode` makes it of a file's, but for how it is turned.

    Args:
        image: Of any mode. Transparent pixels become white, one channel of 16 or 32 bits is scaled.

    Returns:
        The image itself where it is in RGB already.
    """
    if image.mode.startswith("I") or image.mode == "F":
        return _from_wide(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _from_wide(image: Image.Image) -> Image.Image:
    """One channel of 16 or 32 bits, scaled to 8."""
    # In place: a photo of the largest size takes half a gigabyte here.
    values = np.array(image, np.float32)
    np.nan_to_num(values, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
    brightest = float(values.max())
    white = next((white for white in _WHITES[image.mode[:1]] if brightest <= white), brightest)
    values *= 255 / white
    np.clip(values, 0, 255, out=values)
    np.rint(values, out=values)
    return Image.fromarray(values.astype(np.uint8)).convert("RGB")


def _unidentified(head: bytes) -> str:
    for name, signature in _UNREAD.items():
        if re.match(signature, head, re.DOTALL):
            return f"{name} is not read: save it as JPEG or PNG"
    for name, signature in _READERS.items():
        if re.match(signature, head, re.DOTALL):
            return f"its {name} header is truncated or damaged"
    return "not an image"


def _reason(error: Exception, max_pixels: int) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, Image.DecompressionBombError):
        pixels = re.search(r"(\d+) pixels", text)
        return _too_large(int(pixels[1]) if pixels else None, max_pixels)
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, MemoryError):
        return "it needs more memory than there is"
    if isinstance(error, EOFError) or "truncated" in text.lower():
        return "truncated"
    if isinstance(error, OSError) and error.strerror:
        return f"it cannot be opened: {error.strerror}"
    return f"damaged: {text[:80] or type(error).__name__}"


def _too_large(pixels: int | None, max_pixels: int) -> str:
    size = "too many" if pixels is None else f"{pixels / 1e6:,.0f}"
    return f"{size} megapixels, the limit is {max_pixels / 1e6:,.0f}"
