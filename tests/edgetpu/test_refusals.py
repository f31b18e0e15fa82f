"""A file that Google's compiler refuses as a whole leaves its owner with one line and no reason."""

import numpy as np
import pytest
from litert_files import source_files

from atoll.edgetpu.partition import partition
from atoll.edgetpu.refusals import (
    COMPUTED_SIZE,
    CUSTOM_OP,
    KINDS,
    LARGE_ACTIVATIONS,
    LONG_PADDING,
    NEW_VERSION,
    refusals,
)
from atoll.tflite.build import GraphBuilder
from atoll.tflite.graph import Tensor
from atoll.tflite.reader import read_model


def found(model):
    return [(r.kind, r.received) for r in refusals(model.main, partition(model.main))]


def test_no_published_model_that_google_compiled_is_called_refused(shared):
    """A false alarm would send people to change good models."""
    checked = 0
    for path in source_files(shared):
        if not path.with_name(f"{path.stem}_edgetpu.tflite").is_file():
            continue
        assert found(read_model(path)) == [], path.name
        checked += 1
    assert checked >= 18


def test_each_kind_is_found():
    """Each was seen in a log, which its row names."""
    b = GraphBuilder("int8")
    x = b.input((1, 8, 8, 4))
    size = b.add_tensor(Tensor("size", "INT32", (4,)))
    b.inputs.append(size)
    pads = b.constant(np.zeros((4, 2), np.int32))
    b.tensors[pads].type = "INT64"
    (y,) = b.op("CONV_2D", [x, x], [(1, 8, 8, 4)], version=6)
    (y,) = b.op("CUSTOM", [y], [(1, 8, 8, 4)], custom_name="Atan")
    (y,) = b.op("RESHAPE", [y, size], [(1, 8, 8, 4)])
    (y,) = b.op("PAD", [y, pads], [(1, 8, 8, 4)])
    assert found(b.model(y)) == [
        (NEW_VERSION, "CONV_2D version 6"),
        (CUSTOM_OP, "Atan"),
        (COMPUTED_SIZE, "RESHAPE of a computed size"),
        (LONG_PADDING, "PAD with INT64 paddings"),
    ]
    b = GraphBuilder("int8")
    assert found(b.model(b.logistic(b.input((1, 76725, 90))))) == [
        (LARGE_ACTIVATIONS, "LOGISTIC with 13.2 MiB")
    ]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.words[:20])
def test_every_kind_has_words_a_reason_a_fix_and_a_source(kind):
    """It is looked for by Google's words and read for ours."""
    assert kind.words
    assert kind.reason.endswith(".")
    assert kind.fix
    assert not kind.fix.endswith(".")
    assert kind.source.where


def test_size_inputs_that_are_missing_or_odd_are_no_crash():
    """Damaged files have fewer inputs than their operators need."""
    b = GraphBuilder("int8")
    x = b.input((1, 8, 8, 4))
    for inputs in ([x], [x, -1], [-1, -1]):
        b.op("RESHAPE", [x], [(1, 256)])
        b.operators[-1].inputs[:] = inputs
    assert found(b.model(x)) == []
