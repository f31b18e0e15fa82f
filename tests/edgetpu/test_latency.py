"""A prediction must add up, move the right way, and come out of any graph."""

import time

import pytest

from atoll.edgetpu.latency.constants import CONSTANTS, value_of
from atoll.edgetpu.latency.demand import demand_of
from atoll.edgetpu.latency.links import LINKS
from atoll.edgetpu.latency.predict import predict
from atoll.edgetpu.memory import plan_memory
from atoll.edgetpu.partition import partition
from atoll.edgetpu.rules import NEWEST_RUNTIME
from atoll.errors import UsageError
from atoll.tflite.build import GraphBuilder
from atoll.tflite.graph import Operator, Subgraph, Tensor


def predicted(graph, **how):
    verdicts = partition(graph)
    return predict(graph, verdicts, plan_memory(graph, verdicts, min_runtime=NEWEST_RUNTIME), **how)


def classifier(size=64, filters=32, layers=2):
    b = GraphBuilder("int8")
    x = b.input((1, size, size, 3))
    for _ in range(layers):
        x = b.conv2d(x, filters, 3, activation="RELU")
    return b.model(b.softmax(b.dense(b.mean(x), 10))).main


def large_dense(units=4096):
    b = GraphBuilder("int8")
    return b.model(b.dense(b.dense(b.input((1, units)), units), 10)).main


def with_a_tail():
    b = GraphBuilder("int8")
    x = b.conv2d(b.input((1, 33, 33, 3)), 16, 3)
    return b.model(b.resize(x, (513, 513), "bilinear", align_corners=True)).main


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("make", [classifier, large_dense, with_a_tail])
def test_the_parts_add_up_to_the_whole(make, link):
    """The report's bar would be longer or shorter than the total that it stands for."""
    made = predicted(make(), link=link)
    parts = made.call_ms + made.input_ms + made.output_ms + sum(op.ms for op in made.ops)
    assert made.ms == pytest.approx(parts)
    assert 0 < made.low_ms < made.ms < made.high_ms
    assert made.cached_ms <= made.ms * (1 + 1e-9)
    assert [op.index for op in made.ops] == list(range(len(made.ops)))


def test_what_does_not_fit_is_bound_by_the_link_and_would_gain_by_fitting():
    """Somebody would not learn that a smaller layer is what makes the model faster."""
    made = predicted(large_dense())
    assert made.ops[0].bound_by == "streaming"
    assert made.cached_ms < made.ms / 10


def test_a_model_that_fits_gains_nothing_by_fitting():
    made = predicted(classifier())
    assert made.cached_ms == pytest.approx(made.ms)
    assert "streaming" not in {op.bound_by for op in made.ops}


def test_what_stays_on_the_cpu_costs_the_hosts_time_and_no_cycles():
    made = predicted(with_a_tail())
    assert made.ops[-1].bound_by == "cpu"
    assert made.ops[-1].cycles == 0
    assert made.ops[-1].ms > 1


def test_a_model_that_is_not_mapped_calls_nothing():
    """A float model would seem to pay for a chip that it never uses."""
    b = GraphBuilder("int8")
    x = b.op("ADD", [b.input((1, 8), "FLOAT32")] * 2, [(1, 8)], output_type="FLOAT32")[0]
    made = predicted(b.model(x).main)
    assert made.call_ms == made.input_ms == made.output_ms == 0


def test_the_standard_clock_halves_the_chips_speed_and_nothing_else():
    fast, slow = (predicted(classifier(), clock=clock) for clock in ("max", "std"))
    computing = sum(op.ms for op in fast.ops)
    assert sum(op.ms for op in slow.ops) == pytest.approx(2 * computing)
    assert slow.ms - fast.ms == pytest.approx(computing)


def test_usb_2_is_slower_than_usb_3():
    for make in (classifier, large_dense, with_a_tail):
        assert predicted(make(), link="usb2").ms > predicted(make(), link="usb3").ms


def test_a_second_part_pays_for_a_second_call_and_its_transfers():
    """--enable_multiple_subgraphs would look free."""
    b = GraphBuilder("int8")
    x = b.conv2d(b.input((1, 16, 16, 4)), 8, 3)
    x = b.resize(x, (128, 128), "bilinear", align_corners=True)
    graph = b.model(b.conv2d(x, 8, 3)).main
    verdicts = partition(graph, multiple_subgraphs=True)
    memory = plan_memory(graph, verdicts, min_runtime=NEWEST_RUNTIME)
    asked = demand_of(graph, verdicts, memory)
    assert asked.parts == 2
    assert asked.input_bytes == 16 * 16 * 4 + 128 * 128 * 8
    assert asked.output_bytes == 16 * 16 * 8 + 128 * 128 * 8
    made = predict(graph, verdicts, memory)
    assert made.call_ms > 2 * value_of("usb3.call")


def test_multiplications_are_what_the_operators_mean():
    made = predicted(classifier(size=64, filters=32))
    assert [op.macs for op in made.ops[:2]] == [64 * 64 * 9 * 3 * 32, 64 * 64 * 9 * 32 * 32]


def test_a_plane_that_leaves_tiles_idle_takes_as_long_as_the_largest_tile():
    """9 pixels a side cost what 12 do: nobody would see why rounding up is free."""
    b = GraphBuilder("int8")
    small = predicted(b.model(b.conv2d(b.input((1, 9, 9, 64)), 64, 1)).main)
    b = GraphBuilder("int8")
    large = predicted(b.model(b.conv2d(b.input((1, 12, 12, 64)), 64, 1)).main)
    assert small.ops[0].cycles == large.ops[0].cycles == 3 * 3 * 16 * 4


@pytest.mark.parametrize("flag", ["link", "clock"])
def test_an_unknown_link_or_clock_is_one_clear_line(flag):
    with pytest.raises(UsageError, match=rf"--{flag}: it must be one of .*usb4") as error:
        predicted(classifier(), **{flag: "usb4"})
    assert "\n" not in str(error.value)


SHAPES = [(), (0,), (7,), (1, 0, 5, 3), (2**31 - 1,) * 8, (3, 1, 1, 1, 1, 1, 9), (1, 2, 3)]
TYPES = ["CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV", "MEAN", "SPLIT"]
TYPES += ["AVERAGE_POOL_2D", "UNIDIRECTIONAL_SEQUENCE_LSTM", "ADD", "RESHAPE", "CUSTOM", "NOBODYS"]


@pytest.mark.parametrize("type_", TYPES)
@pytest.mark.parametrize("target", ["tpu", "cpu"])
def test_no_graph_is_too_odd(type_, target):
    """A damaged file would end in a traceback."""
    from atoll.edgetpu.verdict import MAPPED, Verdict

    tensors = [Tensor(f"t{i}", "INT8", shape) for i, shape in enumerate(SHAPES)]
    tensors.append(Tensor("s", "STRING", (4,)))
    ends = [[], [-1], [-1, -1, -1, 0], [99, 3], [0, 1, 2], [4, 4, 4], [5, 6, 7], [1, 4, 3, -1]]
    operators = [Operator(type_, a, b) for a in ends for b in ends]
    graph = Subgraph("main", tensors, operators, [0, 99], [1, -1, 50])
    verdicts = [Verdict(i, type_, "", target, MAPPED, part=i % 3) for i in range(len(operators))]
    nothing = plan_memory(Subgraph("", [], [], [], []), [], min_runtime=NEWEST_RUNTIME)
    made = predict(graph, verdicts, nothing)
    assert made.ms >= 0


def test_five_thousand_operators_take_a_fifth_of_a_second():
    """A command on a large model would feel stuck."""
    b = GraphBuilder("int8")
    x = b.input((1, 8, 8, 8))
    for _ in range(2500):
        x = b.relu(b.conv2d(x, 8, 3))
    graph = b.model(x).main
    verdicts = partition(graph)
    memory = plan_memory(graph, verdicts, min_runtime=NEWEST_RUNTIME)
    spent = []
    for _ in range(3):
        start = time.process_time()
        predict(graph, verdicts, memory)
        spent.append(time.process_time() - start)
    assert min(spent) < 0.2


def test_every_constant_lies_within_its_uncertainty():
    for name, constant in CONSTANTS.items():
        assert constant.low <= constant.value <= constant.high, name
        assert constant.unit, name
        assert constant.source, name
