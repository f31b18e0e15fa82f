"""The cut must be the one that Google's compiler makes, or every promise about a model is wrong."""

import flatbuffers
import numpy as np
import pytest
from flatbuffers.table import Table
from litert_files import model_files

from atoll.edgetpu.partition import Place, partition, place
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
    assert place(head, [False, True, False]) == [Place.HEAD, Place.TPU, Place.TAIL]


def test_every_verdict_says_what_and_why():
    """A verdict with no reason is what Google's compiler gives."""
    verdicts = partition(graph(("ELU", [0], [1]), ("RELU", [1], [2]), ("ELU", [2], [3])))
    assert [verdict.index for verdict in verdicts] == [0, 1, 2]
    assert [verdict.name for verdict in verdicts] == ["t1", "t2", "t3"]
    assert verdicts[0].reason == "The Edge TPU has no ELU."
    assert verdicts[1].reason == ""


def test_operators_with_a_state_keep_their_order():
    """Reading a variable before it is assigned would give the value of the call before."""
    stateful = graph(
        ("RELU", [0], [1]), ("ASSIGN_VARIABLE", [2, 1], []), ("READ_VARIABLE", [2], [3])
    )
    stateful.tensors[2].type = "RESOURCE"
    stateful.inputs = [0]
    assert place(stateful, [True, False, False]) == [Place.TPU, Place.TAIL, Place.TAIL]
    assert place(stateful, [False, False, False]) == [Place.HEAD] * 3


@pytest.mark.parametrize("runtime", [9, 15])
def test_there_is_no_such_runtime(runtime):
    """A typing error must not silently compile for something else."""
    with pytest.raises(UsageError, match="10 to 14"):
        partition(graph(("RELU", [0], [1])), min_runtime=runtime)
