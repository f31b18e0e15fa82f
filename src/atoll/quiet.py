"""Keeping native code, which knows no logging settings, off the terminal."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def quiet(*, show_on_failure: bool = True) -> Iterator[None]:
    """Keeps what native code and Python write to the terminal off it.

    TensorFlow's start-up and converter log through C++ before any setting reaches them.

    Args:
        show_on_failure: Whether what was held back is printed after all if the block raises.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    with tempfile.TemporaryFile() as sink:
        os.dup2(sink.fileno(), 1)
        os.dup2(sink.fileno(), 2)
        failed = True
        try:
            yield
            failed = False
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for target, copy in zip((1, 2), kept, strict=True):
                os.dup2(copy, target)
                os.close(copy)
            if failed and show_on_failure:
                sink.seek(0)
                sys.stderr.write(sink.read().decode(errors="replace"))
