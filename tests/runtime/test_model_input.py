"""A photo prepared in another way than the model was trained with costs accuracy, silently."""

import json
from dataclasses import replace

import numpy as np
import pytest

from atoll.data.preprocessing import Preprocessing
from atoll.errors import ModelError
from atoll.runtime.model_input import ENTRY, InputSpec, input_spec, preprocessing_of
from atoll.tflite.graph import Model, Quantization, Subgraph, Tensor
from atoll.tflite.metadata import ImageMetadata, attach
from atoll.tflite.reader import read_model
from atoll.tflite.writer import write_model


def model(kind="UINT8", scale=0.0078125, zero_point=128, shape=(1, 96, 128, 3)) -> Model:
    quantization = Quantization(np.float32([scale]), np.int64([zero_point])) if scale else None
    tensors = [
        Tensor("in", kind, shape, quantization=quantization),
        Tensor("out", "UINT8", (1, 2)),
    ]
    return Model([Subgraph("main", tensors, [], [0], [1])])


SAID = Preprocessing(128, 96, (1.5, 2.5, 3.5), (10.0, 20.0, 30.0), "bgr", "crop")
CARD = ImageMetadata("n", "d", [127.5], [127.5], 128, 96)


def entry(value: Preprocessing) -> dict[str, bytes]:
    return {ENTRY: json.dumps(value.to_json()).encode()}


def test_what_the_build_wrote_into_the_file_counts_first():
    """Only that says the order of the channels and how a photo is cut."""
    whole = attach(model(), CARD, extra=entry(SAID))
    assert input_spec(read_model(write_model(whole)), "m") == InputSpec(SAID, "atoll")
    padded = replace(model(), metadata={ENTRY: entry(SAID)[ENTRY] + bytes(16)})
    assert preprocessing_of(padded, "m") == SAID


def test_the_standards_metadata_count_next(shared):
    """Published classifiers carry it."""
    found = input_spec(attach(model(), CARD), "m")
    assert found.basis == "metadata"
    assert found.preprocessing == Preprocessing(128, 96, (127.5,) * 3, (127.5,) * 3)
    published = read_model(shared / "models/v13/mobilenet_v1_0.75_192_quant.tflite")
    assert input_spec(published, "m") == InputSpec(
        Preprocessing(192, 192, (127.5,) * 3, (127.5,) * 3), "metadata"
    )
    uneven = replace(CARD, mean=[1.0, 2.0, 3.0], std=[4.0, 5.0, 6.0])
    assert preprocessing_of(attach(model(), uneven), "m").mean == (1.0, 2.0, 3.0)


@pytest.mark.parametrize(("kind", "zero_point"), [("UINT8", 128), ("INT8", 0), ("INT8", -128)])
def test_a_quantised_input_says_it_by_its_scale(kind, zero_point):
    """Then a pixel is its own quantised value, whatever the type."""
    plain = model(kind, 1 / 128, zero_point)
    found = input_spec(plain, "m")
    assert found.basis == "quantization"
    pixels = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 1, 256, 3)
    numbers = found.preprocessing.quantize(pixels, 1 / 128, zero_point, np.dtype(kind.lower()))
    shift = 128 if kind == "INT8" else 0
    assert np.array_equal(numbers.astype(int) + shift, pixels.astype(int))


def test_raw_pixels_and_unknown_floats_are_told_apart(shared):
    """What is assumed must be shown as assumed."""
    movenet = read_model(shared / "models/v13/movenet_single_pose_lightning_ptq.tflite")
    assert input_spec(movenet, "m") == InputSpec(
        Preprocessing(192, 192, (0.0,) * 3, (1.0,) * 3), "pixels"
    )
    found = input_spec(model("FLOAT32", 0), "m")
    assert found == InputSpec(Preprocessing(128, 96, (127.5,) * 3, (127.5,) * 3), "assumed")


@pytest.mark.parametrize(
    "other",
    [
        model(shape=(1, 96, 128, 1)),
        model(shape=(2, 96, 128, 3)),
        model(shape=(1, 0, 128, 3)),
        model(shape=(1, 128)),
        model("INT16"),
        model("INT8", 0),
        model(scale=float("inf")),
        Model([Subgraph("main", model().main.tensors, [], [0, 1], [1])]),
        Model([Subgraph("main", model().main.tensors, [], [], [1])]),
        replace(model(), metadata=entry(replace(SAID, width=64))),
        replace(model(), metadata={ENTRY: b"{"}),
        replace(model(), metadata={ENTRY: b"[1]"}),
        replace(model(), metadata={ENTRY: b"{}"}),
        replace(model(), metadata={ENTRY: b"[" * 100_000}),
        attach(model(), replace(CARD, mean=[1.0, 2.0])),
        attach(model(), replace(CARD, std=[0.0])),
        attach(model(), replace(CARD, mean=[float("nan")])),
    ],
)
def test_other_models_and_nonsense_are_one_line(other):
    """A model that takes sound, or a file with impossible numbers."""
    with pytest.raises(ModelError) as caught:
        input_spec(other, "the file")
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("the file")
