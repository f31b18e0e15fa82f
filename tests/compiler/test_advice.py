"""What `atoll check` says: what stands in the way, and what mending it gains."""

import time
from dataclasses import replace

import ai_edge_litert.schema_py_generated as schema
import numpy as np
import pytest
from google_stand_in import chain

from atoll.compiler.advice import check_model
from atoll.compiler.hypothetical import as_mapped, as_quantized, computes_in_float
from atoll.edgetpu.analysis import analyse
from atoll.edgetpu.partition import partition
from atoll.edgetpu.verdict import MAPPED, SECOND_SUBGRAPH
from atoll.errors import CompilerError, UsageError
from atoll.tflite.build import GraphBuilder
from atoll.tflite.graph import Operator, Tensor
from atoll.tflite.reader import read_model
from atoll.tflite.writer import write_model

_LARGE = 80


def checked(tmp_path, model, **how):
    path = tmp_path / "m.tflite"
    path.write_bytes(write_model(model))
    return check_model(path, **how)


def two_in_the_way():
    """An enlargement that is too large before much work, and an EXP at the end."""
    b = GraphBuilder("int8", seed=1)
    x = b.conv2d(b.input((1, 8, 8, 4)), 8, 1, activation="RELU")
    x = b.resize(x, (_LARGE, _LARGE))
    for _ in range(5):
        x = b.conv2d(x, 64, 3, activation="RELU")
    x = b.average_pool(x, 16, 16)
    y = b.add_tensor(replace(b.tensors[x], name="exp"))
    b.operators.append(Operator("EXP", [x], [y]))
    return b.model(y)


def as_float(model):
    """The same graph before quantisation: float tensors, weights of any value."""
    graph = model.main
    tensors = []
    for tensor in graph.tensors:
        data = None if tensor.data is None else tensor.data.astype(np.float32)
        tensors.append(Tensor(tensor.name, "FLOAT32", tensor.shape, data=data))
    return replace(model, subgraphs=[replace(graph, tensors=tensors)])


def test_what_gains_most_comes_first(tmp_path):
    """A person mends one thing: it must be the right one."""
    checkup = checked(tmp_path, two_in_the_way())
    first, second = checkup.blockers
    assert (first.type, second.type) == ("RESIZE_BILINEAR", "EXP")
    assert first.gain_ms > second.gain_ms
    # With it the convolutions and the pooling behind it map, up to the EXP.
    assert first.ops_more == 1 + 5 + 1
    assert second.ops_more == 0
    assert second.reason
    assert checkup.waiting == 5 + 1
    assert checkup.unblocked_ms < checkup.analysis.latency["usb3"].ms - first.gain_ms + 0.01


def test_a_gain_is_what_the_prediction_says_of_the_mended_model(tmp_path):
    """The figure would be made up otherwise: here the mended model is built and predicted."""
    b = GraphBuilder("int8", seed=1)
    x = b.conv2d(b.input((1, 16, 16, 4)), 8, 1, activation="RELU")
    x = b.resize(x, (_LARGE, _LARGE))
    model = b.model(b.conv2d(x, 8, 3))
    checkup = checked(tmp_path, model)
    (blocker,) = checkup.blockers
    after = as_mapped(model.main, checkup.analysis.verdicts, blocker.ops)
    assert [verdict.target for verdict in after] == ["tpu"] * 3
    assert all(verdict.status == MAPPED for verdict in after)
    assert checkup.unblocked_ms == pytest.approx(
        checkup.analysis.latency["usb3"].ms - blocker.gain_ms
    )


def test_nothing_stands_in_the_way_of_a_model_that_maps(tmp_path):
    """A list of advice would send its author to mend what is whole."""
    checkup = checked(tmp_path, chain(4))
    assert checkup.blockers == ()
    assert checkup.waiting == 0
    assert checkup.unblocked_ms is None
    assert checkup.quantized is None
    assert checkup.legalized is None


def test_a_float_model_is_told_what_quantisation_would_do(tmp_path):
    """It is the commonest mistake; and whether it is worth the work is the question."""
    quantised = two_in_the_way()
    checkup = checked(tmp_path, as_float(quantised))
    assert all(verdict.target == "cpu" for verdict in checkup.analysis.verdicts)
    first = checkup.blockers[0]
    assert (first.type, first.ops_more) == ("FLOAT", 1)
    assert "atoll quantize" in first.fix
    # What it would be then is what the quantised model is.
    targets = [verdict.target for verdict in checkup.quantized.verdicts]
    assert targets == [verdict.target for verdict in partition(quantised.main)]
    assert {blocker.type for blocker in checkup.blockers[1:]} == {"RESIZE_BILINEAR", "EXP"}


def test_an_imagined_quantisation_has_the_real_ones_sizes(shared):
    """A prediction from it must be about the model that quantisation would give."""
    model = read_model(shared / "models/v13/tf2_mobilenet_v2_1.0_224_ptq.tflite")
    imagined = as_quantized(as_float(model).main)
    one, two = analyse(model.main), analyse(imagined)
    assert [v.target for v in one.verdicts] == [v.target for v in two.verdicts]
    # Its real biases may be 0 in places where the imagined ones are not.
    assert two.memory.parameter_bytes == pytest.approx(one.memory.parameter_bytes, rel=0.01)


def test_a_float_tail_does_not_make_a_float_model(shared):
    """MoveNet computes in 8 bits but for its end: to quantise it would be no advice."""
    model = read_model(shared / "models/v13/movenet_single_pose_lightning_ptq.tflite")
    assert not computes_in_float(model.main)
    assert computes_in_float(as_float(model).main)


def test_what_the_legaliser_does_is_said(tmp_path):
    """Nobody should do by hand what a command does."""
    b = GraphBuilder("int8", seed=1)
    x = b.conv2d(b.input((1, 8, 8, 4)), 8, 1)
    y = b.add_tensor(replace(b.tensors[x], name="leaky", data=None))
    options = schema.LeakyReluOptionsT()
    options.alpha = 0.25
    b.operators.append(Operator("LEAKY_RELU", [x], [y], options=options))
    checkup = checked(tmp_path, b.model(y))
    (blocker,) = checkup.blockers
    assert blocker.type == "LEAKY_RELU"
    assert blocker.legalize
    assert all(verdict.target == "tpu" for verdict in checkup.legalized.verdicts)


def test_with_several_parts_what_follows_maps_too(tmp_path):
    """With -a an operator behind the CPU is no loss, so mending gains less."""
    model = two_in_the_way()
    one, several = checked(tmp_path, model), checked(tmp_path, model, multiple_subgraphs=True)
    assert several.waiting == 0
    assert several.blockers[0].ops_more == 1
    statuses = {verdict.status for verdict in one.analysis.verdicts}
    assert SECOND_SUBGRAPH in statuses


def test_wrong_files_and_names_are_one_line(tmp_path, shared):
    """Each must say what to do."""
    with pytest.raises(CompilerError, match="compiled already"):
        check_model(shared / "models/v16/dense_256_edgetpu.tflite")
    with pytest.raises(UsageError, match="usb3, usb2, pcie"):
        checked(tmp_path, chain(1), link="usb4")
    with pytest.raises(UsageError):
        checked(tmp_path, chain(1), clock="fast")
    with pytest.raises(UsageError, match="10 to 14"):
        checked(tmp_path, chain(1), min_runtime=9)


def test_a_long_model_is_checked_in_seconds(tmp_path):
    """What each fix gains is predicted anew: the number of predictions must be bounded."""
    b = GraphBuilder("int8", seed=1)
    x = b.input((1, 4, 4, 4))
    for step in range(600):
        x = b.resize(x, (16, 16)) if step % 3 == 2 else b.conv2d(x, 4, 1)
        x = b.average_pool(x, 4, 4) if step % 3 == 2 else x
    start = time.perf_counter()
    checked(tmp_path, b.model(x))
    assert time.perf_counter() - start < 30
