"""Where a backbone's weights come from: Keras's own, a .keras file, a TFLite model, or nowhere."""

from __future__ import annotations

import contextlib
import socket
import zipfile
from typing import TYPE_CHECKING, Any

from atoll.errors import WeightsError
from atoll.framework import keras
from atoll.quiet import quiet

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from atoll.train.backbones import Backbone

TIMEOUT_S = 20.0
_OFFLINE = (
    "Give weights that are on this machine: --init-from X.tflite, --weights X.keras, "
    "or --weights none to start from nothing"
)


def load_imagenet(row: Backbone, model: Any, alpha: float) -> None:
    """Fills a backbone with Keras's ImageNet weights, downloaded once and kept by Keras.

    Args:
        row: The backbone's row.
        model: The network that the row built.
        alpha: Its width multiplier.

    Raises:
        WeightsError: There are none for this row or width, or they cannot be downloaded.
    """
    if not row.application:
        raise WeightsError(
            row.name,
            "Keras publishes no ImageNet weights for this backbone",
            received="--weights imagenet",
            fix=_OFFLINE,
        )
    size = (row.size, row.size, 3)
    application = getattr(keras().applications, row.application)
    width = {"alpha": alpha} if len(row.alphas) > 1 else {}
    try:
        with _timeout(TIMEOUT_S), quiet(show_on_failure=False):
            donor = application(input_shape=size, include_top=False, weights="imagenet", **width)
    except ValueError as error:
        raise WeightsError(
            row.name,
            "Keras must publish ImageNet weights for this width",
            received=f"--alpha {alpha}: {error}",
            fix=_OFFLINE,
        ) from error
    except Exception as error:  # keras.utils.get_file raises a bare Exception
        raise WeightsError(
            row.name,
            f"its ImageNet weights could not be downloaded (tried for {TIMEOUT_S:.0f} s)",
            received=str(error).rsplit(": ", 1)[-1] or type(error).__name__,
            fix=_OFFLINE,
        ) from error
    model.set_weights(donor.get_weights())


def load_keras_file(path: Path, model: Any) -> int:
    """Fills a backbone from a .keras file of the same network, with or without a head.

    Args:
        path: The .keras file.
        model: The network to fill.

    Returns:
        How many weighted layers were filled.

    Raises:
        WeightsError: It is no .keras file, or its layers are others.
    """
    if not path.is_file() or not zipfile.is_zipfile(path):
        raise WeightsError(
            path,
            "--weights takes a .keras file",
            received="no such file" if not path.exists() else "something else",
            fix="Save one with keras.Model.save",
        )
    try:
        donor = keras().saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # a damaged file can meet any error of Keras, h5py and zipfile
        raise WeightsError(
            path,
            "it must be a .keras file that this Keras can read, without Python code inside",
            received=f"{type(error).__name__}: {str(error)[:200]}",
            fix="Save it again with a current Keras",
        ) from error
    given = [layer for layer in _flat(donor) if layer.weights]
    wanted = [layer for layer in _flat(model) if layer.weights]
    for ours, theirs in zip(wanted, given, strict=False):
        if [tuple(v.shape) for v in ours.weights] != [tuple(v.shape) for v in theirs.weights]:
            raise _other_layer(path, ours, theirs)
    if len(given) < len(wanted):
        raise _other_layer(path, wanted[len(given)], None)
    for ours, theirs in zip(wanted, given, strict=False):
        ours.set_weights(theirs.get_weights())
    return len(wanted)


def _flat(model: Any) -> list[Any]:
    if not hasattr(model, "layers"):
        return [model]
    return [layer for part in model.layers for layer in _flat(part)]


def _other_layer(path: Path, ours: Any, theirs: Any) -> WeightsError:
    received = "no more layers"
    if theirs is not None:
        received = f"{theirs.name} {[tuple(v.shape) for v in theirs.weights]}"
    return WeightsError(
        path,
        f"it must hold the backbone's layers: {ours.name} {[tuple(v.shape) for v in ours.weights]}",
        received=received,
        fix="Name the backbone and --alpha that the file was made with",
    )


@contextlib.contextmanager
def _timeout(seconds: float) -> Iterator[None]:
    """Keras's downloader takes no time limit; sockets made meanwhile get this one."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
