"""A learned model's files: the model with its labels inside, labels.txt, a compiled one's twin."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from atoll.data.labels import read_labels, write_labels
from atoll.edgetpu.twins import find_twin, twin_names
from atoll.errors import ModelError, OutputError
from atoll.files import write_bytes
from atoll.runtime.model_input import ENTRY
from atoll.tflite.metadata import ENTRY as CARD
from atoll.tflite.metadata import ImageMetadata, attach, read_card
from atoll.tflite.writer import write_model
from atoll.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from atoll.learn.base import Base
    from atoll.tflite.graph import Model


@dataclass(frozen=True)
class Saved:
    """What was written.

    Attributes:
        model: The model.
        labels: labels.txt, or Y_labels.txt where that is another model's.
        twin: The model that the simulator runs in place of a compiled one; None where none was
            written: the model is not compiled, or has a twin beside it already.
    """

    model: Path
    labels: Path
    twin: Path | None


def check_output(base: Base, output: Path, *, in_place: bool = False) -> None:
    """Refuses to write a learned model over what it is made of.

    Args:
        base: What it is learned on.
        output: Where it is to go.
        in_place: Whether it may take the place of the model itself, whose learning goes on in it.

    Raises:
        OutputError: It would take the place of the model or its twin.
    """
    for kept in [base.twin, *([] if in_place else [base.path])]:
        if kept is not None and kept.exists() and output.exists() and output.samefile(kept):
            raise OutputError(
                output,
                "the new model must not take the place of the one that it is made of",
                received="the same file",
                fix="Name another file with -o",
            )


def save(
    base: Base, model: Model, twin: Model | None, labels: Sequence[str], output: Path
) -> Saved:
    """Writes a learned model.

    Args:
        base: What it was learned on.
        model: The model.
        twin: Of a compiled one, what it was made of, with the same last layers; or None.
        labels: The classes' names, in the order of the scores.
        output: Where it goes. labels.txt goes beside it; where there is one of another model,
            Y_labels.txt does.

    Raises:
        OutputError: The place cannot be written to.
        ModelError: A name is no label.
    """
    beside = _labels_place(output, labels)
    write_bytes(output, write_model(_named(base, model, labels)))
    write_labels(beside, labels)
    place = next(iter(twin_names(output)), None)
    if twin is None or place is None or find_twin(output) is not None:
        return Saved(output, beside, None)
    write_bytes(place, write_model(_named(base, twin, labels)))
    return Saved(output, beside, place)


def _labels_place(output: Path, labels: Sequence[str]) -> Path:
    """Where the labels go: what is of another model in the same folder is not written over."""
    usual, own = output.with_name("labels.txt"), output.with_name(f"{output.stem}_labels.txt")
    if own.exists():
        return own
    if output.exists() or not usual.exists():
        return usual
    try:
        same = read_labels(usual) == list(labels)
    except ModelError:
        same = False
    return usual if same else own


def _named(base: Base, model: Model, labels: Sequence[str]) -> Model:
    """A model with its card, its labels and what its input wants."""
    preprocessing = base.preprocessing
    old = read_card(base.model)
    card = ImageMetadata(
        name=old.name if old is not None and old.name else base.path.stem,
        description=f"Tells {len(labels)} classes apart.",
        mean=list(preprocessing.mean),
        std=list(preprocessing.std),
        width=preprocessing.width,
        height=preprocessing.height,
        labels=list(labels),
        author=old.author if old is not None else "",
        license=old.license if old is not None else "",
        version=f"atoll {__version__}",
    )
    recorded = json.dumps(preprocessing.to_json()).encode()
    # Those that are written anew go last: files must not tell in how many goes they were learned.
    rest = {k: v for k, v in model.metadata.items() if k not in (CARD, ENTRY)}
    return attach(replace(model, metadata=rest), card, extra={ENTRY: recorded})
