"""The main job: a folder of photos in, a finished and measured model for the Edge TPU out."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import shutil
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from atoll.build.measure import measure
from atoll.build.network import Network, choose, make_network, prove_transfer
from atoll.build.report import Outcome, document_of, pictures_of
from atoll.build.run_folder import RunFolder, open_run
from atoll.compiler import program
from atoll.compiler.job import compile_model
from atoll.data.dataset import Dataset, prepare
from atoll.data.labels import write_labels
from atoll.data.listing import fingerprint
from atoll.data.scan import scan
from atoll.errors import CompilerError, OutputError
from atoll.files import make_folder, replacing, write_bytes, write_json, write_text
from atoll.framework import make_deterministic
from atoll.quantize import calibration
from atoll.quantize.post_training import quantize
from atoll.quiet import quiet
from atoll.report.page import write_report
from atoll.runtime.model_input import ENTRY
from atoll.tflite.metadata import ImageMetadata, attach
from atoll.tflite.writer import write_model
from atoll.train.augment import find_augmentation
from atoll.train.training import Trained, train
from atoll.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from atoll.build.settings import BuildSettings
    from atoll.compiler.result import Compiled
    from atoll.data.preprocessing import Preprocessing
    from atoll.progress import Progress

_LOOKED_AT = 64
_NO_SPACE = ("No space left on device", "Disk quota exceeded")


def build(dataset: Path, run: Path, settings: BuildSettings, progress: Progress) -> dict[str, Any]:
    """Does the whole job, or what an earlier call left undone of it.

    Args:
        dataset: A folder a class, or an AutoML CSV.
        run: The folder for everything that is made.
        settings: The knobs.
        progress: Who is told.

    Returns:
        The document that report.json holds.

    Raises:
        AtollError: Whatever a person can mend; nothing half-written is left as if good.
    """
    clock = _Clock()
    listing = scan(dataset)
    paths = [listing.root / photo.path for photo in listing.photos]
    seen = f"{len(paths)} photos ({fingerprint(listing.photos, listing.root)[:16]})"
    identity = _identity(seen, settings)
    with open_run(run, identity) as folder, _full_disk_said(run):
        if folder.finished:
            progress.note(f"{run} was finished before; nothing is done again.")
            return folder.report()
        with clock.part("data"):
            choice = choose(settings, paths)
            data = _prepare(dataset, choice.preprocessing, settings, folder, progress)
        with clock.part("network"):
            progress.start("Making the network")
            make_deterministic(settings.train.seed)
            network = make_network(choice, settings)
        with clock.part("training"):
            network = prove_transfer(network, data)
            trained = _train(network, data, settings, folder, progress)
        with clock.part("quantization"):
            calibrated = _quantize(trained, network, data, settings, folder, progress)
        with clock.part("compilation"):
            compiled = _compile(folder, progress)
        with clock.part("evaluation"):
            measured = measure(trained.model, network.preprocessing, data, folder.path, progress)
        document = _finish(
            folder,
            Outcome(
                settings=settings,
                data=data,
                network=network,
                trained=trained,
                calibrated=calibrated,
                compiled=compiled,
                measured=measured,
                seconds=clock.seconds(),
            ),
        )
        shutil.rmtree(run / "cache", ignore_errors=True)
        shutil.rmtree(run / "training", ignore_errors=True)
        return document


def _identity(dataset: str, settings: BuildSettings) -> dict[str, Any]:
    document = {"data set": dataset} | settings.flat()
    if settings.init_from is not None:
        digest = hashlib.sha256(settings.init_from.read_bytes()).hexdigest()
        document["init_from"] = f"{settings.init_from.name} {digest[:16]}"
    return document


def _prepare(
    dataset: Path,
    preprocessing: Preprocessing,
    settings: BuildSettings,
    folder: RunFolder,
    progress: Progress,
) -> Dataset:
    progress.start("Reading photos")
    make_folder(folder.path / "cache")
    data = prepare(
        dataset,
        preprocessing,
        seed=settings.train.seed,
        split_file=folder.path / "split.csv",
        cache=folder.path / "cache" / "pixels.npy",
        progress=progress.update,
    )
    counts = ", ".join(f"{len(data.indices(split))} {split}" for split in ("train", "val", "test"))
    progress.note(f"{len(data.photos)} photos of {len(data.classes)} classes: {counts}.")
    if data.skipped:
        progress.note(f"{len(data.skipped)} files skipped; skipped.csv lists them.")
    for warning in data.warnings:
        progress.note(f"Warning: {warning}.")
    write_labels(folder.path / "labels.txt", data.classes)
    write_json(folder.path / "preprocessing.json", preprocessing.to_json())
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("path", "reason"))
    writer.writerows((entry.path, entry.reason) for entry in data.skipped)
    write_text(folder.path / "skipped.csv", text.getvalue())
    return data


def _train(
    network: Network, data: Dataset, settings: BuildSettings, folder: RunFolder, progress: Progress
) -> Trained:
    progress.note(f"{network.row.name}, weights: {network.origin}")
    inside = data.indices("train")
    # A few say it, and all of a large data set would not fit into memory.
    some = inside[:: max(1, len(inside) // _LOOKED_AT)]
    augment = find_augmentation(settings.train.augment, data.pixels[some])
    trained = train(
        network.model,
        network.row,
        data,
        network.preprocessing,
        settings.train,
        augment,
        folder.path,
        progress,
        pretrained=network.pretrained,
    )
    with replacing(folder.path / "model.keras") as temporary, quiet():
        trained.model.save(temporary)
    return trained


def _quantize(
    trained: Trained,
    network: Network,
    data: Dataset,
    settings: BuildSettings,
    folder: RunFolder,
    progress: Progress,
) -> int:
    """Writes the quantised model and returns how many photos it was calibrated on."""
    progress.start("Quantising")
    inside = data.indices("train")
    chosen = inside[
        calibration.choose(data.labels[inside], settings.calibration, settings.train.seed)
    ]
    preprocessing = network.preprocessing
    model = quantize(trained.model, data.pixels[chosen], preprocessing, progress)
    card = ImageMetadata(
        name=f"{network.row.name} image classifier",
        description=f"Tells {len(data.classes)} classes apart.",
        mean=list(preprocessing.mean),
        std=list(preprocessing.std),
        width=preprocessing.width,
        height=preprocessing.height,
        labels=data.classes,
        author="",
        license="",
        version=f"atoll {__version__}",
    )
    recorded = json.dumps(preprocessing.to_json()).encode()
    model = attach(model, card, extra={ENTRY: recorded})
    write_bytes(folder.path / "model_quant.tflite", write_model(model))
    return len(chosen)


def _compile(folder: RunFolder, progress: Progress) -> Compiled:
    """Compiles for the simulator, and with Google's compiler too where there is one."""
    progress.start("Compiling")
    model = folder.path / "model_quant.tflite"
    compiled = compile_model(model, folder.path, backend="sim")
    if program.find() is None:
        return compiled
    try:
        return compile_model(model, folder.path, backend="google")
    except CompilerError as error:
        progress.note(f"Google's compiler failed, so there is no file for real silicon: {error}")
        return compiled


def _finish(folder: RunFolder, outcome: Outcome) -> dict[str, Any]:
    document = document_of(outcome, folder.path)
    pictures = pictures_of(document, outcome.data)
    # The page lists the files, itself among them: their sizes are known once it is written.
    document["files"] = folder.files()
    write_report(document, pictures, folder.path / "report.html")
    document["files"] = folder.files()
    write_report(document, pictures, folder.path / "report.html")
    write_json(folder.path / "report.json", document)
    return document


class _Clock:
    """How long each part took."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._parts: dict[str, float] = {}

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self._parts[name] = time.perf_counter() - began

    def seconds(self) -> dict[str, float]:
        total = time.perf_counter() - self._began
        return {name: round(s, 2) for name, s in [*self._parts.items(), ("total", total)]}


@contextmanager
def _full_disk_said(run: Path) -> Iterator[None]:
    """TensorFlow and HDF5 tell of a full disk in their own exceptions; a person gets ours."""
    try:
        yield
    except Exception as error:
        if any(text in str(error) for text in _NO_SPACE):
            raise OutputError(
                run,
                "the disk is full",
                received="No space left on device",
                fix="Free some space and run the same command again: it goes on",
            ) from error
        raise
