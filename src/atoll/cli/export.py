"""`atoll export`: a model packed for another program."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from atoll.cli.console import print_json, wrapped
from atoll.cli.options import AsJson


class Program(StrEnum):
    """A program that models are packed for."""

    FRIGATE = "frigate"


class Detector(StrEnum):
    """Frigate's detectors that run .tflite files."""

    AUTO = "auto"
    EDGETPU = "edgetpu"
    CPU = "cpu"


def export(
    program: Annotated[
        Program, typer.Argument(metavar="frigate", help="What to pack for.", show_default=False)
    ],
    model: Annotated[
        Path, typer.Argument(metavar="RUN", show_default=False,
                             help="A RUN folder, or a .tflite file; a compiled file beside it, "
                                  "X_edgetpu.tflite, is found.")
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", show_default=False,
                           help="The folder to write, new or empty.")
    ],
    labels: Annotated[
        Path | None, typer.Option(help="A labels file.", show_default="those in the model")
    ] = None,
    detector: Annotated[
        Detector, typer.Option(help="Frigate's detector; auto: edgetpu for a compiled file.")
    ] = Detector.AUTO,
    device: Annotated[
        list[str] | None, typer.Option(metavar="DEVICE", show_default="usb",
                                       help="An Edge TPU: usb, pci, usb:0; again for each.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", show_default="its file's name",
                                 help="What the model is called.")
    ] = None,
    objects: Annotated[
        list[str] | None, typer.Option("--object", metavar="LABEL", show_default=False,
                                       help="A detector: track this alone; a classifier: look at "
                                            "this. Again for each.")
    ] = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Pack a model for Frigate: the file, its label map, the settings, and what to do with them.

    Detectors (SSD, and YOLO as Frigate wants it) and, for its custom classification, classifiers of
    224x224.
    """
    from atoll.export.frigate import Options, export_frigate

    assert program is Program.FRIGATE
    done = export_frigate(
        model,
        output,
        Options(
            labels=labels,
            detector=detector.value,
            devices=tuple(device or ("usb",)),
            name=name,
            objects=tuple(objects or ()),
        ),
    )
    if as_json:
        print_json(
            {
                "folder": str(done.folder),
                "files": done.files,
                "form": done.form,
                "detector": done.detector,
                "home": done.home,
                "objects": done.tracked,
                "notes": done.notes,
            }
        )
        return
    typer.echo(f"{done.folder}: {_purpose(done.form, done.detector)}")
    for file in done.files:
        typer.echo(f"  {file}")
    for note in done.notes:
        typer.echo("\n".join(wrapped(note)))
    typer.echo("README.md there tells what to do with it: copy, merge, restart.")


def _purpose(form: str, detector: str) -> str:
    if form == "classification":
        return "a classifier for Frigate's custom classification"
    return f"{form} for Frigate's {detector} detector"
