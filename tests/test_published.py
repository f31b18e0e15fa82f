"""The published networks must be the published networks: their sizes, and files that exist."""

import csv
import math
import re

import numpy as np
import pytest
from litert_files import random_inputs, run, runnable
from published import NETWORKS
from published.sweeps import DENSE_SWEEPS, conv5, dense

from atoll.edgetpu.parameters import parameter_bytes
from atoll.tflite.reader import read_model
from atoll.tflite.writer import write_model

WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")
# Those of Google's files that a network of the table claims to be.
FILES = {
    "v10/mobilenet_v1_0.25_128_quant": "mobilenet_v1_0.25_128",
    "v10/mobilenet_v1_0.75_192_quant": "mobilenet_v1_0.75_192",
    "v10/mobilenet_v2_1.0_224_quant": "mobilenet_v2_1.0_224",
    "v13/tf2_mobilenet_v2_1.0_224_ptq": "tf2_mobilenet_v2_1.0_224",
    "v13/deeplabv3_mnv2_dm05_pascal_quant": "deeplab_v3_mobilenet_v2_dm0.5_513",
}


def parameters(graph):
    """Numbers in the constants of all arithmetic operators, shared ones counted once."""
    arithmetic = (*WEIGHTED, "ADD", "MUL")
    used = {t for op in graph.operators if op.type in arithmetic for t in op.inputs if t >= 0}
    constants = [graph.tensors[t] for t in used if graph.tensors[t].is_constant]
    return sum(tensor.data.size for tensor in constants)


def macs(graph):
    """Multiplications of all operators with weights, from shapes alone."""
    total = 0
    for op in graph.operators:
        if op.type not in WEIGHTED:
            continue
        weights, output = graph.tensors[op.inputs[1]].shape, graph.tensors[op.outputs[0]].shape
        if op.type == "DEPTHWISE_CONV_2D":
            total += math.prod(output) * weights[1] * weights[2]
        elif op.type == "TRANSPOSE_CONV":
            total += math.prod(graph.tensors[op.inputs[2]].shape) * math.prod(weights[:3])
        else:
            total += math.prod(output) * math.prod(weights[1:])
    return total


def skeleton(graph):
    """What an architecture is: operators, in order, with the shapes they read and write."""
    rows = []
    for op in graph.operators:
        constants = [graph.tensors[t] for t in op.inputs if t >= 0 and graph.tensors[t].is_constant]
        shapes = [tensor.shape for tensor in constants if tensor.type in ("UINT8", "INT8")]
        o = op.options
        stride = (getattr(o, "strideH", 0), getattr(o, "strideW", 0))
        window = (getattr(o, "filterHeight", 0), getattr(o, "filterWidth", 0))
        whole = window == graph.tensors[op.inputs[0]].shape[1:3]  # its stride means nothing
        dilation = getattr(o, "dilationHFactor", 1)
        outputs = [graph.tensors[t].shape for t in op.outputs]
        rows.append((op.type, shapes, outputs, (0, 0) if whole else stride, window, dilation))
    return rows


@pytest.mark.parametrize("name", NETWORKS)
def test_size_is_the_published_one(name):
    network = NETWORKS[name]
    graph = network.build().main
    if network.parameters is not None:
        # Published counts have up to four numbers a channel for a normalisation; files have one.
        assert parameters(graph) == pytest.approx(network.parameters * 1e6, rel=0.02)
    if network.macs is not None:
        # Some published counts have other operators beside the multiplications.
        assert macs(graph) == pytest.approx(network.macs * 1e6, rel=0.06)
    assert graph.tensors[graph.inputs[0]].shape == network.input
    assert {t.type for t in graph.tensors if t.quantization and t.shape} >= {network.style.upper()}


@pytest.mark.parametrize("name", NETWORKS)
def test_litert_runs_it(name):
    content = write_model(NETWORKS[name].build())
    try:
        interpreter = runnable(content)
    except pytest.skip.Exception as skipped:
        pytest.fail(str(skipped))
    outputs = run(interpreter, random_inputs(interpreter))
    assert max(np.unique(output).size for output in outputs) > 1, "it says the same of everything"
    file_mb = NETWORKS[name].file_mb
    if file_mb is not None:
        # Coral's figures are of compiled files: at least the weights, and what comes with them.
        assert 0.65 * file_mb < len(content) / 1e6 < 1.05 * file_mb


@pytest.mark.parametrize("file", FILES)
def test_it_is_operator_by_operator_the_file_that_google_published(shared, file):
    theirs = read_model(shared / "models" / f"{file}.tflite").main
    ours = NETWORKS[FILES[file]].build().main
    assert skeleton(ours) == skeleton(theirs)


def test_efficientdet_has_the_operators_and_the_size_of_one_that_google_compiled(shared):
    rows = _rows(shared / "facts" / "compiler_logs.csv")
    (log,) = [row for row in rows if row["model"] == "efficientdet_coral_v2"]
    model = NETWORKS["efficientdet_lite0"].build()
    assert len(model.main.operators) == int(log["total_ops"])
    mebibytes = float(log["input_size"].removesuffix("MiB"))
    assert len(write_model(model)) / 2**20 == pytest.approx(mebibytes, rel=0.02)


def test_every_source_names_its_origin():
    for name, network in NETWORKS.items():
        assert re.search(r"arXiv:\d|github\.com/|tensorflow\.org/", network.source), name


def test_convolution_sweep_has_the_published_work(shared):
    for row in _rows(shared / "facts" / "measured_conv5_64x64.csv")[::6]:
        assert macs(conv5(int(row["filters"])).main) == int(row["macs"])


def test_dense_sweeps_take_the_published_memory(shared):
    found = set()
    for row in _rows(shared / "facts" / "measured_fc.csv")[1::4]:
        if int(row["neurons"]) < 100:  # a row of weights takes more memory than it has bytes
            continue
        (sweep,) = [s for s in DENSE_SWEEPS if row["source"].endswith(s.source)]
        graph = dense(int(row["neurons"]), sweep.layers, sweep.inputs).main
        mine = sum(parameter_bytes(graph, op) for op in graph.operators) / 2**20
        told = float(row["onchip_MiB"]) + float(row["offchip_MiB"])
        assert mine == pytest.approx(told, rel=0.01, abs=0.05), row
        found.add(sweep)
    assert found == set(DENSE_SWEEPS)


def _rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))
