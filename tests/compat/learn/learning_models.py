"""Small models to learn on: an extractor, and what imprinting engines take; and photos."""

import numpy as np

from atoll.learn.coral_head import unit
from atoll.learn.head import with_head
from atoll.learn.layers import Dense
from atoll.learn.place import find_embedding
from atoll.tflite.build import GraphBuilder

SIDE = 24
SIZE = 32
OLD = 6
COLOURS = [(40, 60, 200), (50, 170, 60), (190, 50, 40)]


def extractor(style="uint8"):
    """An image of 24 x 24 to an embedding, [1, 1, 1, 32]."""
    b = GraphBuilder(style, seed=3)
    x = b.input((1, SIDE, SIDE, 3), low=0.0, high=1.0, name="image")
    x = b.conv2d(x, 16, kernel=3, stride=2, activation="RELU6")
    x = b.conv2d(x, SIZE, kernel=3, stride=2, activation="RELU6")
    return b.model(b.average_pool(x, 6))


def imprintable(base, classes=OLD, factor=30.0):
    """A model with the last layers that Google's engines want, of random classes."""
    rng = np.random.default_rng(7)
    weights = unit(rng.normal(size=(classes, SIZE)))

    def add(layers):
        layers.l2_normalize()
        layers.point_convolution(Dense(weights, np.zeros(classes), -1.0, 1.0))
        layers.multiply(factor)
        layers.reshape(1, classes)
        layers.softmax()

    return with_head(base, find_embedding(base, "base"), add).model


def photos(colour, count, seed=0):
    """Photos of a colour, each in another light: uint8 (count, 24, 24, 3)."""
    rng = np.random.default_rng([seed, colour])
    light = rng.uniform(0.7, 1.2, (count, 1, 1, 1))
    pixels = rng.normal(np.array(COLOURS[colour]) * light, 40, (count, SIDE, SIDE, 3))
    return np.clip(pixels, 0, 255).astype(np.uint8)
