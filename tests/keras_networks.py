"""What the tests of training and quantisation share: photos, networks and their conversion."""

import numpy as np

from atoll.framework import keras
from atoll.quantize.conversion import converter
from atoll.train.backbones import find_backbone

COLORS = np.array([(190, 60, 60), (60, 170, 60), (60, 60, 200), (180, 180, 60)], np.float64)


def colored_photos(count: int, size: int, classes: int = 3, seed: int = 0):
    """Noisy photos whose class is their colour: uint8 (count, size, size, 3), and labels."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    noise = rng.normal(0, 30, (count, size, size, 3))
    return np.clip(COLORS[labels][:, None, None] + noise, 0, 255).astype(np.uint8), labels


def random_statistics(model, seed: int = 0) -> None:
    """Gives every batch normalisation something to do: fresh ones are almost the identity."""
    rng = np.random.default_rng(seed)
    ranges = {
        "gamma": (0.5, 1.5),
        "beta": (-0.2, 0.2),
        "moving_mean": (-0.2, 0.2),
        "moving_variance": (0.5, 1.5),
    }
    for layer in model.layers:
        if isinstance(layer, keras().layers.BatchNormalization):
            layer.set_weights([rng.uniform(*ranges[v.name], v.shape) for v in layer.weights])


def tflite(model, batch: int = 1) -> bytes:
    """A float TFLite model of a Keras network, by TensorFlow's converter."""
    with converter(model, (batch, *model.input.shape[1:])) as converting:
        return converting.convert()


def small_network(size: int = 16, alpha: float = 0.5, seed: int = 0):
    """The small convnet's row at random weights, without a head."""
    keras().utils.set_random_seed(seed)
    model = find_backbone("small_convnet").build((size, size, 3), alpha)
    random_statistics(model, seed)
    return model


def nearest_mean_classifier(network, images, labels):
    """A head that needs no training: each class's score is how near its mean feature is.

    Args:
        network: A backbone.
        images: float32, as the network takes them.
        labels: Their classes.

    Returns:
        A keras.Model to probabilities.
    """
    layers = keras().layers
    pooled = layers.GlobalAveragePooling2D()(network.output)
    features = np.asarray(keras().Model(network.input, pooled)(images, training=False))
    means = np.stack([features[labels == i].mean(axis=0) for i in range(labels.max() + 1)])
    spread = np.square(means[0] - means[1]).sum()
    dense = layers.Dense(len(means), activation="softmax")
    model = keras().Model(network.input, dense(pooled))
    dense.set_weights([means.T * 10 / spread, -np.square(means).sum(axis=1) * 5 / spread])
    return model


class Listener:
    """A progress listener that keeps what it is told."""

    def __init__(self) -> None:
        self.titles: list[str] = []
        self.notes: list[str] = []
        self.updates: list[tuple[int, int]] = []

    def start(self, title: str) -> None:
        self.titles.append(title)

    def update(self, done: int, total: int, detail: str = "") -> None:
        self.updates.append((done, total))

    def note(self, text: str) -> None:
        self.notes.append(text)
