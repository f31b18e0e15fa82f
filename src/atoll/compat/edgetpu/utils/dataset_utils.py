"""The module `edgetpu.utils.dataset_utils`: label files."""

from __future__ import annotations

from atoll.compat.edgetpu.utils.warning import deprecated
from atoll.compat.labels import read_labels


def read_label_file(file_path: str) -> dict[int, str]:
    """Reads a file of labels: a line a class, `0 cat`, `0:cat`, or `cat` for the line's own number.

    Of a line without a number the first word is the label; pycoral takes the whole line.

    Args:
        file_path: The file, in UTF-8.

    Returns:
        The labels by their numbers.
    """
    return read_labels(file_path, whole_line=False)


@deprecated
def ReadLabelFile(file_path: str) -> dict[int, str]:  # noqa: N802
    """The older name of `read_label_file`."""
    return read_label_file(file_path)
