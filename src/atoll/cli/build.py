"""`atoll build`: photos in, a bundle out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from atoll.cli.console import Terminal, print_json
from atoll.errors import UsageError


def build(
    dataset: Annotated[
        Path,
        typer.Argument(
            help="A folder with a folder of photos for each class (train/, val/ and test/ above "
            "them are kept), or an AutoML CSV.",
            show_default=False,
        ),
    ],
    run: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="RUN", help="Where everything is written.",
                     show_default=False),
    ],
    backbone: Annotated[
        str,
        typer.Option(help="mobilenet_v1, mobilenet_v2, inception_v3, resnet50, vgg16, "
                     "inception_resnet_v2, efficientnet_lite0, small_convnet, or auto."),
    ] = "auto",
    init_from: Annotated[
        Path | None,
        typer.Option(metavar="X.tflite", help="Start from the weights of a TFLite model."),
    ] = None,
    weights: Annotated[
        str,
        typer.Option(help="imagenet (downloaded by Keras), none, a .keras file, or auto."),
    ] = "auto",
    alpha: Annotated[
        float | None, typer.Option(help="Width multiplier of the backbone.", show_default="1")
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(metavar="N or WxH", help="Input size in pixels.",
                     show_default="the backbone's"),
    ] = None,
    resize: Annotated[
        str,
        typer.Option(help="crop (the photo's middle) or stretch (all of it, out of proportion)."),
    ] = "crop",
    epochs: Annotated[
        int | None,
        typer.Option(
            help="Most epochs of the main pass.", show_default="40 for a head, 20 from nothing"
        ),
    ] = None,
    tail_epochs: Annotated[
        int, typer.Option(help="Most epochs of the last blocks' pass; 0 leaves it out.")
    ] = 10,
    learning_rate: Annotated[
        float, typer.Option(help="Adam's; the last blocks get a tenth.")
    ] = 0.003,
    batch_size: Annotated[int, typer.Option(help="Photos a step.")] = 32,
    augment: Annotated[
        str, typer.Option(help="photo, light (no mirroring), none, or auto: by the photos.")
    ] = "auto",
    label_smoothing: Annotated[
        float | None,
        typer.Option(help="Share spread over all classes.", show_default="0, or 0.1 from nothing"),
    ] = None,
    dropout: Annotated[float, typer.Option(help="Share of features left out in training.")] = 0.2,
    calibration: Annotated[
        int, typer.Option(help="Training photos that the quantisation sees.")
    ] = 200,
    seed: Annotated[int, typer.Option(help="Same photos and seed, same model.")] = 0,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print report.json on standard output.")
    ] = False,
) -> None:  # fmt: skip
    """Train, quantise, compile, measure: a folder of photos in, a finished model out.

    Run it again with the same words to go on after an interruption.
    """
    from atoll.build.job import build as run_job
    from atoll.build.settings import BuildSettings
    from atoll.train.settings import TrainSettings

    settings = BuildSettings(
        backbone=backbone,
        alpha=alpha,
        size=_size(size),
        resize=resize,
        weights=weights,
        init_from=init_from,
        calibration=calibration,
        train=TrainSettings(
            epochs=epochs,
            tail_epochs=tail_epochs,
            learning_rate=learning_rate,
            batch_size=batch_size,
            label_smoothing=label_smoothing,
            dropout=dropout,
            augment=augment,
            seed=seed,
        ),
    )
    with Terminal() as terminal:
        document = run_job(dataset, run, settings, terminal)
    if as_json:
        print_json(document)
    else:
        typer.echo(_summary(document, run))


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    sides = text.lower().split("x")
    if len(sides) in (1, 2) and all(side.isdecimal() and len(side) < 6 for side in sides):
        return int(sides[0]), int(sides[-1])
    raise UsageError(
        "--size", "it is one number, or width x height", received=text, fix="Write 224 or 320x240"
    )


def _summary(document: dict[str, Any], run: Path) -> str:
    compiled = document["compile"]
    models = document["evaluation"]["models"]
    lines = ["", f"Top-1 on {models[0]['images']} photos it has not seen:"]
    names = {"float": "float", "int8": "8-bit", "sim": "8-bit, cut for the Edge TPU (simulated)"}
    lines += [
        f"  {100 * entry['top1']:6.2f} %  {names[entry['kind']]:<40} {entry['model']}"
        for entry in models
    ]
    mapped = f"{compiled['ops_tpu']} of {compiled['ops_total']} operators"
    lines += [
        f"Mapped to the Edge TPU: {mapped} (by Atoll's rules, not run on a chip)."
        if compiled["backend"] == "sim"
        else f"Mapped to the Edge TPU: {mapped} (Google's compiler).",
        *_predicted(compiled.get("latency_ms", {})),
        f"Done in {document['seconds']['total']:.0f} s.",
        "",
        f"Report:  {run / 'report.html'}",
        f"Model:   {run / 'model_quant.tflite'}",
        f"Try it:  atoll classify {run} PHOTO...",
    ]
    return "\n".join(lines)


def _predicted(latency_ms: dict[str, float]) -> list[str]:
    """The predicted time of a call, in a line; none of a report that is older than predictions."""
    times = ", ".join(f"{ms:.1f} ms over {link}" for link, ms in latency_ms.items())
    return [f"Predicted time of a call there, not measured: {times}."] if times else []
