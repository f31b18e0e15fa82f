"""`atoll classify`: what is on a photo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from atoll.cli.console import print_json
from atoll.errors import DatasetError, UsageError


def classify(
    model: Annotated[
        Path, typer.Argument(metavar="RUN", help="A RUN folder, or a .tflite file.",
                             show_default=False)
    ],
    photos: Annotated[
        list[Path], typer.Argument(metavar="PHOTO...", help="Photos.", show_default=False)
    ],
    top: Annotated[int, typer.Option(help="How many classes to name.")] = 3,
    device: Annotated[
        str, typer.Option(help="Where it runs: cpu, sim (Edge TPU in software), auto.")
    ] = "auto",
    labels: Annotated[
        Path | None, typer.Option(help="A labels file.", show_default="those in the model")
    ] = None,
    draw: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write the photos with their classes here.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document.")
    ] = False,
) -> None:  # fmt: skip
    """Name what is on photos, and draw it if asked."""
    from atoll.data.decode import UnreadablePhoto, decode
    from atoll.adapters.classify import Classifier
    from atoll.adapters.drawing import label
    from atoll.files import make_folder, replacing

    if top < 1:
        raise UsageError("--top", "it must be 1 or more", received=top, fix="Choose 1 or more")
    classifier = Classifier(model, device=device, labels=labels)
    if draw is not None:
        make_folder(draw)
    results: list[dict[str, Any]] = []
    for path in photos:
        try:
            classes = classifier.top(path, top)
        except UnreadablePhoto as error:
            raise DatasetError(
                path, "it must be a photo", received=error, fix="Name a JPEG or PNG file"
            ) from error
        results.append(
            {
                "photo": str(path),
                "classes": [{"label": name, "score": round(score, 4)} for name, score in classes],
            }
        )
        if draw is not None:
            target = draw / f"{path.stem}.png"
            with replacing(target) as temporary:
                label(decode(path), classes).save(temporary)
            results[-1]["drawn"] = str(target)
        if not as_json:
            typer.echo(path)
            for name, score in classes:
                typer.echo(f"  {score:.4f}  {name}")
    if as_json:
        print_json({"model": str(model), "device": classifier.device, "results": results})
