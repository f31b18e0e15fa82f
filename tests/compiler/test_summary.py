"""The JSON documents: their keys are a contract with scripts."""

import json

import pytest
from google_stand_in import chain

from atoll.compiler.advice import check_model
from atoll.compiler.job import compile_models
from atoll.compiler.profiling import profile_model
from atoll.compiler.request import Request
from atoll.compiler.summary import check_document, compile_document, profile_document
from atoll.tflite.writer import write_model

MODEL = [
    "input", "output", "log", "backend", "input_bytes", "output_bytes", "parameter_bytes",
    "onchip_used_bytes", "onchip_remaining_bytes", "offchip_bytes", "subgraphs", "ops_total",
    "ops_tpu", "ops_cpu", "compile_ms", "latency_ms", "ops",
]  # fmt: skip
OUTPUT = {"output", "log", "output_bytes"}
OPERATOR = {"index", "type", "name", "target", "status", "reason", "fix"}
LINKS = {"usb3", "usb2", "pcie"}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "m.tflite"
    path.write_bytes(write_model(chain(4)))
    return path


def entry(document):
    """The one model of a document that JSON can hold."""
    document = json.loads(json.dumps(document, allow_nan=False))
    (model,) = document["models"]
    return model


def test_compile_has_the_keys_of_the_contract(path, tmp_path):
    """Outside scripts read them."""
    (done,) = compile_models([path], tmp_path / "out", Request(backend="sim"))
    model = entry(compile_document([done]))
    assert set(MODEL) <= model.keys()
    assert model["output"] == str(tmp_path / "out" / "m_sim.tflite")
    assert model["log"] == str(tmp_path / "out" / "m.log")
    assert model["latency_ms"].keys() == LINKS
    assert all(value > 0 for value in model["latency_ms"].values())
    assert [op.keys() for op in model["ops"]] == [OPERATOR] * 4
    assert model["ops"][0]["target"] == "tpu"
    assert model["ops_total"] == model["ops_tpu"] + model["ops_cpu"] == 4


def test_check_has_them_without_the_output(path):
    """One reader serves all three commands."""
    model = entry(check_document(check_model(path)))
    assert set(MODEL) - OUTPUT <= model.keys()
    assert not OUTPUT & model.keys()
    assert model["blockers"] == []


def test_profile_adds_the_time_to_each_operator(path):
    """And the parts must add up to the whole."""
    model = entry(profile_document(profile_model(path, link="usb2", clock="std")))
    assert set(MODEL) - OUTPUT <= model.keys()
    assert {"macs", "cycles", "ms", "bound_by"} | OPERATOR == model["ops"][0].keys()
    assert model["ops"][0]["macs"] == 8 * 8 * 8 * 8
    assert (model["link"], model["clock"]) == ("usb2", "std")
    assert sum(model["breakdown_ms"].values()) == pytest.approx(model["ms"], abs=0.01)
    assert model["ms"] == model["latency_ms"]["usb2"]
    low, high = model["latency_range_ms"]["usb2"]
    assert low <= model["ms"] <= high
