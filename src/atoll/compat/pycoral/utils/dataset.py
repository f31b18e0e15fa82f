"""The module `pycoral.utils.dataset`: label files."""

from __future__ import annotations

from atoll.compat.labels import read_labels


def read_label_file(file_path: str) -> dict[int, str]:
    """Reads a file of labels: a line a class, `0 cat`, `0:cat`, or `cat` for the line's own number.

    Args:
        file_path: The file, in UTF-8.

    Returns:
        The labels by their numbers.
    """
    return read_labels(file_path, whole_line=True)
