"""Tensors in shared memory: right places, and nothing that a wrong number can reach beyond."""

import errno
import mmap
import os
from pathlib import Path

import numpy as np
import pytest

from atoll.runtime.driver.arena import Arena, Slot, laid_out, unnamed_file

FACES = [(np.dtype("u1"), (1, 5)), (np.dtype("<f4"), (2, 3)), (np.dtype("<i2"), ())]


def test_tensors_lie_apart_and_are_shared():
    """Two processes map one file: what one writes, the other reads."""
    slots = laid_out(FACES)
    one = Arena.made(slots)
    two = Arena(os.dup(one.file), [Slot.from_plain(slot.to_plain()) for slot in slots])
    for number, (mine, theirs) in enumerate(zip(one.arrays, two.arrays, strict=True)):
        mine[...] = number + 1
        assert (theirs == number + 1).all()
    assert [array.shape for array in two.arrays] == [(1, 5), (2, 3), ()]
    assert all(slot.offset % 64 == 0 for slot in slots)


@pytest.mark.parametrize(
    "plain",
    [
        ["|u1", [1], -64],
        ["|u1", [1 << 40], 0],
        ["|u1", [-1], 0],
        ["|u1", [5000], 0],
        ["|O", [1], 0],
        ["|u1", [1] * 99, 0],
        ["nonsense", [1], 0],
        [1, 2],
        None,
    ],
)
def test_places_beyond_the_file_are_refused(plain):
    """The layout comes from another process."""
    with pytest.raises((ValueError, TypeError)):
        Arena(unnamed_file(mmap.PAGESIZE), [Slot.from_plain(plain)])


def test_the_file_has_no_name_and_cannot_be_cut_off():
    """Nothing is left in /dev/shm, and nobody can end a reader by shortening the file."""
    before = set(Path("/dev/shm").glob("*"))
    file = unnamed_file(100, b"content")
    assert os.pread(file, 7, 0) == b"content"
    if hasattr(os, "memfd_create"):
        with pytest.raises(PermissionError):
            os.ftruncate(file, 0)
    os.close(file)
    arena = Arena.made(laid_out(FACES))
    arena.close()
    arena.close()
    arena.arrays[0][...] = 1  # the memory stays as long as there are arrays over it
    after = set(Path("/dev/shm").glob("*"))
    assert after <= before


def test_where_files_in_memory_are_forbidden_one_on_the_disk_will_do(monkeypatch):
    """A hardened kernel or a container's filter refuses memfd_create: tensors must find a place."""

    def forbidden(*_args):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "memfd_create", forbidden, raising=False)
    file = unnamed_file(100, b"content")
    assert os.pread(file, 7, 0) == b"content"
    assert os.fstat(file).st_nlink == 0
    os.close(file)
    Arena.made(laid_out(FACES)).close()
