"""Post-training quantisation of a Keras network to a full-integer TFLite model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from atoll.errors import ModelError
from atoll.framework import tensorflow
from atoll.quantize.calibration import samples
from atoll.quantize.conversion import converter
from atoll.tflite.reader import read_model

if TYPE_CHECKING:
    import numpy as np

    from atoll.data.preprocessing import Preprocessing
    from atoll.progress import Progress
    from atoll.tflite.graph import Model

_EIGHT_BIT = ("INT8", "UINT8")


def quantize(
    model: Any, pixels: np.ndarray, preprocessing: Preprocessing, progress: Progress
) -> Model:
    """Converts a Keras network so that every operator is 8-bit, as the Edge TPU needs it.

    Dense weights are quantised per tensor: per-channel ones need a newer operator version than
    the Edge TPU's compiler takes. Input and output are uint8.

    Args:
        model: A keras.Model from a normalised image to probabilities.
        pixels: uint8 (n, height, width, 3): the calibration photos.
        preprocessing: What the network wants of a photo.
        progress: Told how many photos have been seen.

    Returns:
        The TFLite model.

    Raises:
        ModelError: An operator has no 8-bit form, or was left in float.
    """
    tf = tensorflow()

    def representative() -> Any:
        for done, sample in enumerate(samples(pixels, preprocessing), start=1):
            yield [sample]
            progress.update(done, len(pixels))

    shape = (1, preprocessing.height, preprocessing.width, 3)
    with converter(model, shape) as converting:
        converting.optimizations = [tf.lite.Optimize.DEFAULT]
        converting.representative_dataset = representative
        converting.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converting.inference_input_type = tf.uint8
        converting.inference_output_type = tf.uint8
        converting._experimental_disable_per_channel_quantization_for_dense_layers = True
        try:
            content = converting.convert()
        except (RuntimeError, ValueError, tf.errors.OpError) as error:
            raise ModelError(
                model.name,
                "every operator must have an 8-bit form",
                received=str(error).strip().splitlines()[-1][:300],
                fix="Use a backbone from the table",
            ) from error
    quantized = read_model(content)
    _check(quantized, model.name)
    return quantized


def _check(quantized: Model, name: str) -> None:
    graph = quantized.main
    for op in graph.operators:
        for index in op.outputs:
            tensor = graph.tensors[index]
            if tensor.type not in _EIGHT_BIT:
                raise ModelError(
                    name,
                    "every operator must be 8-bit",
                    received=f"{op.type} gives {tensor.type} ({tensor.name})",
                    fix="Use a backbone from the table",
                )
