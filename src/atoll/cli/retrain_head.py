"""`atoll retrain-head`: a new last layer, trained on photos in seconds."""

from __future__ import annotations

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


def retrain_head(
    model: Source,
    photos: Photos = None,
    dataset: Dataset = None,
    *,
    output: Output,
    epochs: Annotated[int, typer.Option(help="How often each photo is seen.")] = 200,
    learning_rate: Annotated[
        float, typer.Option(help="The first step's; it falls to 0.")
    ] = 1.0,
    batch_size: Annotated[int, typer.Option(help="Photos a step.")] = 32,
    penalty: Annotated[
        float, typer.Option(help="On large weights: more for fewer photos.")
    ] = 0.001,
    seed: Annotated[int, typer.Option(help="Same photos and seed, same model.")] = 0,
    embedding: Embedding = None,
    device: Device = "auto",
    twin: Twin = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Replace a model's last layer by one trained on your photos: softmax regression.

    The model is cut before its last dense layer, each photo is embedded once, and the new layer
    learns from that by gradient descent. The result is a .tflite file in the same 8 bits, with its
    labels inside.
    """
    from atoll.cli.console import Terminal
    from atoll.learn.learned import LearnOptions
    from atoll.learn.regression import RegressionSettings
    from atoll.learn.retrain_job import retrain_head as run

    settings = RegressionSettings(epochs, learning_rate, batch_size, penalty, seed)
    with Terminal() as terminal:
        options = LearnOptions(embedding, device, twin)
        learned = run(model, chosen(photos, dataset), output, options, settings, terminal)
    show(learned, "Trained", as_json=as_json)
