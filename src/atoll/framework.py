"""TensorFlow and Keras, imported late and quietly: no other module imports them at its top."""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING

from atoll.errors import ExtraError
from atoll.quiet import quiet

if TYPE_CHECKING:
    from types import ModuleType


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
