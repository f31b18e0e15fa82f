"""Which changes are made, and which are not: a wrong one would go into the user's file."""

from dataclasses import replace

import numpy as np
from legalize.structures import start

from atoll.legalize.draft import Change, Draft
from atoll.legalize.engine import Engine
from atoll.legalize.rewrite import Rewrite
from atoll.legalize.verify import Verifier
from atoll.tflite.build import GraphBuilder
from atoll.tflite.build_core import option


def leaky():
    """conv, LEAKY_RELU, conv: the chip takes the first and the last."""
    b, x = start()
    (x,) = b.op("LEAKY_RELU", [x], [b.shape(x)], option("LeakyRelu", alpha=0.5), version=2)
    return b.model(b.conv2d(x, 4, 1)).main


def as_relu(draft, number):
    """What is not the same."""
    op = draft.operators[number]
    return Change([draft.new("RELU", op.inputs, op.outputs)], (number,))


def engine(graph, *rows, verify=True, **how):
    made = Engine(Draft(graph, 14), rows, Verifier() if verify else None, **how)
    made.run()
    return made


def kinds(made):
    return [op.type for op in made.draft.snapshot().operators]


def test_a_change_that_breaks_its_promise_is_not_made_and_is_reported():
    """A wrong rewrite would change the answers of a model without a word."""
    graph = leaky()
    made = engine(graph, Rewrite("wrong", ("LEAKY_RELU",), as_relu, "one step"))
    assert kinds(made) == ["CONV_2D", "LEAKY_RELU", "CONV_2D"]
    assert made.applied == []
    (refused,) = made.refused
    assert refused.name == "wrong"
    assert "promises 'one step'" in refused.reason
    assert len(made.draft.graph.tensors) == len(graph.tensors)


def test_the_next_row_is_tried_where_one_fails():
    """One bad row would hide a good one."""

    def as_prelu(draft, number):
        """The same."""
        op = draft.operators[number]
        alpha = np.full((1, 1, 4), 127, np.int8)
        held = replace(draft.tensor(op.inputs[0]).quantization)
        held = replace(held, scale=np.array([0.5 / 127], np.float32), zero_point=np.zeros(1, int))
        constant = draft.add_constant("alpha", alpha, held)
        return Change([draft.new("PRELU", [op.inputs[0], constant], op.outputs)], (number,))

    rows = (
        Rewrite("wrong", ("LEAKY_RELU",), as_relu, "identical"),
        Rewrite("right", ("LEAKY_RELU",), as_prelu, "one step"),
    )
    made = engine(leaky(), *rows)
    assert [change.name for change in made.applied] == ["right"]
    assert made.applied[0].error.max <= 1
    assert kinds(made) == ["CONV_2D", "PRELU", "CONV_2D"]


def test_what_maps_already_is_left_alone():
    """A model that is fine would be changed for nothing."""

    def as_tanh(draft, number):
        """Another operator that maps."""
        op = draft.operators[number]
        return Change([draft.new("TANH", op.inputs, op.outputs)], (number,))

    b, x = start()
    made = engine(b.model(b.relu(x)).main, Rewrite("idle", ("RELU",), as_tanh, "measured"))
    assert made.applied == made.refused == []


def test_what_would_not_map_either_is_not_put_in():
    """The model would be changed, and stay on the CPU."""

    def as_elu(draft, number):
        """An operator that the chip lacks too."""
        op = draft.operators[number]
        return Change([replace(op, type="ELU", options=None)], (number,))

    made = engine(leaky(), Rewrite("vain", ("LEAKY_RELU",), as_elu, "measured"))
    assert made.applied == made.refused == []


def test_rows_that_undo_each_other_come_to_an_end():
    """The command would never return."""

    def swapped(draft, number):
        """To and fro."""
        op = draft.operators[number]
        other = {"RELU": "RELU6", "RELU6": "RELU"}[op.type]
        return Change([draft.new(other, op.inputs, op.outputs)], (number,))

    b, x = start()
    row = Rewrite("restless", ("RELU", "RELU6"), swapped, "measured", always=True)
    made = engine(b.model(b.relu(x)).main, row, verify=False)
    assert 0 < len(made.applied) < 100


def test_a_change_that_reads_what_the_old_operators_did_not_is_checked_further_back():
    """A rewrite over several operators could not be checked, or would be checked wrongly."""

    def skip_both(draft, number):
        """The second of two RELU goes, with the first read from before it."""
        op = draft.operators[number]
        before = draft.before(op.inputs[0], "RELU")
        if before < 0:
            return None
        source = draft.operators[before].inputs[0]
        return Change([draft.new("RELU", [source], op.outputs)], (number,))

    b, x = start()
    first = b.relu(x)
    b.tensors[first].quantization = b.tensors[x].quantization
    second = b.relu(first)
    row = Rewrite("twice", ("RELU",), skip_both, "identical", always=True)
    made = engine(b.model(second).main, row)
    assert [change.name for change in made.applied] == ["twice"]
    assert kinds(made) == ["CONV_2D", "RELU"]


def test_an_output_keeps_its_tensor_when_what_computes_it_is_dropped():
    """A program that asks for an output by its name would not find it."""
    b, x = start()
    y = b.reshape(b.relu(x), b.shape(x))
    b.tensors[y].name = "scores"
    from atoll.legalize.rewrites.shapes import ROWS

    made = engine(b.model(y).main, *ROWS)
    graph = made.draft.snapshot()
    assert kinds(made) == ["CONV_2D", "RELU"]
    assert [graph.tensors[t].name for t in graph.outputs] == ["scores"]


def test_an_input_that_is_handed_out_as_it_is_stays_so():
    """The model would have one tensor as input and output, or lose one."""
    b = GraphBuilder("int8")
    x = b.input((1, 4, 4, 2))
    from atoll.legalize.rewrites.shapes import ROWS

    made = engine(b.model(b.reshape(x, (1, 4, 4, 2))).main, *ROWS)
    assert kinds(made) == ["RESHAPE"]


def test_operators_come_in_an_order_in_which_they_can_run():
    """LiteRT would refuse the file: an operator would read what is computed behind it."""
    b, x = start((1, 6, 6, 6))
    parts = b.op("UNPACK", [x], [(1, 6, 6)] * 6, option("Unpack", num=6, axis=3), version=2)
    early = b.relu(parts[0])
    late = b.relu(parts[5])
    from atoll.legalize.table import REWRITES

    made = engine(b.model([early, late]).main, *REWRITES)
    graph = made.draft.snapshot()
    known = {*graph.inputs, *(i for i, t in enumerate(graph.tensors) if t.is_constant)}
    for op in graph.operators:
        assert {t for t in op.inputs if t >= 0} <= known
        known |= {*op.outputs}
    # Nobody reads the others: they are not computed.
    assert kinds(made).count("SLICE") == 2
