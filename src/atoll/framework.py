"""TensorFlow and Keras, imported late and quietly: no other module imports them at its top."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from functools import cache
from typing import TYPE_CHECKING

from atoll.errors import ExtraError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType


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


@cache
def tensorflow() -> ModuleType:
    """The tensorflow module.

    Raises:
        ExtraError: It is not installed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    try:
        with quiet():
            import tensorflow as tf
    except ModuleNotFoundError as error:
        raise ExtraError("training", "train", error.name or "tensorflow") from error
    import logging

    tf.get_logger().setLevel(logging.ERROR)
    return tf  # type: ignore[no-any-return]


@cache
def keras() -> ModuleType:
    """The keras module, on TensorFlow.

    Raises:
        ExtraError: It is not installed.
    """
    tensorflow()
    try:
        import keras
    except ModuleNotFoundError as error:
        raise ExtraError("training", "train", error.name or "keras") from error
    return keras  # type: ignore[no-any-return]


def make_deterministic(seed: int) -> None:
    """Seeds every generator and chooses deterministic kernels: same input and seed, same bytes."""
    keras().utils.set_random_seed(seed)
    tensorflow().config.experimental.enable_op_determinism()
