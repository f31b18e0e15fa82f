"""`atoll imprint`: new classes from a few photos each, with no training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from atoll.cli.learning import (
    Dataset,
    Device,
    Embedding,
    Output,
    Photos,
    Source,
    chosen,
    show,
)
from atoll.cli.options import AsJson, Twin


def imprint(
    model: Source,
    photos: Photos = None,
    dataset: Dataset = None,
    *,
    output: Output,
    keep_classes: Annotated[
        bool, typer.Option("--keep-classes", help="Keep the model's own classes beside the new.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume",
                           help="Go on with an imprinted model: more photos of its classes, "
                           "and new classes.")
    ] = False,
    labels: Annotated[
        Path | None, typer.Option(metavar="FILE", show_default="those in the model",
                                  help="The names of the classes that are kept.")
    ] = None,
    embedding: Embedding = None,
    device: Device = "auto",
    twin: Twin = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Teach a model new classes with one or a few photos each, in seconds and with no training.

    The model is cut before its last dense layer. A class's new weights are the mean direction of
    its photos' embeddings: weight imprinting. The result is a .tflite file in the same 8 bits,
    with its labels inside.
    """
    from atoll.cli.console import Terminal
    from atoll.learn.imprint_job import imprint as run
    from atoll.learn.learned import LearnOptions

    with Terminal() as terminal:
        learned = run(
            model,
            chosen(photos, dataset),
            output,
            LearnOptions(embedding, device, twin),
            terminal,
            keep_classes=keep_classes,
            resume=resume,
            labels=labels,
        )
    show(learned, "Imprinted", as_json=as_json)
