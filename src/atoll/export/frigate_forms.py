"""What Frigate's detectors and its classification take of a model: one table.

Source: blakeblackshear/frigate, frigate/detectors/plugins/edgetpu_tfl.py and cpu_tfl.py,
frigate/object_detection/base.py, frigate/data_processing/real_time/custom_classification.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from flatbuffers import flexbuffers

from atoll.adapters.facts import Facts, Output
from atoll.adapters.ssd import POST_PROCESS
from atoll.edgetpu.simfile import EDGETPU_OP
from atoll.errors import ModelError
from atoll.runtime.model_input import input_spec
from atoll.tflite.types import BY_NAME

if TYPE_CHECKING:
    from collections.abc import Callable

    from atoll.export.models import ModelFile
    from atoll.runtime.model_input import InputSpec
    from atoll.tflite.graph import Operator, Tensor

CLASSIFICATION = "classification"
# YOLO: what a box is told by, four distances of 16 numbers; and the strides of its three maps.
_BOX_NUMBERS = 64
_STRIDES = (8, 16, 32)
# What Frigate resizes the picture of an object to.
_CLASSIFIED_SIZE = 224


@dataclass(frozen=True)
class Fit:
    """How a model serves Frigate.

    Attributes:
        form: "ssd", "yolo-generic" (Frigate's names of model types) or "classification".
        width: Of the input, in pixels.
        height: As above.
        pixel_format: "rgb" or "bgr".
        input_dtype: "int": pixels as they are; "float": 0 to 1; "float_denorm": 0 to 255.
        input_type: TFLite's name of the input's type.
        classes: How many classes it has; None where the file does not tell.
        order: The outputs in the order in which Frigate reads them; None where they have it.
    """

    form: str
    width: int
    height: int
    pixel_format: str
    input_dtype: str
    input_type: str
    classes: int | None
    order: tuple[int, ...] | None = None


@dataclass(frozen=True)
class _Form:
    """A row: what the outputs must be, and a function that says how many classes and which order.

    It returns None where the outputs are of another form.
    """

    name: str
    what: str
    match: Callable[[Facts], tuple[int | None, tuple[int, ...] | None] | None]


def fit(file: ModelFile) -> Fit:
    """How a model serves Frigate.

    Args:
        file: The model.

    Raises:
        ModelError: It serves for nothing there: the message tells what would.
    """
    spec = input_spec(file.model, file.path)
    facts = _facts(file, spec)
    for form in FORMS:
        matched = form.match(facts)
        if matched is not None:
            break
    else:
        raise ModelError(
            file.path,
            "Frigate takes " + "; ".join(f"{form.name}: {form.what}" for form in FORMS),
            received=", ".join(str(list(shape)) for shape in facts.shapes) or "no outputs",
            fix="Give a detector that ends so, or a classifier of photos",
        )
    classes, order = matched
    dtype = _input_dtype(file, spec)
    preprocessing = spec.preprocessing
    made = Fit(
        form=form.name,
        width=preprocessing.width,
        height=preprocessing.height,
        pixel_format=preprocessing.channel_order,
        input_dtype=dtype,
        input_type=_input(file).type,
        classes=classes,
        order=order,
    )
    if form.name == CLASSIFICATION:
        _check_classifier(file, made, facts)
    return made


def _facts(file: ModelFile, spec: InputSpec) -> Facts:
    graph = file.model.main
    outputs = tuple(Output(graph.tensors[t].name, graph.tensors[t].shape) for t in graph.outputs)
    size = spec.preprocessing
    return Facts(file.path, size.width, size.height, outputs, graph)


def _input(file: ModelFile) -> Tensor:
    return file.model.main.tensors[file.model.main.inputs[0]]


def _ssd(facts: Facts) -> tuple[int | None, tuple[int, ...] | None] | None:
    places = facts.places_of(POST_PROCESS)
    if places is not None and len(places) == len(facts.outputs) == 4:
        op = facts.operator(POST_PROCESS)
        order = None if places == [0, 1, 2, 3] else tuple(places)
        return (_class_count(op) if op else None), order
    shapes = facts.shapes
    if len(shapes) != 4 or [len(shape) for shape in shapes] != [3, 2, 2, 1]:
        return None
    boxes, classes, scores, count = shapes
    whole = boxes[2] == 4 and classes == scores == boxes[:2] and count == (1,)
    return (None, None) if whole else None


def _class_count(op: Operator) -> int | None:
    """What the operator's options say, which are a FlexBuffer."""
    try:
        options: Any = flexbuffers.GetRoot(op.custom_options).AsMap
        return int(options["num_classes"].AsInt)
    except Exception:  # whatever a damaged buffer makes of a library that does not check it
        return None


def _yolo(facts: Facts) -> tuple[int | None, tuple[int, ...] | None] | None:
    cells = sum((facts.width // s) * (facts.height // s) for s in _STRIDES)
    shapes = facts.shapes
    if len(shapes) not in (2, 3) or any(shape[:2] != (1, cells) for shape in shapes):
        return None
    if any(len(shape) != 3 for shape in shapes):
        return None
    boxes = [place for place, shape in enumerate(shapes) if shape[2] == _BOX_NUMBERS]
    scores = [p for p, shape in enumerate(shapes) if shape[2] not in (1, _BOX_NUMBERS)]
    if len(boxes) != 1 or len(scores) != 1:
        return None
    tensors = [facts.graph.tensors[facts.graph.outputs[p]] for p in (boxes[0], scores[0])]
    if any(tensor.quantization is None for tensor in tensors):
        return None
    return shapes[scores[0]][2], None


def _classifier(facts: Facts) -> tuple[int | None, tuple[int, ...] | None] | None:
    if len(facts.shapes) != 1 or len(facts.shapes[0]) != 2:
        return None
    batch, classes = facts.shapes[0]
    return (classes, None) if batch == 1 and classes > 1 else None


FORMS = (
    _Form("ssd", "boxes [1, N, 4], classes [1, N], scores [1, N] and count [1]", _ssd),
    _Form(
        "yolo-generic",
        f"quantised boxes [1, N, {_BOX_NUMBERS}] and class scores [1, N, C], N the cells of "
        "strides 8, 16 and 32",
        _yolo,
    ),
    _Form(CLASSIFICATION, "scores [1, C]", _classifier),
)


def _input_dtype(file: ModelFile, spec: InputSpec) -> str:
    """What Frigate must do with a pixel, which it only can in three ways."""
    tensor, wanted = _input(file), spec.preprocessing
    if tensor.type == "FLOAT32":
        for name, std in (("float", 255.0), ("float_denorm", 1.0)):
            if np.allclose((*wanted.mean, *wanted.std), (0, 0, 0, std, std, std), atol=1e-3):
                return name
        raise ModelError(
            file.path,
            "Frigate gives a float model pixels from 0 to 1, or from 0 to 255",
            received=f"(pixel - {wanted.mean[0]:g}) / {wanted.std[0]:g}",
            fix="Quantise the model to 8 bits, with uint8 pixels as its input",
        )
    scale, zero_point = 1.0, 0
    if tensor.quantization is not None:
        scale = float(tensor.quantization.scale.flat[0])
        zero_point = int(tensor.quantization.zero_point.flat[0])
    dtype = BY_NAME[tensor.type].dtype
    assert dtype is not None
    pixels = np.repeat(np.arange(256, dtype=np.uint8)[:, None, None], 3, axis=2)
    stored = wanted.quantize(pixels, scale, zero_point, dtype).astype(np.int64)
    shift = 128 if tensor.type == "INT8" else 0
    wrong = np.abs(stored - (pixels.astype(np.int64) - shift)).max()
    if wrong > 1:
        raise ModelError(
            file.path,
            "Frigate gives an 8-bit model the pixels as they are",
            received=f"an input that wants a pixel up to {wrong} steps from itself",
            fix="Quantise the model so that a pixel is its own quantised value",
        )
    return "int"


def _check_classifier(file: ModelFile, made: Fit, facts: Facts) -> None:
    """Frigate's classification runs one kind of model: the one that it trains itself."""
    tensor = file.model.main.tensors[file.model.main.outputs[0]]
    zero_point = 0 if tensor.quantization is None else int(tensor.quantization.zero_point.flat[0])
    for holds, rule, received, fix in (
        (
            (made.width, made.height) == (_CLASSIFIED_SIZE, _CLASSIFIED_SIZE),
            f"Frigate's classification gives pictures of {_CLASSIFIED_SIZE}x{_CLASSIFIED_SIZE}",
            f"an input of {made.width}x{made.height}",
            f"Train it with --size {_CLASSIFIED_SIZE}",
        ),
        (
            made.input_type == "UINT8" and made.pixel_format == "rgb",
            "Frigate's classification gives uint8 pixels in RGB order",
            f"{made.input_type}, {made.pixel_format}",
            "Convert the model with uint8 as its input, as atoll build does",
        ),
        (
            tensor.type in ("UINT8", "FLOAT32") and zero_point == 0,
            "Frigate's classification divides scores by their sum: 0 must be stored as 0",
            f"{tensor.type} with a zero point of {zero_point}",
            "Convert the model with uint8 as its output, as atoll build does",
        ),
        (
            not file.has(EDGETPU_OP),
            "Frigate's classification runs on the processor",
            "a compiled file",
            "Give the model that it was compiled from",
        ),
        (
            facts.computed_by(0) == "SOFTMAX",
            "Frigate's classification wants the scores of a softmax",
            facts.computed_by(0) or "an output of unknown origin",
            "Add a softmax to the network",
        ),
    ):
        if not holds:
            raise ModelError(file.path, rule, received=received, fix=fix)
