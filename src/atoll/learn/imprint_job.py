"""The job of `atoll imprint`: from a model and a few photos to a model that knows them."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import numpy as np

from atoll.data.labels import read_labels
from atoll.errors import DatasetError, UsageError
from atoll.files import make_folder
from atoll.learn.base import Extractor, open_base, place_of, twin_model
from atoll.learn.imprinting import Imprinter
from atoll.learn.learned import Accuracy, Learned, measured
from atoll.learn.photos import counted, embed_photos, find_photos, one_class
from atoll.learn.saving import check_output, save
from atoll.tflite.metadata import read_label_file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from atoll.data.listing import Listing
    from atoll.learn.base import Base
    from atoll.learn.learned import LearnOptions
    from atoll.learn.photos import Embedded
    from atoll.progress import Progress


def imprint(
    path: Path,
    dataset: Path,
    output: Path,
    options: LearnOptions,
    progress: Progress,
    *,
    keep_classes: bool = False,
    resume: bool = False,
    labels: Path | None = None,
) -> Learned:
    """Learns classes by weight imprinting.

    Learned from are all photos but those in the data set's own test split (val, where it has no
    test), which are measured with.

    Args:
        path: The model to learn on.
        dataset: The photos, a folder a class.
        output: Where the new model goes; labels.txt goes beside it.
        options: See there.
        progress: Who is told.
        keep_classes: Whether the model's own classes stay, the new ones behind them.
        resume: Whether an imprinted model goes on: classes of the same name learn more, others
            are new.
        labels: The names of the model's classes; None takes those in the model.

    Returns:
        What was made.

    Raises:
        AtollError: Whatever a person can mend; nothing half-written is left.
    """
    listing = _photos(dataset, adds=keep_classes or resume)
    base = open_base(path, options.twin)
    check_output(base, output, in_place=resume)
    place = place_of(base, options.embedding)
    imprinter = Imprinter(
        base.model, path, embedding=options.embedding, keep_classes=keep_classes or resume
    )
    known = _known_labels(base, imprinter.num_classes, labels)
    if resume and not any(imprinter.classes):
        raise UsageError(
            "--resume",
            "the model must have been imprinted before",
            received=path,
            fix="Leave --resume out, or write --keep-classes to keep its own classes",
        )
    names = sorted({photo.label for photo in listing.photos})
    numbers = _numbers(names, known, imprinter, resume=resume)
    make_folder(output.parent)  # before the long part, not after it
    machine = Extractor(base, imprinter.extractor(), options.device)
    embedded = embed_photos(listing, base.preprocessing, machine, progress)
    asked = embedded.where("test")
    if not len(asked):
        asked = embedded.where("val")
    learned = np.setdiff1d(np.arange(len(embedded.photos)), asked)
    _check_learnable(dataset, names, embedded, learned)
    real = machine.real(embedded.stored)
    classes = np.array([numbers[photo.label] for photo in embedded.photos])
    for number in numbers.values():
        imprinter.train(real[learned[classes[learned] == number]], number)
    headed = imprinter.headed()
    all_labels = [*known, *(name for name in names if numbers[name] >= len(known))]
    twin = twin_model(base, place)
    if twin is not None:
        twin = imprinter.headed(twin).model
    right, others = imprinter.leave_one_out(real[learned], classes[learned])
    return Learned(
        saved=save(base, headed.model, twin, all_labels, output),
        model=headed.model,
        base=base,
        place=place,
        device=machine.device,
        labels=all_labels,
        photos=counted([embedded.photos[i] for i in learned]),
        skipped=embedded.skipped,
        held_out=measured(headed, embedded.stored[asked], classes[asked]),
        left_out=Accuracy(right, others) if others else None,
    )


def _known_labels(base: Base, many: int, path: Path | None) -> list[str]:
    """The names of the classes that are kept; one without a name is called by its number."""
    found = read_labels(path) if path is not None else read_label_file(base.model) or []
    return [found[i] if i < len(found) and found[i] else f"class {i}" for i in range(many)]


def _numbers(
    names: Sequence[str], known: Sequence[str], imprinter: Imprinter, *, resume: bool
) -> dict[str, int]:
    """The number of each class of the data set."""
    numbers: dict[str, int] = {}
    unused = count(len(known))
    for name in names:
        if name not in known:
            numbers[name] = next(unused)
            continue
        numbers[name] = place = known.index(name)
        if not resume:
            raise UsageError(
                "--keep-classes",
                "a new class needs a new name",
                received=f"{name!r}, which is class {place} of the model",
                fix="Rename the folder, or if that class was imprinted write --resume",
            )
        if imprinter.classes[place] is None:
            raise UsageError(
                "--resume",
                "only imprinted classes can learn more",
                received=f"{name!r}, which is class {place} of the model's own",
                fix="Rename the folder: it becomes a class beside that one",
            )
    return numbers


def _photos(dataset: Path, *, adds: bool) -> Listing:
    """The photos; of a single class, where it is added to others."""
    alone = None if adds else one_class(dataset)
    if alone is not None:
        raise DatasetError(
            dataset,
            "a classifier needs at least two classes",
            received=f"only {alone.photos[0].label!r}",
            fix="Add a folder of another class; or add this class to those that the model has, "
            "with --resume to imprinted ones and with --keep-classes to others",
        )
    return find_photos(dataset, one_class_will_do=adds)


def _check_learnable(
    dataset: Path, names: Sequence[str], embedded: Embedded, learned: np.ndarray
) -> None:
    there = {embedded.photos[i].label for i in learned}
    missing = [name for name in names if name not in there]
    if missing:
        raise DatasetError(
            dataset,
            "every class needs photos to learn from",
            received=f"only held-out photos of {missing[0]!r}",
            fix="Put photos of it into train, or give the data set without its split folders",
        )
