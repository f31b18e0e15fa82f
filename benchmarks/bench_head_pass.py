"""Time to a given accuracy: Atoll's head pass against plain Keras fine-tuning.

Same network (MobileNet v2 at its own 224 pixels, weights read from Coral's published file), same
photos, same split, one process. Plain Keras is the recipe of its own transfer learning guide: the
frozen backbone and a new head, Adam at 0.001, batches of 32, ten epochs over the images. The
accuracy to reach is the highest on the validation photos that both of them reach.
"""

import shutil
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np
from facts import SHARED, write

from atoll.data.dataset import prepare
from atoll.framework import keras
from atoll.progress import Silent
from atoll.train.settings import TrainSettings
from atoll.train.training import train
from atoll.train.transfer import from_tflite

SIZE, TRAIN_PHOTOS, VAL_PHOTOS, KERAS_EPOCHS = 224, 2000, 400, 10
SOURCE = SHARED / "models/v10/mobilenet_v2_1.0_224_quant.tflite"


class Watch(Silent):
    """Notes when each validation accuracy was reached, from the moment it was made."""

    def __init__(self):
        self.began = time.perf_counter()

    def seconds(self):
        return time.perf_counter() - self.began


def plain_keras(data):
    """The (seconds, validation accuracy) after each epoch."""
    transfer = from_tflite(SOURCE, size=(SIZE, SIZE))
    backbone, preprocessing = transfer.model, transfer.preprocessing
    inside, held = data.indices("train"), data.indices("val")
    keras().utils.set_random_seed(0)
    watch = Watch()
    backbone.trainable = False
    layers = keras().layers
    x = layers.GlobalAveragePooling2D()(backbone(backbone.input, training=False))
    x = layers.Dense(len(data.classes), activation="softmax")(layers.Dropout(0.2)(x))
    model = keras().Model(backbone.input, x)
    model.compile(
        keras().optimizers.Adam(1e-3), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    curve = []
    model.fit(
        preprocessing.normalize(data.pixels[inside]),
        data.labels[inside],
        validation_data=(preprocessing.normalize(data.pixels[held]), data.labels[held]),
        batch_size=32,
        epochs=KERAS_EPOCHS,
        verbose=0,
        callbacks=[
            keras().callbacks.LambdaCallback(
                on_epoch_end=lambda _, logs: curve.append((watch.seconds(), logs["val_accuracy"]))
            )
        ],
    )
    return curve


def atoll_head(data):
    """The same of Atoll's pass: conversion and features are in the first epoch's time."""
    transfer = from_tflite(SOURCE, size=(SIZE, SIZE))
    with tempfile.TemporaryDirectory() as folder:
        watch = Watch()
        trained = train(
            transfer.model,
            transfer.row,
            data,
            transfer.preprocessing,
            TrainSettings(epochs=40, tail_epochs=0),
            "none",
            Path(folder),
            watch,
            pretrained=True,
        )
        total = watch.seconds()
    epochs = trained.passes["head"].epochs
    after = np.cumsum([e.seconds for fitted in trained.passes.values() for e in fitted.epochs])
    before = total - after[-1]
    return [(before + s, e.val_accuracy) for s, e in zip(after, epochs, strict=False)]


def small_cifar(folder):
    """The photos: an equal number of each class, with the split that the benchmark wants."""
    with zipfile.ZipFile(SHARED / "data/cifar10_subset.zip") as archive:
        archive.extractall(folder)
    for split, source, count in (("train", "train", TRAIN_PHOTOS), ("val", "test", VAL_PHOTOS)):
        for kind in sorted((folder / "cifar10" / source).iterdir()):
            for photo in sorted(kind.iterdir())[: count // 10]:
                target = folder / "chosen" / split / kind.name / photo.name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.move(photo, target)
            # The job wants a test split too; nothing here looks at it.
            spare = folder / "chosen" / "test" / kind.name / "spare.jpg"
            spare.parent.mkdir(parents=True, exist_ok=True)
            if split == "val":
                shutil.move(next(kind.iterdir()), spare)
    return folder / "chosen"


def main():
    if not SOURCE.exists():
        print(f"skipped: {SOURCE} is not there", file=sys.stderr)
        return
    with tempfile.TemporaryDirectory() as folder:
        photos = small_cifar(Path(folder))
        preprocessing = from_tflite(SOURCE, size=(SIZE, SIZE)).preprocessing
        data = prepare(photos, preprocessing, seed=0)
        curves = {"keras": plain_keras(data), "atoll": atoll_head(data)}
    target = min(max(accuracy for _, accuracy in curve) for curve in curves.values())
    reached = {
        name: next(s for s, accuracy in curve if accuracy >= target)
        for name, curve in curves.items()
    }
    rows = [
        {
            "who": name,
            "target_val_accuracy": round(target, 4),
            "seconds_to_target": round(reached[name], 2),
            "best_val_accuracy": round(max(accuracy for _, accuracy in curve), 4),
            "seconds_first_epoch": round(curve[0][0], 2),
            "seconds_in_all": round(curve[-1][0], 2),
            "times_faster": round(reached["keras"] / reached[name], 2),
            "train_photos": len(data.indices("train")),
            "val_photos": len(data.indices("val")),
        }
        for name, curve in curves.items()
    ]
    write("head_pass", rows)


if __name__ == "__main__":
    main()
