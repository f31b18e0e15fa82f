"""The TFLite Metadata standard: what an image classifier takes, and the names of its classes.

A FlatBuffer in the metadata entry TFLITE_METADATA says how an input is normalised and which label
file belongs to an output; the file itself lies in a zip archive behind the model. Android's task
library, ML Kit and MediaPipe read it.

Source of the fields and numbers below: tensorflow/tflite-support, metadata_schema.fbs 1.1.0.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import flatbuffers

from atoll.errors import ModelError
from atoll.tflite.bounded import ASTRAY
from atoll.tflite.tables import Fields, TableView, write_table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from atoll.tflite.graph import Model, Subgraph

ENTRY = "TFLITE_METADATA"
LABELS_FILE = "labels.txt"

_IDENTIFIER = b"M001"
# The oldest parser that understands every field written here.
_PARSER_VERSION = "1.0.0"
_RGB, _IMAGE, _FEATURE, _NORMALIZATION = 1, 2, 1, 1
_AXIS_LABELS, _VALUE_LABELS = 2, 3
_LARGEST_LABEL_FILE = 16 << 20

_MODEL: Fields = {
    "name": "string",
    "description": "string",
    "version": "string",
    "subgraph_metadata": "tables",
    "author": "string",
    "license": "string",
    "associated_files": "tables",
    "min_parser_version": "string",
}
_SUBGRAPH: Fields = {
    "name": "string",
    "description": "string",
    "input_tensor_metadata": "tables",
    "output_tensor_metadata": "tables",
    "associated_files": "tables",
}
_TENSOR: Fields = {
    "name": "string",
    "description": "string",
    "dimension_names": "strings",
    "content": "table",
    "process_units": "tables",
    "stats": "table",
    "associated_files": "tables",
}
_CONTENT: Fields = {"content_properties_type": "uint8", "content_properties": "table"}
_IMAGE_PROPERTIES: Fields = {"color_space": "int8", "default_size": "table"}
_IMAGE_SIZE: Fields = {"width": "uint32", "height": "uint32"}
_UNIT: Fields = {"options_type": "uint8", "options": "table"}
_NORMALIZATION_OPTIONS: Fields = {"mean": "floats", "std": "floats"}
_FILE: Fields = {"name": "string", "description": "string", "type": "int8"}


@dataclass
class ImageMetadata:
    """What a model's card says.

    Attributes:
        name: The model's name.
        description: What it does.
        mean: Pixel units, one value or one a channel: a float model's input is (pixel - mean) /
            std, and a quantised model's the same, quantised. Empty where the card says nothing.
        std: Pixel units, as `mean`.
        width: Input width in pixels.
        height: Input height in pixels.
        labels: The class names in the order of the output; empty where there are none.
        author: Who made it.
        license: Under which terms.
        version: The model's own version.
    """

    name: str
    description: str
    mean: list[float]
    std: list[float]
    width: int
    height: int
    labels: list[str] = field(default_factory=list)
    author: str = ""
    license: str = ""
    version: str = ""


def attach(model: Model, card: ImageMetadata, *, extra: Mapping[str, bytes] | None = None) -> Model:
    """Puts a card and its label file into a model.

    Args:
        model: A model whose first input is the image and whose first output the scores.
        card: What to say of it.
        extra: Further metadata entries by name, beside the standard's own.

    Returns:
        A new model; `model` stays as it is.

    Raises:
        ModelError: A label cannot be a line of a label file.
    """
    metadata = model.metadata | {ENTRY: _packed(card, model.main)} | dict(extra or {})
    trailer = model.trailer
    if card.labels:
        trailer = _with_file(trailer, LABELS_FILE, _label_text(card.labels))
    return replace(model, metadata=metadata, trailer=trailer)


def read_card(model: Model) -> ImageMetadata | None:
    """Reads a model's card, whoever wrote it.

    Returns:
        The card; None where there is none, or where it does not speak of an image.

    Raises:
        ModelError: The card or its label file is damaged.
    """
    try:
        return _card(model)
    except ASTRAY as error:
        raise _damaged("metadata", error) from error


def read_label_file(model: Model) -> list[str] | None:
    """The class names that a model carries, a line of its label file each.

    Raises:
        ModelError: The metadata or the file is damaged.
    """
    try:
        name = _label_file_name(_root(model))
    except ASTRAY as error:
        raise _damaged("metadata", error) from error
    if not name:
        return None
    text = _file(model.trailer, name).decode("utf-8", "backslashreplace")
    # Only the end is trimmed: an empty line before that still stands for a class.
    return [line.strip() for line in text.rstrip().splitlines()]


def _packed(card: ImageMetadata, graph: Subgraph) -> bytes:
    builder = flatbuffers.Builder(1024)

    def table(fields: Fields, **values: object) -> int:
        return write_table(builder, fields, values)

    normalization = table(_NORMALIZATION_OPTIONS, mean=card.mean, std=card.std)
    size = table(_IMAGE_SIZE, width=card.width, height=card.height)
    properties = table(_IMAGE_PROPERTIES, color_space=_RGB, default_size=size)
    image = table(
        _TENSOR,
        name="image",
        description=f"The photo, {card.width} by {card.height} pixels, RGB.",
        content=table(_CONTENT, content_properties_type=_IMAGE, content_properties=properties),
        process_units=[table(_UNIT, options_type=_NORMALIZATION, options=normalization)],
    )
    labels = table(
        _FILE, name=LABELS_FILE, description="The name of every class.", type=_AXIS_LABELS
    )
    scores = table(
        _TENSOR,
        name="probability",
        description="The score of every class.",
        content=table(_CONTENT, content_properties_type=_FEATURE, content_properties=table({})),
        associated_files=[labels] if card.labels else [],
    )
    # The standard wants as many entries as the model has inputs and outputs.
    inputs = [image, *(table(_TENSOR, name=f"input {i}") for i in range(1, len(graph.inputs)))]
    outputs = [scores, *(table(_TENSOR, name=f"output {i}") for i in range(1, len(graph.outputs)))]
    subgraph = table(_SUBGRAPH, input_tensor_metadata=inputs, output_tensor_metadata=outputs)
    root = table(
        _MODEL,
        name=card.name,
        description=card.description,
        version=card.version,
        subgraph_metadata=[subgraph],
        author=card.author,
        license=card.license,
        min_parser_version=_PARSER_VERSION,
    )
    builder.Finish(root, _IDENTIFIER)
    return bytes(builder.Output())


def _root(model: Model) -> TableView | None:
    data = model.metadata.get(ENTRY, b"")
    return TableView.root(data, _MODEL) if data[4:8] == _IDENTIFIER else None


def _tensors(root: TableView, field_name: str) -> list[TableView]:
    subgraphs = root.tables("subgraph_metadata", _SUBGRAPH)
    return subgraphs[0].tables(field_name, _TENSOR) if subgraphs else []


def _card(model: Model) -> ImageMetadata | None:
    root = _root(model)
    inputs = _tensors(root, "input_tensor_metadata") if root else []
    if root is None or not inputs:
        return None
    image = _image_properties(inputs[0])
    mean, std = _normalization(inputs[0])
    if image is None and not mean:
        return None
    width, height = _size(image, model.main)
    return ImageMetadata(
        name=root.text("name"),
        description=root.text("description"),
        mean=mean,
        std=std,
        width=width,
        height=height,
        labels=read_label_file(model) or [],
        author=root.text("author"),
        license=root.text("license"),
        version=root.text("version"),
    )


def _image_properties(tensor: TableView) -> TableView | None:
    content = tensor.table("content", _CONTENT)
    if content is None or content.number("content_properties_type") != _IMAGE:
        return None
    return content.table("content_properties", _IMAGE_PROPERTIES)


def _normalization(tensor: TableView) -> tuple[list[float], list[float]]:
    for unit in tensor.tables("process_units", _UNIT):
        options = unit.table("options", _NORMALIZATION_OPTIONS)
        if unit.number("options_type") == _NORMALIZATION and options is not None:
            return options.floats("mean"), options.floats("std")
    return [], []


def _size(image: TableView | None, graph: Subgraph) -> tuple[int, int]:
    """Width and height: the card's, or where it has none those of the model's input."""
    size = image.table("default_size", _IMAGE_SIZE) if image is not None else None
    if size is not None:
        return size.number("width"), size.number("height")
    shape = graph.tensors[graph.inputs[0]].shape if graph.inputs else ()
    return (shape[2], shape[1]) if len(shape) == 4 else (0, 0)


def _label_file_name(root: TableView | None) -> str:
    """The name of the label file of the first output that has one."""
    for tensor in _tensors(root, "output_tensor_metadata") if root else ():
        for file in tensor.tables("associated_files", _FILE):
            if file.number("type") in (_AXIS_LABELS, _VALUE_LABELS):
                return file.text("name")
    return ""


def _label_text(labels: list[str]) -> bytes:
    for label in labels:
        if len(label.splitlines()) != 1 or label != label.strip():
            raise ModelError(
                "labels",
                "a label must be one line, with no spaces around it",
                received=repr(label),
                fix="Rename the class",
            )
    return "".join(f"{label}\n" for label in labels).encode()


def _with_file(trailer: bytes, name: str, content: bytes) -> bytes:
    """An archive with one file more, or with another content of that name."""
    files = {kept: _file(trailer, kept) for kept in _names(trailer)} | {name: content}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for entry_name, data in files.items():
            # Not compressed, as the standard's readers want it; no date, so that bytes repeat.
            entry = zipfile.ZipInfo(entry_name, (1980, 1, 1, 0, 0, 0))
            entry.create_system = 3
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, data)
    return buffer.getvalue()


def _names(trailer: bytes) -> list[str]:
    if not trailer:
        return []
    try:
        with zipfile.ZipFile(io.BytesIO(trailer)) as archive:
            return archive.namelist()
    except (zipfile.BadZipFile, *ASTRAY) as error:
        raise _damaged("archive", error) from error


def _file(trailer: bytes, name: str) -> bytes:
    if name not in _names(trailer):
        raise _damaged("archive", f"no file {name!r} in it")
    try:
        with zipfile.ZipFile(io.BytesIO(trailer)) as archive:
            if archive.getinfo(name).file_size > _LARGEST_LABEL_FILE:
                raise _damaged("archive", f"{name!r} of {archive.getinfo(name).file_size} bytes")
            return archive.read(name)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, OSError, *ASTRAY) as error:
        raise _damaged("archive", error) from error


def _damaged(part: str, received: object) -> ModelError:
    return ModelError(
        "model",
        f"its {part} must follow the TFLite Metadata standard",
        received=received,
        fix="Get the file again, or attach its labels anew",
    )
