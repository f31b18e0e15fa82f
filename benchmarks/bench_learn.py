"""Learning on published models: imprinting and softmax regression on ants and bees, 8-bit layers.

Writes results/learn.csv, from which docs/learn.md and two constants have their figures: FACTOR in
learn/cosine.py, MARGIN in learn/dense.py. There is no time in it.
"""

import csv
import sys
import tempfile
import zipfile
from pathlib import Path

import facts
import numpy as np
from sklearn.linear_model import LogisticRegression

from atoll.data.arrays import read_pixels
from atoll.errors import ModelError, UsageError
from atoll.learn.base import Extractor, open_base, place_of, run_head
from atoll.learn.coral_head import unit
from atoll.learn.dense import Beside
from atoll.learn.head import averaged, extractor, softmax_layers, with_head
from atoll.learn.imprinting import Imprinted, Imprinter
from atoll.learn.layers import real_numbers
from atoll.learn.photos import embed_photos, find_photos
from atoll.learn.regression import RegressionSettings, fit
from atoll.progress import Silent

RESULT = facts.RESULTS / "learn.csv"
FACTORS = (5, 10, 15, 20, 30, 40, 60, 80)
MARGINS = (0.0, 1.0, 2.0, 3.0, 4.0)
FEW = (1, 5)
_DRAWS = 10
_PHOTOS = facts.SHARED / "data/photos"
_NEW = {"cat": ("0",), "dog": ("0",), "hotdog": ("0", "1")}


class Known:
    """A model, and ants and bees embedded with it."""

    def __init__(self, path, base, listing):
        self.path, self.base = path, base
        self.model, self.place = averaged(base.model, place_of(base))
        self.machine = Extractor(base, extractor(self.model, self.place), "cpu")
        embedded = embed_photos(listing, base.preprocessing, self.machine, Silent())
        self.stored = embedded.stored
        self.real = self.machine.real(embedded.stored)
        self.labels = embedded.labels(embedded.classes)
        self.train, self.test = embedded.where("train"), embedded.where("val", "test")

    def share(self, found):
        """The share of the photos held out whose class was found."""
        return f"{(found == self.labels[self.test]).mean():.3f}"

    def imprinter(self, chosen):
        """What has learned from some of the photos."""
        imprinter = Imprinter(self.base.model, self.path)
        for number in (0, 1):
            imprinter.train(self.real[chosen[self.labels[chosen] == number]], number)
        return imprinter

    def drawn(self, count, seed):
        """As many photos of each class, by lot."""
        rng = np.random.default_rng(seed)
        of = [self.train[self.labels[self.train] == number] for number in (0, 1)]
        return np.concatenate([rng.permutation(each)[:count] for each in of])

    def embed(self, name):
        """The embedding of a photo beside the data set."""
        pixels = read_pixels(_PHOTOS / f"{name}.bmp", self.base.preprocessing)
        return self.machine.real(self.machine.embed(pixels[None]))[0]


def imprinted(known):
    """Imprinting with few photos and with all, and which factor makes them the likeliest."""
    row = {}
    for count in FEW:
        draws = [known.drawn(count, seed) for seed in range(_DRAWS)]
        cosines = [known.imprinter(each).scores(known.real[known.test]) for each in draws]
        shares = [float(known.share(each.argmax(1))) for each in cosines]
        row[f"imprinted_{count}"] = f"{np.mean(shares):.3f}"
        row[f"best_factor_{count}"] = best_factor(known, cosines)
    learned = known.imprinter(known.train)
    cosines = learned.scores(known.real[known.test])
    row["imprinted_all"] = known.share(cosines.argmax(1))
    row["best_factor_all"] = best_factor(known, [cosines])
    found = run_head(learned.headed().head, known.stored[known.test]).argmax(1)
    return row | {"imprinted_all_8_bit": known.share(found)}


def best_factor(known, drawn):
    """The factor with the least cross-entropy on the photos held out, over all draws."""
    losses = []
    for factor in FACTORS:
        total = 0.0
        for cosines in drawn:
            logs = factor * cosines - np.log(np.exp(factor * cosines).sum(1, keepdims=True))
            total -= logs[np.arange(len(logs)), known.labels[known.test]].mean()
        losses.append(total)
    return FACTORS[int(np.argmin(losses))]


def regression(known):
    """Softmax regression in float and in 8 bits, and scikit-learn's."""
    learned, labels = known.real[known.train], known.labels[known.train]
    layer = fit(learned, labels, 2)
    scores = layer.scores(learned)
    add = softmax_layers(layer.weights, layer.biases, scores.min(), scores.max())
    headed = with_head(known.model, known.place, add)
    mean, spread = learned.mean(0), np.sqrt(learned.var(0).sum())
    # Of two classes theirs has one vector, which is the difference of our two.
    theirs = LogisticRegression(
        C=2 / (RegressionSettings().penalty * len(learned)), max_iter=5000
    ).fit((learned - mean) / spread, labels)
    return {
        "regression": known.share(layer.scores(known.real[known.test]).argmax(1)),
        "regression_8_bit": known.share(run_head(headed.head, known.stored[known.test]).argmax(1)),
        "scikit_learn": known.share(theirs.predict((known.real[known.test] - mean) / spread)),
    }


def kept(known):
    """Cat, dog and hotdog beside a model's own classes, by margin.

    How many of the ants and bees, which are none of these, keep their first class; how many of the
    three photos not learned from are found; and how many would keep their first class if the
    model's own rows were made unit vectors, and scores cosines.
    """
    row = {}
    totals = {
        name: [known.embed(f"{name}_train_{number}") for number in numbers]
        for name, numbers in _NEW.items()
    }
    new = [Imprinted(np.sum(each, 0), len(each)) for each in totals.values()]
    for margin in MARGINS:
        try:
            layers = Beside(known.model, known.place, None, known.path, margin)
        except (UsageError, AssertionError):
            return {}
        classes = [*[None] * layers.kept, *new]
        share = (layers.scores(known.real, classes).argmax(1) < layers.kept).mean()
        asked = np.array([known.embed(f"{name}_test_0") for name in _NEW])
        found = layers.scores(asked, classes).argmax(1) - layers.kept
        row[f"margin_{margin:g}_kept"] = f"{share:.3f}"
        row[f"margin_{margin:g}_found"] = int((found == np.arange(3)).sum())
    own = known.base.model.main.operators[known.place.dense]
    kernel = real_numbers(known.base.model.main.tensors[own.inputs[1]])
    cosines = known.real @ unit(kernel.reshape(len(kernel), -1)).T
    plain = layers.scores(known.real, [None] * layers.kept)
    return row | {"same_by_cosine": f"{(cosines.argmax(1) == plain.argmax(1)).mean():.3f}"}


def rows(shared):
    """A row a published model that photos can be learned on."""
    made = {}
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(shared / "data/ants_bees.zip") as archive:
            archive.extractall(folder)
        listing = find_photos(Path(folder))
        for path in sorted((shared / "models").glob("*/*mobilenet_*.tflite")):
            try:
                base = open_base(path)
                if base.compiled or path.stem in made:
                    continue
                known = Known(path, base, listing)
            except ModelError:
                continue
            row = {"model": path.stem, "size": known.place.size}
            made[path.stem] = row | imprinted(known) | regression(known) | kept(known)
    return list(made.values())


def main():
    found = rows(facts.SHARED)
    if not found:
        sys.exit(f"no models in {facts.SHARED}")
    names = list(dict.fromkeys(name for row in found for name in row))
    with RESULT.open("w", newline="") as file:
        writer = csv.DictWriter(file, names, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(found)
    sys.stdout.write(RESULT.read_text())


if __name__ == "__main__":
    main()
