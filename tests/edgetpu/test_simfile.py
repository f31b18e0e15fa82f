"""A file for the simulator must hold the whole model: the mapped part inside, the rest around."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from litert_files import random_inputs, run, runnable

from atoll import Interpreter
from atoll.edgetpu.partition import partition
from atoll.edgetpu.simfile import SIM_OP, to_sim
from atoll.errors import CompilerError
from atoll.tflite.build import GraphBuilder
from atoll.tflite.graph import Model
from atoll.tflite.reader import read_model
from atoll.tflite.writer import write_model


def compiled(path) -> tuple[Model, Model]:
    model = read_model(path)
    return model, to_sim(model, partition(model.main))


def test_the_payload_is_the_mapped_part_and_runs_by_itself(shared):
    """Anyone with LiteRT can check what the simulator runs."""
    path = shared / "models/v10/mobilenet_v1_0.25_128_quant.tflite"
    _, sim = compiled(path)
    (op,) = sim.main.operators
    assert (op.type, op.custom_name) == ("CUSTOM", SIM_OP)
    whole, part = runnable(path), runnable(op.custom_options)
    arrays = random_inputs(whole)
    assert np.array_equal(run(whole, arrays), run(part, arrays))
    # Nothing of the weights is left outside.
    assert [tensor.data for tensor in sim.main.tensors] == [None, None]


def test_cpu_operators_stay_around_it_in_order(shared):
    """What the Edge TPU cannot do, the CPU still must, before and after."""
    model, sim = compiled(shared / "models/v13/movenet_single_pose_lightning_ptq.tflite")
    kinds = [op.custom_name or op.type for op in sim.main.operators]
    assert kinds[:4] == ["CAST", "QUANTIZE", SIM_OP, "ARG_MAX"]
    assert len(kinds) == 60
    made = {*sim.main.inputs}
    for op in sim.main.operators:
        needed = {*sim.main.activations(op)}
        assert needed <= made
        made |= {*op.outputs}
    assert {*sim.main.outputs} <= made
    assert len(model.main.operators) == 157


def test_metadata_labels_and_signatures_are_kept(shared):
    """A compiled model must still know its labels, and be called by its signature."""
    model, sim = compiled(shared / "models/v13/mobilenet_v1_0.25_128_quant.tflite")
    again = read_model(write_model(sim))
    assert again.metadata == model.metadata
    assert again.trailer == model.trailer
    assert again.description == model.description
    model, sim = compiled(shared / "models/v13/movenet_single_pose_lightning_ptq.tflite")
    (signature,) = read_model(write_model(sim)).signatures
    for before, after in zip(
        [*model.signatures[0].inputs, *model.signatures[0].outputs],
        [*signature.inputs, *signature.outputs],
        strict=True,
    ):
        assert after.name == before.name
        old, new = model.main.tensors[before.tensorIndex], sim.main.tensors[after.tensorIndex]
        assert old.name == new.name
    assert model.signatures[0].outputs[0].tensorIndex < len(model.main.tensors)


def test_a_model_with_nothing_to_map_stays_as_it_is(shared):
    """Google's compiler writes such a file too; it must not lose its operators."""
    model, sim = compiled(shared / "models/v13/model_invoking_error.tflite")
    assert write_model(sim) == write_model(model)


def test_the_same_model_gives_the_same_bytes(shared):
    """Builds must be reproducible."""
    path = shared / "models/v13/deeplabv3_mnv2_dm05_pascal_quant.tflite"
    assert write_model(compiled(path)[1]) == write_model(compiled(path)[1])


def test_verdicts_that_cannot_run_as_one_part_are_refused(shared):
    """Mapped operators on both sides of a CPU operator need two parts."""
    model = read_model(shared / "models/v10/mobilenet_v1_0.25_128_quant.tflite")
    verdicts = partition(model.main)
    verdicts[5] = replace(verdicts[5], target="cpu")
    with pytest.raises(CompilerError, match="mapped operators must not need"):
        to_sim(model, verdicts)


def _small_network(choices: list[tuple[int, int, int]]) -> Model:
    """A network of small layers; a choice is (kind, one input, another)."""
    b = GraphBuilder("int8", seed=1)
    made = [b.input((1, 4, 4, 4))]
    for kind, first, second in choices:
        x, y = made[first % len(made)], made[second % len(made)]
        if kind == 0:
            made.append(b.conv2d(x, 4, 3))
        elif kind == 1:
            made.append(b.add(x, y))
        elif kind == 2:
            made.append(b.relu(x))
        elif kind == 3:
            made += b.op("HARD_SWISH", [x], [(1, 4, 4, 4)])
        else:
            # The CPU runs it, the Edge TPU has none.
            axis = b.constant(np.int32([1]))
            made += b.op("REVERSE_V2", [x, axis], [(1, 4, 4, 4)], version=1)
    unread = {*made[1:]} - {t for op in b.operators for t in op.inputs}
    return b.model(sorted(unread))


@given(
    st.lists(
        st.tuples(st.sampled_from([0, 1, 2, 2, 3, 4]), st.integers(0, 30), st.integers(0, 30)),
        min_size=1,
        max_size=14,
    ),
    st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_a_cut_into_any_number_of_parts_computes_the_same(choices, several):
    """Every part runs by itself, in an order in which all it needs is there."""
    model = _small_network(choices)
    verdicts = partition(model.main, multiple_subgraphs=several)
    sim = to_sim(model, verdicts)
    parts = [op for op in sim.main.operators if op.custom_name == SIM_OP]
    assert len(parts) == len({verdict.part for verdict in verdicts} - {-1})
    array = np.random.default_rng(0).integers(-128, 128, (1, 4, 4, 4)).astype(np.int8)
    with (
        Interpreter(write_model(model), device="cpu") as whole,
        Interpreter(write_model(sim), device="sim") as cut,
    ):
        for one, two in zip(whole.invoke(array), cut.invoke(array), strict=True):
            assert np.array_equal(one, two)
