"""A Keras network on its way into TensorFlow's TFLite converter."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from atoll.framework import tensorflow
from atoll.quiet import quiet

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def converter(model: Any, shape: tuple[int, int, int, int]) -> Iterator[Any]:
    """A converter for a network with a fixed batch, silent while it is in use.

    A dynamic batch would leave SHAPE, STRIDED_SLICE and PACK in the graph. The way through a
    SavedModel is the one that freezes Keras 3's variables: from_concrete_functions leaves them
    as VAR_HANDLE operators that hold nothing.

    Args:
        model: A keras.Model with one image input.
        shape: (batch, height, width, channels).

    Yields:
        A tf.lite.TFLiteConverter. The outputs are named output_0, output_1, ... in the
        signature of what it makes.
    """
    tf = tensorflow()
    spec = tf.TensorSpec(shape, tf.float32, "image")
    with tempfile.TemporaryDirectory() as folder, quiet():
        model.export(folder, format="tf_saved_model", verbose=False, input_signature=[spec])
        yield tf.lite.TFLiteConverter.from_saved_model(folder)
