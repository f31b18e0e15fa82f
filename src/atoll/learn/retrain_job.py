"""The job of `atoll retrain-head`: from a model and photos to one with a new last layer."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from atoll.files import make_folder
from atoll.learn.base import Extractor, open_base, place_of, twin_model
from atoll.learn.head import averaged, extractor, softmax_layers, with_head
from atoll.learn.learned import Learned, measured
from atoll.learn.photos import counted, embed_photos, find_photos, split_photos
from atoll.learn.place import find_embedding
from atoll.learn.record import ENTRY
from atoll.learn.regression import RegressionSettings, fit
from atoll.learn.saving import check_output, save

if TYPE_CHECKING:
    from pathlib import Path

    from atoll.learn.learned import LearnOptions
    from atoll.progress import Progress
    from atoll.tflite.graph import Model


def retrain_head(
    path: Path,
    dataset: Path,
    output: Path,
    options: LearnOptions,
    settings: RegressionSettings,
    progress: Progress,
) -> Learned:
    """Learns classes by softmax regression: a new last layer, trained on embeddings.

    Args:
        path: The model to learn on.
        dataset: The photos, a folder a class. What is measured with is its test split, or is drawn
            as `atoll build` does.
        output: Where the new model goes; labels.txt goes beside it.
        options: See there.
        settings: How the layer is trained; its seed draws the splits too.
        progress: Who is told.

    Returns:
        What was made.

    Raises:
        AtollError: Whatever a person can mend; nothing half-written is left.
    """
    settings.check()
    listing = find_photos(dataset)
    base = open_base(path, options.twin)
    check_output(base, output)
    model, place = averaged(base.model, place_of(base, options.embedding))
    make_folder(output.parent)  # before the long part, not after it
    machine = Extractor(base, extractor(model, place), options.device)
    embedded = embed_photos(listing, base.preprocessing, machine, progress)
    embedded = split_photos(embedded, listing.root, settings.seed)
    names = embedded.classes
    real, classes = machine.real(embedded.stored), embedded.labels(names)
    # Nothing is chosen by val: its photos are learned from too.
    train, test = embedded.where("train", "val"), embedded.where("test")
    progress.start("Training the last layer")
    layer = fit(real[train], classes[train], len(names), settings, progress.update)
    scores = layer.scores(real[train])

    layers = softmax_layers(layer.weights, layer.biases, scores.min(), scores.max())
    headed = with_head(_forgetting(model), place, layers)
    twin = twin_model(base, place)
    if twin is not None:
        there = averaged(twin, find_embedding(twin, base.twin, place.name))
        twin = with_head(_forgetting(there[0]), there[1], layers).model
    return Learned(
        saved=save(base, headed.model, twin, names, output),
        model=headed.model,
        base=base,
        place=place,
        device=machine.device,
        labels=names,
        photos=counted([embedded.photos[i] for i in train]),
        skipped=embedded.skipped,
        held_out=measured(headed, embedded.stored[test], classes[test]),
        regression=layer,
    )


def _forgetting(model: Model) -> Model:
    """A model without what imprinting notes in it."""
    metadata = {name: value for name, value in model.metadata.items() if name != ENTRY}
    return replace(model, metadata=metadata, description="")
