"""One pass of training: epochs, early stopping, the best weights, and going on after a kill.

Keras has a callback for each of these; they do not share their state over a kill (early stopping
forgets how long it has waited, the best checkpoint forgets what was best). Here one file holds all
of it, written whole at the end of every epoch.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from atoll.errors import TrainingError
from atoll.files import replacing
from atoll.framework import keras

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from atoll.progress import Progress


@dataclass(frozen=True)
class Schedule:
    """The knobs of a pass.

    Attributes:
        name: "head", "tail" or "whole".
        epochs: The most epochs.
        learning_rate: Adam's, reached after one epoch; it then falls to 0 along a half cosine.
        batch_size: Photos a step.
        patience: Epochs without a lower validation loss before it stops.
        label_smoothing: How much of the target is spread over all classes.
    """

    name: str
    epochs: int
    learning_rate: float
    batch_size: int
    patience: int
    label_smoothing: float


@dataclass(frozen=True)
class Epoch:
    """One line of epochs.csv; a pass with no validation has none of its figures."""

    phase: str
    epoch: int
    loss: float
    accuracy: float
    val_loss: float | None
    val_accuracy: float | None
    seconds: float


@dataclass
class Examples:
    """What a pass trains on or is measured with.

    Attributes:
        inputs: Gives the network's input, float32, for positions and a round number: another one
            at every epoch of training, 0 for measuring.
        labels: int64 (n,).
        weights: float32 (n,): what each example counts.
    """

    inputs: Callable[[np.ndarray, int], np.ndarray]
    labels: np.ndarray
    weights: np.ndarray


@dataclass
class Fitted:
    """What a pass came to.

    Attributes:
        epochs: One entry an epoch, those before a kill too.
        best: The index of the epoch whose weights the network now has.
        seconds: Training time, those before a kill too.
    """

    epochs: list[Epoch] = field(default_factory=list)
    best: int = -1
    finished: bool = False

    @property
    def seconds(self) -> float:
        """Training time of all epochs."""
        return sum(epoch.seconds for epoch in self.epochs)


def fit(
    model: Any,
    schedule: Schedule,
    train: Examples,
    validation: Examples | None,
    *,
    classes: int,
    seed: int,
    state: Path,
    progress: Progress,
    on_epoch: Callable[[Fitted], None],
    callbacks: list[Any],
) -> Fitted:
    """Trains a network, from where it was left if it was.

    Args:
        model: A keras.Model that ends in probabilities. It is left with its best weights.
        schedule: The knobs.
        train: What it learns from.
        validation: What it is measured with after every epoch; None trains all epochs and keeps
            the last.
        classes: How many classes.
        seed: The order of the examples follows from it and the epoch.
        state: The file that holds everything needed to go on.
        progress: Who is told.
        on_epoch: Called at the end of every epoch, after the state is written.
        callbacks: Further Keras callbacks.

    Returns:
        What it came to.

    Raises:
        TrainingError: The loss is no number any more.
    """
    steps = -(-len(train.labels) // schedule.batch_size)
    _compile(model, schedule, steps)
    kept = _State(model, state)
    fitted = kept.load()
    if fitted.epochs:
        progress.note(f"Going on after epoch {len(fitted.epochs)} of the {schedule.name} pass.")
    held = None if validation is None else _batches(validation, classes, 64, seed=None)
    began = time.perf_counter()

    def step_done(batch: int, logs: dict[str, float]) -> None:
        done = len(fitted.epochs) * steps + batch + 1
        progress.update(done, schedule.epochs * steps, f"loss {logs['loss']:.3f}")

    def epoch_done(epoch: int, logs: dict[str, float]) -> None:
        nonlocal began
        now = time.perf_counter()
        fitted.epochs.append(
            Epoch(
                phase=schedule.name,
                epoch=epoch + 1,
                loss=logs["loss"],
                accuracy=logs["accuracy"],
                val_loss=logs.get("val_loss"),
                val_accuracy=logs.get("val_accuracy"),
                seconds=now - began,
            )
        )
        losses = np.array(
            [row.loss if held is None else row.val_loss for row in fitted.epochs], np.float64
        )
        if not np.isfinite([logs["loss"], losses[-1]]).all():
            raise TrainingError(
                f"epoch {epoch + 1} of the {schedule.name} pass",
                "the loss must stay a number",
                received=f"{logs['loss']:.3g} in training, {losses[-1]:.3g} in validation",
                fix="Choose a smaller --learning-rate, or other weights",
            )
        improved = held is None or int(losses.argmin()) == epoch
        if improved:
            fitted.best = epoch
        waited = epoch - fitted.best
        fitted.finished = waited >= schedule.patience or epoch + 1 == schedule.epochs
        model.stop_training = fitted.finished
        kept.save(fitted, improved=improved)
        on_epoch(fitted)
        began = time.perf_counter()

    if not fitted.finished:
        model.fit(
            _batches(train, classes, schedule.batch_size, seed, first_epoch=len(fitted.epochs)),
            validation_data=held,
            initial_epoch=len(fitted.epochs),
            epochs=schedule.epochs,
            shuffle=False,
            verbose=0,
            callbacks=[
                keras().callbacks.LambdaCallback(
                    on_train_batch_end=step_done, on_epoch_end=epoch_done
                ),
                *callbacks,
            ],
        )
    kept.restore_best()
    return fitted


def _compile(model: Any, schedule: Schedule, steps: int) -> None:
    # Adam's first steps are as long as its rate whatever the gradient: trained weights would jump.
    rate = keras().optimizers.schedules.CosineDecay(
        0.0,
        decay_steps=max(1, (schedule.epochs - 1) * steps),
        warmup_target=schedule.learning_rate,
        warmup_steps=steps,
    )
    optimizer = keras().optimizers.Adam(rate)
    model.compile(
        optimizer=optimizer,
        loss=keras().losses.CategoricalCrossentropy(label_smoothing=schedule.label_smoothing),
        metrics=[keras().metrics.CategoricalAccuracy(name="accuracy")],
    )
    optimizer.build(model.trainable_variables)


class _State:
    """The file behind a pass: all variables, the best ones, and the epochs so far."""

    def __init__(self, model: Any, path: Path) -> None:
        self._model = model
        self._path = path
        self._best: list[np.ndarray] = []

    def load(self) -> Fitted:
        if not self._path.exists():
            return Fitted()
        with np.load(self._path) as archive:
            document = json.loads(str(archive["document"]))
            for i, variable in enumerate(self._variables()):
                variable.assign(archive[f"now{i}"])
            self._best = [archive[f"best{i}"] for i in range(len(self._model.variables))]
        epochs = [Epoch(**row) for row in document["epochs"]]
        return Fitted(epochs, document["best"], document["finished"])

    def save(self, fitted: Fitted, *, improved: bool) -> None:
        if improved:
            self._best = [np.array(v) for v in self._model.variables]
        document = json.dumps(asdict(fitted))
        arrays = {f"now{i}": np.asarray(v) for i, v in enumerate(self._variables())}
        arrays |= {f"best{i}": value for i, value in enumerate(self._best)}
        with replacing(self._path) as temporary:
            np.savez(temporary, document=np.array(document), **arrays)  # type: ignore[arg-type]

    def restore_best(self) -> None:
        for variable, value in zip(self._model.variables, self._best, strict=True):
            variable.assign(value)

    def _variables(self) -> list[Any]:
        return [*self._model.variables, *self._model.optimizer.variables]


def _batches(
    examples: Examples, classes: int, size: int, seed: int | None, first_epoch: int = 0
) -> Any:
    """Examples as Keras takes them; with a seed, in a new round and order at every epoch."""
    count = len(examples.labels)
    targets = np.eye(classes, dtype=np.float32)

    class Batches(keras().utils.PyDataset):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self._epoch = first_epoch
            self._order = self._shuffle()

        def __len__(self) -> int:
            return -(-count // size)

        def __getitem__(self, batch: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            some = self._order[batch * size : (batch + 1) * size]
            return (
                examples.inputs(some, self._epoch),
                targets[examples.labels[some]],
                examples.weights[some],
            )

        def on_epoch_end(self) -> None:
            if seed is not None:
                self._epoch += 1
                self._order = self._shuffle()

        def _shuffle(self) -> np.ndarray:
            if seed is None:
                return np.arange(count)
            return np.random.default_rng((seed, self._epoch)).permutation(count)

    return Batches()
