"""A model packed for Frigate: the file, its label map, the settings and what to do with them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from atoll.errors import ModelError, UsageError
from atoll.export.folder import write_folder
from atoll.export.frigate_forms import CLASSIFICATION, Fit, fit
from atoll.export.frigate_readme import readme
from atoll.export.models import find_models, name_of
from atoll.export.yaml_text import to_yaml
from atoll.tflite.edit import with_main
from atoll.tflite.writer import write_model

if TYPE_CHECKING:
    from pathlib import Path

    from atoll.export.models import Found, ModelFile
    from atoll.export.yaml_text import Value

Detector = Literal["auto", "edgetpu", "cpu"]

# The folder that Frigate's container has its own models in.
_HOME = "/config/model_cache"
LABEL_MAP, SETTINGS, README = "labelmap.txt", "config.yml", "README.md"
# With more labels than these, a detector is one for everything (COCO), and whoever watches a yard
# wants people.
_MOST_TRACKED = 20
_USUAL = "person"
# What lists of labels call no class.
_NO_CLASS = {"", "???", "background", "unlabeled", "n/a", "none", "unknown"}
_THREADS = 3
_CLASSIFY_THRESHOLD = 0.8


@dataclass(frozen=True)
class Options:
    """How a model is to be packed.

    Attributes:
        labels: A labels file; None takes those in the model or beside it.
        detector: "edgetpu", "cpu", or "auto" for the first where there is a compiled file.
        devices: The Edge TPUs, as Frigate names them: "usb", "pci", "usb:0". One detector each.
        name: What the model is called there; None for the file's or the folder's name.
        objects: For a detector: the labels that Frigate is to track; empty for a choice of its
            own. For a classifier: the tracked objects that it is to look at.
    """

    labels: Path | None = None
    detector: Detector = "auto"
    devices: tuple[str, ...] = ("usb",)
    name: str | None = None
    objects: tuple[str, ...] = ()


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        folder: Where.
        files: The files in it.
        form: "ssd", "yolo-generic" or "classification".
        detector: "edgetpu" or "cpu".
        home: The folder that its files belong into, as Frigate's container calls it.
        tracked: The labels in the settings.
        notes: What a person should know, a sentence each.
    """

    folder: Path
    files: list[str]
    form: str
    detector: str
    home: str
    tracked: list[str]
    notes: list[str]


def export_frigate(source: Path, folder: Path, options: Options | None = None) -> Exported:
    """Packs a model for Frigate.

    Args:
        source: A folder that `atoll build` made, or a .tflite file. A compiled file beside it,
            X_edgetpu.tflite, is found.
        folder: What to write; it must be new, empty, or an earlier export of the same.
        options: How.

    Returns:
        What was written.

    Raises:
        ModelError: Frigate cannot use the model; the message tells what it could.
        UsageError: The options do not fit the model.
        OutputError: The folder holds other things, or cannot be written to.
    """
    options = options or Options()
    found = find_models(source, options.labels)
    some = found.plain or found.compiled
    assert some is not None
    made = fit(some)
    name = found.name if options.name is None else _checked_name(options.name)
    home = f"{_HOME}/{name}"
    labels = _checked_labels(found, made, source)
    if made.form == CLASSIFICATION:
        detector, file, tracked = "cpu", _plain(found, source), _classified(options)
        settings = _classification(name, tracked)
        model_name, content, notes = "model.tflite", file.content, [_CPU_CLASSIFIER]
    else:
        detector, file = _chosen(found, made, options, source)
        model_name, tracked = file.path.name, _tracked(options, labels)
        content, notes = _ordered(file, fit(file))
        settings = _detection(made, detector, options, f"{home}/{model_name}", home, tracked)
        notes += _detection_notes(made, detector, tracked, labels)
    files = {
        model_name: content,
        LABEL_MAP: _label_map(labels, made).encode(),
        SETTINGS: (_HEAD + to_yaml(settings)).encode(),
    }
    files[README] = readme(name, home, made, detector, list(files), notes).encode()
    write_folder(folder, files)
    return Exported(folder, sorted(files), made.form, detector, home, tracked, notes)


_HEAD = "# Merge this into Frigate's config.yml, beside its cameras; README.md tells how.\n"
_CPU_CLASSIFIER = (
    "Frigate runs its classification on the processor, not on the Edge TPU: the plain model was "
    "taken. Frigate's page Classification replaces it where a model of this name is trained there."
)


def _checked_name(name: str) -> str:
    if not name or name_of(f"{name}.") != name:
        raise UsageError(
            "--name",
            "it must be made of letters, digits, - and _",
            received=repr(name),
            fix=f"Try {name_of(name)}",
        )
    return name


def _checked_labels(found: Found, made: Fit, source: Path) -> list[str]:
    labels, classes = found.labels, made.classes
    if not any(label.strip() for label in labels):
        raise ModelError(
            source,
            "Frigate needs the names of the classes",
            received="a model without labels, and no labels.txt beside it",
            fix="Name a labels file with --labels",
        )
    exact = made.form != "ssd"  # COCO's lists for SSD end early, or leave numbers out
    if classes is not None and (len(labels) > classes or (exact and len(labels) < classes)):
        first = labels[0].strip().lower() in _NO_CLASS
        raise ModelError(
            source,
            f"the model has {classes} classes",
            received=f"{len(labels)} labels",
            fix="Leave the first label out: it stands for no class"
            if first and len(labels) == classes + 1
            else "Name the labels file that belongs to it with --labels",
        )
    for label in labels:
        if "\n" in label or "\r" in label:
            raise ModelError(
                source, "a label must be one line", received=repr(label), fix="Rename the class"
            )
    return labels


def _plain(found: Found, source: Path) -> ModelFile:
    if found.plain is None:
        raise ModelError(
            source,
            "Frigate runs its classification on the processor",
            received="a compiled model, which only an Edge TPU runs",
            fix="Name the model that it was compiled from",
        )
    return found.plain


def _chosen(found: Found, made: Fit, options: Options, source: Path) -> tuple[str, ModelFile]:
    """The detector, and the file that it runs."""
    if options.detector != "cpu" and found.compiled is not None:
        _check_devices(options.devices)
        return "edgetpu", found.compiled
    if options.detector == "edgetpu":
        raise ModelError(
            source,
            "Frigate's edgetpu detector runs a compiled file, X_edgetpu.tflite",
            received="none beside the model",
            fix="Compile it with Google's compiler (atoll compile), or give --detector cpu",
        )
    if found.plain is None:
        raise ModelError(
            source,
            "Frigate's cpu detector runs a plain model",
            received="a compiled one, which only an Edge TPU runs",
            fix="Name the model that it was compiled from",
        )
    if made.form != "ssd" or made.input_type == "INT8":
        what = made.form if made.form != "ssd" else "an int8 input"
        raise ModelError(
            source,
            "Frigate's cpu detector takes ssd with a uint8 or float input; "
            "its edgetpu detector takes more",
            received=f"{what}, and no compiled file beside the model",
            fix="Compile it with Google's compiler (atoll compile)",
        )
    return "cpu", found.plain


def _check_devices(devices: tuple[str, ...]) -> None:
    for device in devices:
        kind, colon, number = device.partition(":")
        if kind not in ("usb", "pci") or (colon and not number.isdecimal()):
            raise UsageError(
                "--device",
                "Frigate names Edge TPUs usb, pci, usb:N or pci:N",
                received=device,
                fix="Name one of these",
            )
    if len(set(devices)) != len(devices):
        raise UsageError(
            "--device",
            "each Edge TPU has one detector",
            received=" ".join(devices),
            fix="Name each once",
        )


def _tracked(options: Options, labels: list[str]) -> list[str]:
    names = [label for label in dict.fromkeys(labels) if label.lower() not in _NO_CLASS]
    for name in options.objects:
        if name not in names:
            raise UsageError(
                "--object",
                "the model must know it",
                received=name,
                fix=f"Name labels of the model, such as {', '.join(names[:3])}",
            )
    if options.objects:
        return list(options.objects)
    if len(names) > _MOST_TRACKED and _USUAL in names:
        return [_USUAL]
    return names


def _classified(options: Options) -> list[str]:
    if not options.objects:
        raise UsageError(
            "--object",
            "a classifier looks at objects that Frigate's detector found: it must be told which",
            received="none",
            fix="Name the labels, such as --object person",
        )
    return list(options.objects)


def _ordered(file: ModelFile, made: Fit) -> tuple[bytes, list[str]]:
    """The file, its outputs in the order in which Frigate reads them."""
    if made.order is None:
        return file.content, []
    graph = file.model.main
    outputs = [graph.outputs[place] for place in made.order]
    model = with_main(file.model, replace(graph, outputs=outputs))
    note = (
        "Frigate reads boxes, classes, scores and count by their place; this model has them in "
        "another order, so its list of outputs was put into Frigate's. Nothing else was changed."
    )
    return write_model(model), [note]


def _detection_notes(made: Fit, detector: str, tracked: list[str], labels: list[str]) -> list[str]:
    notes = []
    if detector == "cpu":
        notes.append(
            "No compiled file (X_edgetpu.tflite) was found or asked for: this runs on Frigate's "
            "cpu detector, which is slow, and not on an Edge TPU."
        )
    if made.form != "ssd" or made.input_type == "INT8":
        notes.append("This needs Frigate 0.17 or newer.")
    if len(tracked) < len([label for label in labels if label.lower() not in _NO_CLASS]):
        notes.append(f"Only {', '.join(tracked)} is tracked: add more under objects, track.")
    return notes


def _detection(
    made: Fit, detector: str, options: Options, path: str, home: str, tracked: list[str]
) -> dict[str, Value]:
    detectors: dict[str, Value]
    if detector == "cpu":
        detectors = {"cpu1": {"type": "cpu", "num_threads": _THREADS}}
    else:
        alone = len(options.devices) == 1
        detectors = {
            "coral" if alone else f"coral{number}": {"type": "edgetpu", "device": device}
            for number, device in enumerate(options.devices, 1)
        }
    model: dict[str, Value] = {
        "path": path,
        "labelmap_path": f"{home}/{LABEL_MAP}",
        "width": made.width,
        "height": made.height,
        "input_tensor": "nhwc",
        "input_pixel_format": made.pixel_format,
        "input_dtype": made.input_dtype,
        "model_type": made.form,
    }
    return {"detectors": detectors, "model": model, "objects": {"track": tracked}}


def _classification(name: str, objects: list[str]) -> dict[str, Value]:
    one: dict[str, Value] = {
        "enabled": True,
        "threshold": _CLASSIFY_THRESHOLD,
        "object_config": {"objects": objects, "classification_type": "sub_label"},
    }
    return {"classification": {"custom": {name: one}}}


def _label_map(labels: list[str], made: Fit) -> str:
    """The labels as Frigate reads them (load_labels in frigate/util/builtin.py).

    A detector's are numbered, so that numbers can be left out; an empty line would end Frigate. A
    classifier's are not, and have a line each.
    """
    if made.form == CLASSIFICATION:
        return "".join(f"{label.strip() or 'none'}\n" for label in labels)
    return "".join(f"{n} {label.strip()}\n" for n, label in enumerate(labels) if label.strip())
