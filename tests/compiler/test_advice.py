"""What `atoll check` says: what stands in the way, and what mending it gains."""

import time
from dataclasses import replace

import ai_edge_litert.schema_py_generated as schema
import numpy as np
import pytest
from google_stand_in import chain

from atoll.compiler.advice import check_model, weigh
from atoll.compiler.hypothetical import as_mapped, as_quantized, computes_in_float
from atoll.edgetpu.analysis import analyse
from atoll.edgetpu.partition import partition
from atoll.edgetpu.rules import NEWEST_RUNTIME
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
    assert "full-integer quantisation" in first.fix
    # What it would be then is what the quantised model is.
    targets = [verdict.target for verdict in checkup.quantized.verdicts]
    assert targets == [verdict.target for verdict in partition(quantised.main)]
    assert {blocker.type for blocker in checkup.blockers[1:]} == {"RESIZE_BILINEAR", "EXP"}


def test_weights_held_in_16_bits_do_not_stand_in_the_way_of_quantisation(tmp_path):
    """Half of the float files that are passed around hold them so."""
    plain = as_float(two_in_the_way())
    graph = plain.main
    tensors, operators = [*graph.tensors], []
    for op in graph.operators:
        if op.type == "CONV_2D":
            weights = tensors[op.inputs[1]]
            half = replace(weights, type="FLOAT16", data=weights.data.astype(np.float16))
            tensors.append(half)
            tensors[op.inputs[1]] = replace(weights, data=None, name=f"{op.inputs[1]}")
            operators.append(Operator("DEQUANTIZE", [len(tensors) - 1], [op.inputs[1]]))
        operators.append(op)
    model = replace(plain, subgraphs=[replace(graph, tensors=tensors, operators=operators)])
    small, whole = checked(tmp_path, model), checked(tmp_path, plain)
    assert small.quantized.ops_tpu == whole.quantized.ops_tpu
    assert [b.type for b in small.blockers] == [b.type for b in whole.blockers]
    for blocker in small.blockers[1:]:
        assert {operators[index].type for index in blocker.ops} == {blocker.type}


def test_a_fix_that_does_nothing_here_is_not_advised(tmp_path):
    """A person ran `atoll legalize` as told, and nothing was changed."""
    b = GraphBuilder("int8", seed=1)
    x = b.conv2d(b.input((1, 8, 8, 4)), 8, 1)
    y = b.add_tensor(replace(b.tensors[x], name="y", shape=(4, 8, 8, 1)))
    b.operators.append(Operator("BATCH_TO_SPACE_ND", [x], [y]))
    checkup = checked(tmp_path, b.model(y))
    assert "atoll legalize" in checkup.analysis.verdicts[-1].fix
    assert [(blocker.legalize, blocker.fix) for blocker in checkup.blockers] == [(False, "")]


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


def test_gains_are_weighed_for_the_runtime_that_was_asked_for():
    """Runtime 10 caches nothing: that it would is no gain of mending an operator."""
    b = GraphBuilder("uint8", seed=2)
    x = b.conv2d(b.input((1, 8, 8, 256)), 256, 3, activation="RELU")
    y = b.add_tensor(replace(b.tensors[x], name="exp"))
    b.operators.append(Operator("EXP", [x], [y]))
    graph = b.model(y).main
    gains = [
        weigh(analyse(graph, min_runtime=runtime))[0].gain_ms for runtime in (10, NEWEST_RUNTIME)
    ]
    with_cache, without = (
        analyse(graph, min_runtime=runtime).latency["usb3"].ms for runtime in (NEWEST_RUNTIME, 10)
    )
    assert without > with_cache + 0.5
    assert gains[0] == pytest.approx(gains[1], abs=0.01)


def test_further_subgraphs_are_not_passed_over_in_silence(tmp_path):
    """The body of a loop may be most of a model: "maps fully" would not be true of it."""
    path = tmp_path / "two.tflite"
    model = chain(2)
    path.write_bytes(write_model(replace(model, subgraphs=[model.main, chain(3).main])))
    (caveat,) = check_model(path).caveats
    assert "one more subgraph" in caveat


def test_a_time_that_nobody_knows_is_said_to_be_left_out(tmp_path):
    """An operator of somebody's own may take longer than all the rest."""
    b = GraphBuilder()
    x = b.relu(b.input((1, 8)))
    (y,) = b.op("CUSTOM", [x], [(1, 8)], custom_name="Sorting")
    path = tmp_path / "own.tflite"
    path.write_bytes(write_model(b.model(y)))
    checkup = check_model(path)
    assert any("Sorting is not known" in caveat for caveat in checkup.caveats)
    assert checkup.analysis.latency["usb3"].ops[1].ms == 0
