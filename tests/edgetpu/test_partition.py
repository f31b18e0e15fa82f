"""The cut must be the one that Google's compiler makes, or every promise about a model is wrong."""

import time

import flatbuffers
import numpy as np
import pytest
from flatbuffers.table import Table
from hypothesis import given, settings
from hypothesis import strategies as st
from litert_files import model_files

from atoll.edgetpu.partition import partition, stages
from atoll.edgetpu.simfile import EDGETPU_OP, SIM_OP, to_sim
from atoll.edgetpu.verdict import MAPPED, SECOND_SUBGRAPH, UNSUPPORTED
from atoll.errors import UsageError
from atoll.tflite.graph import Operator, Quantization, Subgraph, Tensor
from atoll.tflite.reader import read_model


def pairs(shared):
    """(source, what Google's compiler made of it) of every published pair."""
    for path in model_files(shared):
        compiled = path.with_name(f"{path.stem}_edgetpu.tflite")
        if compiled.is_file():
            yield path, compiled


def test_every_published_pair_is_cut_as_google_cut_it(shared):
    """Operator for operator, in order: which stay on the CPU in 18 published pairs."""
    checked = 0
    for source, compiled in pairs(shared):
        ours = [v.type for v in partition(read_model(source).main) if v.target == "cpu"]
        theirs = [op.custom_name or op.type for op in read_model(compiled).main.operators]
        assert ours == [name for name in theirs if name != EDGETPU_OP], source.name
        checked += 1
    assert checked >= 18


def test_the_runtime_of_every_published_file_is_enough_for_it(shared):
    """A row that asks for a newer runtime than published files need would refuse good models."""
    seen = set()
    for source, compiled in pairs(shared):
        runtime = _runtime(read_model(compiled))
        graph = read_model(source).main
        there, newest = partition(graph, min_runtime=runtime), partition(graph)
        assert [v.target for v in there] == [v.target for v in newest], source.name
        seen.add(runtime)
    assert seen >= {12, 13, 14}


def _runtime(compiled):
    """The oldest runtime that a compiled file says it runs on: its package's first field."""
    (payload,) = [op.custom_options for op in compiled.main.operators if op.custom_options][:1]
    package = payload[payload.index(b"DWN1") - 4 :]
    table = Table(package, flatbuffers.encode.Get(flatbuffers.packer.uoffset, package, 0))
    return table.Get(flatbuffers.number_types.Int32Flags, table.Pos + table.Offset(4))


def test_what_crosses_the_cut_is_what_crosses_googles(shared):
    """The same tensors by name go into and come out of the mapped part."""
    checked = 0
    for source, compiled in pairs(shared):
        model = read_model(source)
        names = {tensor.name for tensor in model.main.tensors}
        state = {tensor.name for tensor in model.main.tensors if tensor.is_variable}
        ours = _boundary(to_sim(model, partition(model.main)).main, SIM_OP)
        inputs, outputs = _boundary(read_model(compiled).main, EDGETPU_OP)
        if not outputs <= names:
            continue  # published from a file with other names
        assert ours == (inputs - state, outputs), source.name
        checked += 1
    assert checked >= 16


def _boundary(graph, name):
    (op,) = [op for op in graph.operators if op.custom_name == name]
    sides = (op.inputs, op.outputs)
    return tuple({graph.tensors[t].name for t in side} for side in sides)


def graph(*operators) -> Subgraph:
    """A graph of int8 vectors; an operator is (type, inputs, outputs), tensor 0 the input."""
    ops = [Operator(kind, list(inputs), list(outputs)) for kind, inputs, outputs in operators]
    quantization = Quantization(np.float32([1]), np.int64([0]))
    count = 1 + max(t for op in ops for t in (*op.inputs, *op.outputs))
    tensors = [Tensor(f"t{i}", "INT8", (1, 4), quantization=quantization) for i in range(count)]
    return Subgraph("g", tensors, ops, [0], ops[-1].outputs)


def test_an_unsupported_operator_cuts_only_what_needs_it():
    """A branch beside the cut is still mapped, wherever it stands in the file."""
    cut = graph(
        ("RELU", [0], [1]),
        ("ELU", [1], [2]),
        ("RELU", [2], [3]),
        ("RELU", [1], [4]),
        ("ADD", [3, 4], [5]),
    )
    statuses = [verdict.status for verdict in partition(cut)]
    assert statuses == [MAPPED, UNSUPPORTED, SECOND_SUBGRAPH, MAPPED, SECOND_SUBGRAPH]


def test_unsupported_operators_at_the_head_do_not_cut():
    """A model that starts with a CAST or a QUANTIZE from float is mapped behind it."""
    head = graph(("ELU", [0], [1]), ("RELU", [1], [2]), ("ELU", [2], [3]))
    assert [verdict.target for verdict in partition(head)] == ["cpu", "tpu", "cpu"]
    assert stages(head, [False, True, False]) == [0, 0, 1]


def test_every_verdict_says_what_and_why():
    """A verdict with no reason is what Google's compiler gives."""
    verdicts = partition(graph(("ELU", [0], [1]), ("RELU", [1], [2]), ("ELU", [2], [3])))
    assert [verdict.index for verdict in verdicts] == [0, 1, 2]
    assert [verdict.name for verdict in verdicts] == ["t1", "t2", "t3"]
    assert verdicts[0].reason == (
        "Unknown: nobody has evidence that the Edge TPU runs ELU; treated as not mapped."
    )
    assert verdicts[1].reason == ""
    assert [verdict.part for verdict in verdicts] == [-1, 0, -1]


def test_operators_with_a_state_keep_their_order():
    """Reading a variable before it is assigned would give the value of the call before."""
    stateful = graph(
        ("RELU", [0], [1]), ("ASSIGN_VARIABLE", [2, 1], []), ("READ_VARIABLE", [2], [3])
    )
    stateful.tensors[2].type = "RESOURCE"
    stateful.inputs = [0]
    assert stages(stateful, [True, False, False]) == [0, 1, 1]
    assert stages(stateful, [False, False, False]) == [0, 0, 0]


@pytest.mark.parametrize("runtime", [9, 15])
def test_there_is_no_such_runtime(runtime):
    """A typing error must not silently compile for something else."""
    with pytest.raises(UsageError, match="10 to 14"):
        partition(graph(("RELU", [0], [1])), min_runtime=runtime)


CHAIN = (("RELU", [0], [1]), ("ELU", [1], [2]), ("RELU", [2], [3]), ("ELU", [3], [4]))


def test_more_parts_are_mapped_where_asked():
    """With -a, what stands behind a CPU operator is a part of its own."""
    verdicts = partition(graph(*CHAIN, ("RELU", [4], [5])), multiple_subgraphs=True)
    assert [verdict.part for verdict in verdicts] == [0, -1, 1, -1, 2]
    assert [verdict.target for verdict in verdicts] == ["tpu", "cpu", "tpu", "cpu", "tpu"]


def test_parts_are_as_few_as_can_hold_the_same_operators():
    """A branch that could join an earlier part must not open one more: each costs a transfer."""
    branches = graph(
        ("RELU", [0], [1]),
        ("ELU", [1], [2]),
        ("RELU", [2], [3]),
        ("RELU", [0], [4]),
        ("ELU", [4], [5]),
        ("RELU", [5], [6]),
        ("ADD", [3, 6], [7]),
        ("ADD", [4, 7], [8]),
    )
    verdicts = partition(branches, multiple_subgraphs=True)
    assert [verdict.part for verdict in verdicts] == [0, -1, 1, 0, -1, 1, 1, 1]


def test_what_follows_a_named_tensor_stays_on_the_cpu():
    """With -i, a model that fails to compile as a whole is compiled up to there."""
    fork = graph(
        ("RELU", [0], [1]),
        ("RELU", [1], [2]),
        ("RELU", [2], [3]),
        ("RELU", [3], [4]),
        ("RELU", [1], [5]),
    )
    verdicts = partition(fork, intermediate_tensors=["t2"])
    assert [verdict.part for verdict in verdicts] == [0, 0, -1, -1, 0]
    assert verdicts[2].status == verdicts[3].status == SECOND_SUBGRAPH
    assert "told to end" in verdicts[2].reason


def test_only_the_reader_of_a_named_tensor_stays_where_more_parts_may_be():
    """With -a -i, all but what reads the tensors is mapped (google-coral/edgetpu#601, #324)."""
    line = graph(*(("RELU", [i], [i + 1]) for i in range(5)))
    verdicts = partition(line, intermediate_tensors=["t2", "t4"], multiple_subgraphs=True)
    assert [verdict.part for verdict in verdicts] == [0, 0, -1, 1, -1]
    dropped = partition(line, stop=3, multiple_subgraphs=True)
    assert [verdict.part for verdict in dropped] == [0, 0, 0, -1, 1]


def test_a_misspelt_tensor_is_named_with_those_near_it():
    """Names of tensors are long; nobody types them right at once."""
    with pytest.raises(UsageError, match=r"Received: t22\. Near: t2"):
        partition(graph(*CHAIN), intermediate_tensors=["t22"])


def test_the_last_operators_are_dropped_where_asked():
    """With -d and -k, Google's search for what compiles starts from the end."""
    line = graph(*(("RELU", [i], [i + 1]) for i in range(5)))
    verdicts = partition(line, stop=3)
    assert [verdict.target for verdict in verdicts] == ["tpu"] * 3 + ["cpu"] * 2
    assert verdicts[3].status == SECOND_SUBGRAPH
    assert {verdict.target for verdict in partition(line, stop=0)} == {"cpu"}


def test_operators_whose_order_the_file_hides_stay_where_they_are():
    """Moving the second writer of a tensor before the first would change what is read."""
    twice = graph(("RELU", [0], [1]), ("RELU", [1], [2]), ("RELU", [0], [1]), ("RELU", [1], [3]))
    assert {verdict.target for verdict in partition(twice)} == {"cpu"}
    early = graph(("RELU", [2], [1]), ("RELU", [0], [2]), ("RELU", [0], [3]))
    assert [verdict.target for verdict in partition(early)] == ["cpu", "cpu", "tpu"]


_KINDS = ("RELU", "ADD", "CONCATENATION", "ELU", "ASSIGN_VARIABLE", "RESHAPE", "SPLIT")


@st.composite
def strange_graphs(draw):
    """Graphs as damaged files hold them: anything reads and writes anything."""
    size = draw(st.integers(1, 8))
    index = st.integers(0, size - 1)
    ops = [
        Operator(
            draw(st.sampled_from(_KINDS)),
            draw(st.lists(st.integers(-1, size - 1), max_size=4)),
            draw(st.lists(index, max_size=2)),
            draw(st.integers(0, 9)),
        )
        for _ in range(draw(st.integers(0, 10)))
    ]
    quantization = Quantization(np.float32([1]), np.int64([0]))
    tensors = [
        Tensor(
            draw(st.sampled_from(["a", "b", ""])),
            draw(st.sampled_from(["INT8", "INT8", "FLOAT32", "RESOURCE"])),
            draw(st.sampled_from([(), (4,), (1, 4), (0,), (2, 3, 4, 5), (1 << 31, 9)])),
            draw(st.sampled_from([None, (), (-1, 4), (1, -1)])),
            draw(st.sampled_from([quantization, None])),
            data=draw(st.sampled_from([None, None, np.zeros(4, np.int8)])),
            is_variable=draw(st.integers(0, 9)) == 0,
        )
        for _ in range(size)
    ]
    ends = st.lists(index, max_size=3)
    return Subgraph("g", tensors, ops, draw(ends), draw(ends))


@given(strange_graphs(), st.booleans(), st.sampled_from([(), ("a",), ("c",)]), st.data())
@settings(max_examples=300, deadline=None)
def test_any_graph_is_cut_into_parts_that_can_run(strange, several, names, data):
    """No graph is a crash, and no part needs what a CPU operator computes from it."""
    stop = data.draw(st.none() | st.integers(-2, 12))
    try:
        verdicts = partition(
            strange, intermediate_tensors=names, multiple_subgraphs=several, stop=stop
        )
    except UsageError:
        assert names and not any(tensor.name in names for tensor in strange.tensors)
        return
    assert [verdict.index for verdict in verdicts] == [*range(len(strange.operators))]
    assert {verdict.part for verdict in verdicts} <= ({*range(99)} | {-1} if several else {-1, 0})
    assert_convex(strange, verdicts)


def assert_convex(cut, verdicts):
    """No way leads out of a part and back into it."""
    made = {t: i for i, op in enumerate(cut.operators) for t in op.outputs}
    # Of each operator: the parts that it is computed from, by way of the CPU.
    behind: list[set[int]] = []
    for index, op in enumerate(cut.operators):
        part, reached = verdicts[index].part, set()
        for before in {made[t] for t in op.inputs if made.get(t, index) < index}:
            reached |= behind[before]
            if verdicts[before].part != part:
                reached |= {verdicts[before].part} - {-1}
        assert part == -1 or part not in reached
        behind.append(reached)


def test_the_cut_takes_a_time_that_grows_with_the_model_and_not_faster():
    """A model of 5,000 operators must not keep anyone waiting."""

    def seconds(count):
        kinds = ("RELU", "ELU", "ADD")
        ops = [(kinds[i % 3], [i, max(0, i - 7)][: 1 + i % 3 // 2], [i + 1]) for i in range(count)]
        long, best = graph(*ops), 9.0
        for _ in range(3):
            start = time.process_time()
            partition(long, multiple_subgraphs=True, intermediate_tensors=[f"t{count}"])
            best = min(best, time.process_time() - start)
        return best

    assert seconds(5000) < 0.2
    assert seconds(5000) < 4 * seconds(2500)


def test_stages_give_an_order_that_can_run(shared):
    """The simulator's file is written in it: first the CPU operators of a stage, then its part."""
    for source, _ in pairs(shared):
        model = read_model(source).main
        mapped = [v.target == "tpu" for v in partition(model, multiple_subgraphs=True)]
        levels = stages(model, mapped)
        order = sorted(range(len(levels)), key=lambda i: (levels[i], mapped[i]))
        ready = {*range(len(model.tensors))} - {t for op in model.operators for t in op.outputs}
        for index in order:
            op = model.operators[index]
            assert {t for t in op.inputs if t >= 0} <= ready, source.name
            ready |= {*op.outputs}
