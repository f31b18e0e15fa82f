"""What a file's name says: whether it is taken for a photo, and whether it can be written down."""

from __future__ import annotations

PHOTO_SUFFIXES = frozenset(
    {
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
        *(".png", ".gif", ".webp", ".avif"),
        *(".bmp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm"),
    }
)
_UNREAD_SUFFIXES = frozenset(
    {
        *(".heic", ".heif", ".jp2", ".j2k", ".jxl", ".svg", ".psd"),
        *(".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".raf", ".rw2"),
    }
)

NOT_PLAIN = "its name is not UTF-8, or holds a control character"


def is_plain(name: str) -> bool:
    """Whether a name can stand in a UTF-8 file with one name a line."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return all(character >= " " and character != "\x7f" for character in name)


def suffix_reason(suffix: str) -> str:
    """Why a file with this suffix, in lower case, is not taken for a photo."""
    if suffix in _UNREAD_SUFFIXES:
        return f"{suffix} photos are not read: save them as JPEG or PNG"
    if suffix == ".csv":
        return "not read beside class folders: name the CSV itself to use it"
    return f"not a photo: {suffix or 'no suffix'}"
