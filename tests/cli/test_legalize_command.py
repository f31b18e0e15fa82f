"""`atoll legalize`: the command as a person meets it."""

import json
from dataclasses import replace

import numpy as np
import pytest
from cli_runner import atoll, atoll_inside, refused

from atoll.cli.legalize import _lines
from atoll.edgetpu.partition import partition
from atoll.legalize.engine import Refused
from atoll.legalize.job import legalize
from atoll.tflite.build import GraphBuilder
from atoll.tflite.build_core import option
from atoll.tflite.reader import read_model
from atoll.tflite.writer import write_model


@pytest.fixture
def model(tmp_path):
    """A file with a LEAKY_RELU, which the chip lacks, and an ARG_MAX, which it lacks for good."""
    b = GraphBuilder("int8", seed=3)
    x = b.input((1, 16, 16, 3))
    x = b.conv2d(x, 8, 3, 2)
    (x,) = b.op("LEAKY_RELU", [x], [b.shape(x)], option("LeakyRelu", alpha=0.25), version=2)
    scores = b.softmax(b.dense(b.mean(x), 6))
    axis = b.constant(np.array(1, np.int32))
    best = b.op("ARG_MAX", [scores, axis], [(1,)], option("ArgMax", outputType=2),
                output_type="INT32")[0]  # fmt: skip
    b.tensors[best].name = "best"
    path = tmp_path / "x.tflite"
    path.write_bytes(write_model(b.model([scores, best])))
    return path


def test_it_writes_the_new_model_and_says_what_moved(model, tmp_path):
    """A person would not know what was done to the model, nor what is left."""
    process = atoll("legalize", model, "-o", tmp_path / "y.tflite")
    assert process.returncode == 0, process.stderr
    assert "x.tflite: 1 of 6 operators map; now 5 of 6 operators map." in process.stdout
    assert "leaky-relu" in process.stdout
    assert "ARG_MAX x1: The Edge TPU has no ARG_MAX." in process.stdout
    assert "At best." in process.stdout
    assert "8 random inputs" in process.stdout
    verdicts = partition(read_model(tmp_path / "y.tflite").main)
    assert [v.type for v in verdicts if v.target == "cpu"] == ["ARG_MAX"]


def test_what_was_refused_is_told_once_and_not_where_another_change_was_made(model):
    """Seventeen lines of three rows each said that nothing was done where all was done."""
    done = legalize(read_model(model))
    made = Refused("hard-gate", done.changes[-1].where, "It promises too much.")
    left = [Refused("ramps", f"a{i};joined/with/what/else", "It is too far.") for i in range(5)]
    text = "\n".join(_lines(model, model, replace(done, refused=[made, *left])))
    assert "hard-gate" not in text
    assert "not done: ramps x5: It is too far. At a0, a1, a2 and 2 more." in text


def test_json_is_one_document(model, tmp_path):
    """A script could not read the result."""
    output = tmp_path / "y.tflite"
    np.save(tmp_path / "s.npy", np.zeros((3, 16, 16, 3), np.int8))
    words = ["legalize", model, "-o", output, "--json", "--samples", tmp_path / "s.npy"]
    process = atoll_inside(*words, "--input-type", "uint8", "--output-type", "float32")
    document = json.loads(process.stdout)
    assert document["output"] == str(output)
    assert document["before"] == {"ops_total": 6, "ops_tpu": 1, "ops_cpu": 5}
    assert document["after"]["ops_cpu"] == 2
    assert {c["name"] for c in document["changes"]} >= {"input-type", "output-type"}
    assert [r["name"] for r in document["refused"]] == ["output-type"]
    assert document["comparison"]["samples"] == 3
    assert document["comparison"]["drawn"] is False
    graph = read_model(output).main
    assert graph.tensors[graph.inputs[0]].type == "UINT8"
    assert [graph.tensors[t].type for t in graph.outputs] == ["FLOAT32", "INT32"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--skip", "leaky"], "skip: it must be one of"),
        (["--samples", "nowhere"], "nowhere: it must be a folder with photos"),
        (["--min_runtime_version", "9"], "min_runtime_version: it must be 10 to 14"),
        (["-o", "no/such/folder/y.tflite"], "no/such/folder"),
    ],
)
def test_bad_input_gives_one_line(model, tmp_path, words, said):
    """A person would get a traceback."""
    process = atoll_inside("legalize", model, "-o", tmp_path / "y.tflite", *words, cwd=tmp_path)
    assert said in refused(process)


def test_a_file_that_is_no_model_is_refused(tmp_path):
    """A person would get a traceback."""
    bad = tmp_path / "x.tflite"
    bad.write_text("no model")
    assert "x.tflite" in refused(atoll_inside("legalize", bad, "-o", tmp_path / "y.tflite"))
