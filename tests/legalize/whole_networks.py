"""Whole networks, as TensorFlow converts them with nothing prepared for the chip."""

from dataclasses import dataclass

import numpy as np
from keras_networks import colored_photos, nearest_mean_classifier, random_statistics
from legalize.kernels import plain_interpreter
from litert_files import run

from atoll.framework import keras, tensorflow
from atoll.quiet import quiet
from atoll.tflite.graph import Model
from atoll.tflite.reader import read_model
from atoll.tflite.writer import write_model
from atoll.train.backbones import BACKBONES

SIZE = 96
CLASSES = 4
CALIBRATION = 4
SAMPLES = 24
COOLING = 0.1


def application(name, **how):
    """A network of keras.applications without its head."""
    return getattr(keras().applications, name)(
        input_shape=(SIZE, SIZE, 3), include_top=False, weights=None, **how
    )


def yolo():
    """A detector in small: LeakyReLU, nearest upsampling, two scales, boxes joined."""
    layers = keras().layers

    def block(x, filters, kernel=3, stride=1):
        x = layers.Conv2D(filters, kernel, stride, padding="same", use_bias=False)(x)
        return layers.LeakyReLU(negative_slope=0.1)(layers.BatchNormalization()(x))

    image = keras().Input((SIZE, SIZE, 3))
    x = block(block(image, 8, stride=2), 16, stride=2)
    fine = block(x, 24, stride=2)
    coarse = block(layers.MaxPooling2D(2)(block(fine, 24, 1)), 32)
    up = layers.UpSampling2D(2, interpolation="nearest")(block(coarse, 16, 1))
    joined = block(layers.Concatenate()([up, fine]), 24)
    boxes = [
        layers.Activation("sigmoid")(layers.Reshape((-1, 7))(layers.Conv2D(21, 1)(part)))
        for part in (coarse, joined)
    ]
    return keras().Model(image, layers.Concatenate(axis=1)(boxes))


def unet():
    """A network for masks: two convolutions a level, transposed convolutions back up."""
    layers = keras().layers

    def block(x, filters):
        for _ in range(2):
            x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        return x

    image = x = keras().Input((SIZE, SIZE, 3))
    kept = []
    for filters in (8, 16, 24):
        kept.append(block(x, filters))
        x = layers.MaxPooling2D()(kept[-1])
    x = block(x, 32)
    for skip in reversed(kept):
        x = layers.Conv2DTranspose(skip.shape[-1], 2, 2, padding="same")(x)
        x = block(layers.Concatenate()([x, skip]), skip.shape[-1])
    return keras().Model(image, layers.Conv2D(3, 1, activation="softmax")(x))


def signed(pixels):
    return pixels / np.float32(127.5) - 1


def plain(pixels):
    return pixels.astype(np.float32)


# Name: how it is built, what becomes of a pixel, whether it gets a classifier's head.
NETWORKS = {
    **{
        name: (lambda row=row: row.build((SIZE, SIZE, 3), row.alphas[0]), signed, True)
        for name, row in BACKBONES.items()
    },
    "mobilenet_v3_large": (lambda: application("MobileNetV3Large"), plain, True),
    "efficientnet_b0": (lambda: application("EfficientNetB0"), plain, True),
    "yolo": (yolo, signed, False),
    "unet": (unet, signed, False),
}


def settle(network, images):
    """Lets every batch normalisation know its inputs: random statistics wipe a deep net's out."""
    random_statistics(network)
    for layer in network.layers:
        if isinstance(layer, keras().layers.BatchNormalization):
            layer.momentum = 0.0
    network(images, training=True)


@dataclass(frozen=True)
class Converted:
    """An 8-bit model of float inputs, its batch open; inputs for it, and what the network says."""

    name: str
    model: Model
    samples: list[list[np.ndarray]]
    truth: np.ndarray


def convert(name):
    """A network of the table, as TensorFlow converts it."""
    build, prepare, classifies = NETWORKS[name]
    keras().utils.set_random_seed(0)
    network = build()
    pixels, labels = colored_photos(SAMPLES, SIZE, CLASSES)
    images = prepare(pixels)
    settle(network, images)
    if classifies:
        network = nearest_mean_classifier(network, images, labels)
        # Scores that are all 0 or 1 would hide that something moved.
        head = network.layers[-1]
        head.set_weights([weights * COOLING for weights in head.get_weights()])
    tf = tensorflow()
    with quiet():
        converter = tf.lite.TFLiteConverter.from_keras_model(network)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([i[None]] for i in images[:CALIBRATION])
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        content = converter.convert()
    truth = np.stack([network(image[None], training=False) for image in images])
    keras().backend.clear_session()
    return Converted(name, read_model(content), [[image[None]] for image in images], truth)


def answers(model, samples):
    """The first output for each sample, by LiteRT's own kernels, in float."""
    interpreter = plain_interpreter(write_model(model))
    return np.stack([run(interpreter, sample)[0] for sample in samples])


def distances(converted, done):
    """Mean distances from the float network, before and after: what 8 bits cost, and the changes.

    Both are of the first output.
    """
    return [
        float(np.abs(answers(model, converted.samples) - converted.truth).mean())
        for model in (converted.model, done.model)
    ]
