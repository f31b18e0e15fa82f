"""Tensors in memory that two processes share: a file without a name, which goes with the last."""

from __future__ import annotations

import errno
import mmap
import os
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

# Tensors begin at whole cache lines.
_LINE = 64
_MOST_BYTES = 1 << 32
_MOST_DIMENSIONS = 8


@dataclass(frozen=True)
class Slot:
    """A tensor's place in an arena.

    Attributes:
        dtype: Its numpy type, as numpy writes it: "|u1".
        shape: Its shape.
        offset: Its first byte.
    """

    dtype: str
    shape: tuple[int, ...]
    offset: int

    @property
    def nbytes(self) -> int:
        """Its size in bytes."""
        return int(np.prod(self.shape, dtype=np.int64)) * np.dtype(self.dtype).itemsize

    def over(self, memory: mmap.mmap) -> np.ndarray:
        """The tensor, over shared memory."""
        count = self.nbytes // np.dtype(self.dtype).itemsize
        return np.frombuffer(memory, self.dtype, count, self.offset).reshape(self.shape)

    def to_plain(self) -> list[Any]:
        """As JSON takes it."""
        return [self.dtype, list(self.shape), self.offset]

    @classmethod
    def from_plain(cls, plain: Any) -> Slot:
        """The opposite. Raises ValueError or TypeError for what is none."""
        dtype, shape, offset = plain
        kind = np.dtype(dtype)
        if kind.kind not in "uifbc" or len(shape) > _MOST_DIMENSIONS:
            raise ValueError(plain)
        return cls(kind.str, tuple(int(size) for size in shape), int(offset))


def laid_out(tensors: Sequence[tuple[np.dtype, tuple[int, ...]]]) -> list[Slot]:
    """Places for tensors, one behind the other.

    Args:
        tensors: Each one's type and shape.
    """
    slots, offset = [], 0
    for dtype, shape in tensors:
        slots.append(Slot(dtype.str, shape, offset))
        offset += -(-slots[-1].nbytes // _LINE) * _LINE
    return slots


class Arena:
    """Shared memory for the tensors of one model.

    Args:
        file: An open file that holds it. It is this object's from now on.
        slots: Where its tensors lie.

    Attributes:
        arrays: The tensors, over the shared memory.

    Raises:
        ValueError: The file is smaller than they are.
        OSError: It cannot be mapped.
    """

    def __init__(self, file: int, slots: Sequence[Slot]) -> None:
        self.file = file
        size = os.fstat(file).st_size
        for slot in slots:
            end = slot.offset + slot.nbytes
            if min(slot.shape, default=0) < 0 or not 0 <= slot.offset <= end <= size:
                raise ValueError(f"{slot} of {size} bytes")
        memory = mmap.mmap(file, size)
        self.arrays = [slot.over(memory) for slot in slots]

    @classmethod
    def made(cls, slots: Sequence[Slot]) -> Arena:
        """A new one. Raises OSError where memory runs out."""
        size = max((slot.offset + slot.nbytes for slot in slots), default=0)
        if size > _MOST_BYTES:
            raise OSError(f"tensors of {size} bytes")
        return cls(unnamed_file(max(size, mmap.PAGESIZE)), slots)

    def close(self) -> None:
        """Closes the file; the memory stays as long as there are arrays over it."""
        file, self.file = self.file, -1
        if file >= 0:
            os.close(file)

    def __del__(self) -> None:
        self.close()


def unnamed_file(size: int, content: bytes | None = None) -> int:
    """A file in memory that has no name, and so cannot be left behind.

    Its size is fixed: shared memory that another process could cut off would end the reader.

    Args:
        size: Its size in bytes.
        content: What it holds; None for zeros.

    Returns:
        The open file.

    Raises:
        OSError: There is no room.
    """
    file = _sealed_file(size)
    if file is None:
        with tempfile.TemporaryFile() as unlinked:
            file = os.dup(unlinked.fileno())
        os.ftruncate(file, size)
    if content:
        with mmap.mmap(file, size) as memory:
            memory[: len(content)] = content
    return file


def _sealed_file(size: int) -> int | None:
    """A file in memory, of a size that stays; None where the system has or allows none."""
    if not hasattr(os, "memfd_create"):
        return None
    import fcntl

    try:
        file = os.memfd_create("atoll", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    except OSError as error:
        # A hardened kernel (vm.memfd_noexec=2) or a container's filter may forbid it.
        if error.errno in (errno.EPERM, errno.EACCES, errno.ENOSYS):
            return None
        raise
    os.ftruncate(file, size)
    fcntl.fcntl(file, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
    return file
