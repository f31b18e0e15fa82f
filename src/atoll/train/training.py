"""Fine-tuning: the network put together, and its passes run over a data set."""

from __future__ import annotations

import csv
import io
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from atoll.files import make_folder, write_text
from atoll.framework import keras, make_deterministic
from atoll.train.augment import AUGMENTATIONS, Augmentation, view_of
from atoll.train.features import Extractor, extract
from atoll.train.fitting import Epoch, Examples, Fitted, Schedule, fit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from atoll.data.dataset import Dataset
    from atoll.data.preprocessing import Preprocessing
    from atoll.progress import Progress
    from atoll.train.backbones import Backbone
    from atoll.train.settings import TrainSettings

    Inputs = Callable[[np.ndarray, int], np.ndarray]

# How far the head's weights are held back: the L2 penalty of a prior on the logits, so that it
# weighs less the more photos there are, and means the same for features of any scale. Chosen on
# ants_bees, where it halves what the head loses when its features become 8-bit.
_HEAD_PRIOR = 1 / 64

# As many augmented views are cached as make up about this many photos, within this many bytes.
_VIEWED_PHOTOS = 4000
_MOST_VIEWS = 8
_CACHE_BYTES = 2 << 30


@dataclass
class Trained:
    """What training came to.

    Attributes:
        model: The whole network, from a normalised image to probabilities.
        passes: What each pass came to, by its name.
    """

    model: Any
    passes: dict[str, Fitted]


def train(
    network: Any,
    row: Backbone,
    dataset: Dataset,
    preprocessing: Preprocessing,
    settings: TrainSettings,
    augment: str,
    run: Path,
    progress: Progress,
    *,
    pretrained: bool,
) -> Trained:
    """Trains a classifier on a data set's train split, held in check by its val split.

    A pretrained network is trained in two passes over features that its frozen part computes
    once: the head, then the last blocks at a tenth of the rate. One without weights is trained
    whole.

    Args:
        network: The backbone, with its weights.
        row: Its row of the table.
        dataset: Photos, decoded, with their split.
        preprocessing: What the network wants of a photo.
        settings: The knobs.
        augment: A key of AUGMENTATIONS: what the knob came to for these photos.
        run: The folder for the states, epochs.csv and tensorboard/.
        progress: Who is told.
        pretrained: Whether the backbone has weights worth keeping.

    Returns:
        The trained network, with the weights of its best epoch.
    """
    make_deterministic(settings.seed)
    make_folder(run / "training")
    job = _Job(network, row, dataset, preprocessing, settings, augment, run, progress)
    passes = _fine_tune(job) if pretrained and row.cut else {"whole": _train_whole(job)}
    return Trained(job.classifier, passes)


class _Job:
    """What the passes share: one classifier, whose layers they train in turns."""

    def __init__(
        self,
        network: Any,
        row: Backbone,
        dataset: Dataset,
        preprocessing: Preprocessing,
        settings: TrainSettings,
        augment: str,
        run: Path,
        progress: Progress,
    ) -> None:
        self.network = network
        self.row = row
        self.dataset = dataset
        self.preprocessing = preprocessing
        self.settings = settings
        self.run = run
        self.progress = progress
        self.augmentation: Augmentation | None = AUGMENTATIONS[augment]
        self.train = dataset.indices("train")
        self.val = dataset.indices("val")
        self.finished: list[Epoch] = []
        layers = keras().layers
        self._dropout = layers.Dropout(settings.dropout, seed=settings.seed, name="dropout")
        self._dense = layers.Dense(
            len(dataset.classes),
            activation="softmax",
            kernel_initializer=keras().initializers.GlorotUniform(settings.seed),
            name="probabilities",
        )
        self.pooled = layers.GlobalAveragePooling2D(name="pool")(network.output)
        self.classifier = keras().Model(network.input, self.head(self.pooled), name=row.name)

    def head(self, features: Any) -> Any:
        """The layers behind the pooling, applied to feature vectors."""
        return self._dense(self._dropout(features))

    @contextmanager
    def penalised_head(self, train: Examples) -> Iterator[None]:
        """An L2 penalty on the last layer's kernel while the block runs."""
        photos = len(train.labels)
        some = np.arange(min(photos, 512))
        scale = float(np.square(train.inputs(some, 0)).sum(axis=1).mean())
        kernel = self._dense.kernel
        kernel.regularizer = keras().regularizers.L2(_HEAD_PRIOR * scale / photos)
        yield
        kernel.regularizer = None

    def class_weights(self, labels: np.ndarray) -> np.ndarray:
        """float32: what each of these photos counts; rare classes more, 1 on average."""
        counts = np.bincount(labels, minlength=len(self.dataset.classes))
        return np.asarray(len(labels) / (np.count_nonzero(counts) * counts[labels]), np.float32)

    def examples(self, seen: Inputs, held: Inputs) -> tuple[Examples, Examples]:
        """The two sides of a pass: what it learns from, and what it is measured with."""
        labels = self.dataset.labels
        return (
            Examples(seen, labels[self.train], self.class_weights(labels[self.train])),
            Examples(held, labels[self.val], np.ones(len(self.val), np.float32)),
        )

    def fit(
        self, schedule: Schedule, model: Any, examples: tuple[Examples, Examples | None]
    ) -> Fitted:
        """Runs one pass, keeping epochs.csv and TensorBoard's files up to date."""

        def on_epoch(fitted: Fitted) -> None:
            write_epochs(self.run / "epochs.csv", [*self.finished, *fitted.epochs])

        board = keras().callbacks.TensorBoard(str(self.run / "tensorboard" / schedule.name))
        self.progress.start(_TITLES[schedule.name])
        fitted = fit(
            model,
            schedule,
            *examples,
            classes=len(self.dataset.classes),
            seed=self.settings.seed,
            state=self.run / "training" / f"{schedule.name}.npz",
            progress=self.progress,
            on_epoch=on_epoch,
            callbacks=[board],
        )
        self.finished += fitted.epochs
        return fitted


def _fine_tune(job: _Job) -> dict[str, Fitted]:
    settings = job.settings
    rate, smoothing = settings.learning_rate, settings.label_smoothing or 0.0
    job.network.trainable = False
    cut = job.network.get_layer(job.row.cut).output
    outputs = {"head": job.pooled} | ({"tail": cut} if settings.tail_epochs else {})
    cached = _cached_examples(job, outputs)

    inputs = keras().Input(job.pooled.shape[1:])
    head = keras().Model(inputs, job.head(inputs))
    epochs = settings.epochs or 40
    schedule = Schedule("head", epochs, rate, settings.batch_size, _patience(epochs), smoothing)
    with job.penalised_head(cached["head"][0]):
        passes = {"head": job.fit(schedule, head, cached["head"])}
    if settings.tail_epochs:
        passes["tail"] = _train_tail(job, cut, cached["tail"], smoothing)
    if not settings.tail_epochs or passes["tail"].best < 0:
        # With the length of the pass settled, the photos that settled it are learnt from too.
        seen = _joined(*cached["head"], job.class_weights)
        schedule = replace(schedule, name="refit", epochs=len(passes["head"].epochs))
        with job.penalised_head(seen):
            passes["refit"] = job.fit(schedule, head, (seen, None))
    return passes


def _train_tail(
    job: _Job, cut: Any, examples: tuple[Examples, Examples], smoothing: float
) -> Fitted:
    settings = job.settings
    tail = keras().Model(cut, job.classifier.output)
    for layer in tail.layers:
        # A few photos say little about a layer's statistics: those it came with are kept.
        layer.trainable = type(layer).__name__ != "BatchNormalization"
    before, losses = tail.get_weights(), _losses(tail, examples[1])
    rate = settings.learning_rate / 10
    schedule = Schedule("tail", settings.tail_epochs, rate, settings.batch_size, 4, smoothing)
    fitted = job.fit(schedule, tail, examples)
    if not _helped(losses, _losses(tail, examples[1])):
        job.progress.note("Training the last blocks did not help beyond chance: it is undone.")
        tail.set_weights(before)
        fitted.best = -1
    return fitted


def _joined(
    first: Examples, second: Examples, weigh: Callable[[np.ndarray], np.ndarray]
) -> Examples:
    """The examples of both, as one."""
    count = len(first.labels)

    def inputs(some: np.ndarray, epoch: int) -> np.ndarray:
        early = some < count
        joined = np.empty((len(some), *first.inputs(np.array([0]), 0).shape[1:]), np.float32)
        joined[early] = first.inputs(some[early], epoch)
        joined[~early] = second.inputs(some[~early] - count, epoch)
        return joined

    labels = np.concatenate([first.labels, second.labels])
    return Examples(inputs, labels, weigh(labels))


def _helped(before: np.ndarray, after: np.ndarray) -> bool:
    """Whether losses on the same photos fell by more than twice the difference's standard error.

    Small validation splits always favour some epoch of a pass that can fit anything.
    """
    gain = before - after
    return bool(gain.mean() > 2 * gain.std(ddof=1) / np.sqrt(len(gain)))


def _cached_examples(job: _Job, outputs: dict[str, Any]) -> dict[str, tuple[Examples, Examples]]:
    """Examples for each of several places in the network, from one run over the photos."""
    job.progress.start("Computing features")
    make_folder(job.run / "cache")
    trunk = keras().Model(job.network.input, list(outputs.values()))
    extractor = Extractor(trunk, job.preprocessing)
    floats = sum(int(np.prod(shape)) for shape in extractor.shapes)
    views = 1
    if job.augmentation is not None:
        wanted = min(_MOST_VIEWS, max(2, _VIEWED_PHOTOS // len(job.train)))
        views = max(1, min(wanted, _CACHE_BYTES // (2 * floats * len(job.train))))

    def features(split: str, indices: np.ndarray, views: int) -> list[np.ndarray]:
        return extract(
            extractor,
            job.dataset.pixels,
            indices,
            views=views,
            augmentation=job.augmentation,
            seed=job.settings.seed,
            destinations=[job.run / "cache" / f"{name}_{split}.npy" for name in outputs],
            progress=job.progress,
        )

    seen, held = features("train", job.train, views), features("val", job.val, 1)

    def at(seen: np.ndarray, held: np.ndarray) -> tuple[Examples, Examples]:
        def view(some: np.ndarray, epoch: int) -> np.ndarray:
            return np.asarray(seen[(some + epoch) % views, some], np.float32)

        def plain(some: np.ndarray, epoch: int) -> np.ndarray:
            return np.asarray(held[0, some], np.float32)

        return job.examples(view, plain)

    return {name: at(*pair) for name, *pair in zip(outputs, seen, held, strict=True)}


def _train_whole(job: _Job) -> Fitted:
    pixels, settings = job.dataset.pixels, job.settings

    def view(some: np.ndarray, epoch: int) -> np.ndarray:
        views = [
            view_of(pixels[i], job.augmentation, settings.seed, epoch + 1, int(i))
            for i in job.train[some]
        ]
        return job.preprocessing.normalize(np.stack(views))

    def plain(some: np.ndarray, epoch: int) -> np.ndarray:
        return job.preprocessing.normalize(pixels[job.val[some]])

    epochs = settings.epochs or 20
    smoothing = 0.1 if settings.label_smoothing is None else settings.label_smoothing
    schedule = Schedule(
        name="whole",
        epochs=epochs,
        learning_rate=settings.learning_rate,
        batch_size=settings.batch_size,
        patience=_patience(epochs),
        label_smoothing=smoothing,
    )
    return job.fit(schedule, job.classifier, job.examples(view, plain))


def _patience(epochs: int) -> int:
    """Long enough that the falling rate has its say before a pass is given up."""
    return max(8, epochs // 3)


def _losses(model: Any, examples: Examples) -> np.ndarray:
    """The cross entropy of each example."""
    positions = np.arange(len(examples.labels))
    probabilities = np.concatenate(
        [
            np.asarray(model(examples.inputs(some, 0), training=False))
            for some in np.split(positions, positions[64::64])
        ]
    )
    return np.asarray(-np.log(np.clip(probabilities[positions, examples.labels], 1e-7, 1)))


_TITLES = {
    "head": "Training the head",
    "tail": "Training the last blocks",
    "refit": "Training the head on val too",
    "whole": "Training the network",
}


def write_epochs(path: Path, epochs: list[Epoch]) -> None:
    """Writes epochs.csv: a line an epoch, all passes."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(Epoch)], lineterminator="\n")
    writer.writeheader()
    for epoch in epochs:
        writer.writerow(
            {k: round(v, 6) if isinstance(v, float) else v for k, v in asdict(epoch).items()}
        )
    write_text(path, text.getvalue())
