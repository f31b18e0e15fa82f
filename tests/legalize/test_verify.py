"""The check of one change: what it says of forms that are the same, nearly, or not at all."""

import numpy as np
from legalize.structures import start

from atoll.legalize.draft import Change, Draft
from atoll.legalize.verify import Error, Verifier, covering
from atoll.tflite.build import GraphBuilder
from atoll.tflite.graph import Tensor


def draft_of(b, output):
    draft = Draft(b.model(output).main, 14)
    return draft, draft.producer(output)


def test_every_value_of_8_bits_is_tried():
    """A change that is wrong for one value alone would pass."""
    tensor = Tensor("x", "INT8", (3, 5))
    rng = np.random.default_rng(0)
    seen = {int(v) for run in range(18) for v in covering(tensor, rng, run).flat}
    assert seen == set(range(-128, 128))


def test_a_difference_in_one_value_of_256_is_found():
    """The promise 'identical' would not mean it."""
    b = GraphBuilder("int8")
    x = b.input((1, 4))
    (y,) = b.op("RELU", [x], [(1, 4)], version=2)
    draft, number = draft_of(b, y)
    lowest = draft.add_constant("c", np.array([-127], np.int8), draft.tensor(x).quantization)
    # RELU with the input's zero point is MAXIMUM with it; here it is MAXIMUM with -127.
    zero = draft.tensor(x).quantization.zero_point[0]
    assert zero > -127
    found = Verifier().measure(draft, Change([draft.new("MAXIMUM", [x, lowest], [y])], (number,)))
    assert found.max == zero + 127
    assert not found.keeps("identical")
    clipped = draft.add_constant("d", np.array([zero], np.int8), draft.tensor(x).quantization)
    found = Verifier().measure(draft, Change([draft.new("MAXIMUM", [x, clipped], [y])], (number,)))
    assert found == Error(0.0, 0.0)
    assert found.keeps("identical")


def test_promises_have_limits():
    """'One step' would allow two, or 'measured' anything."""
    assert Error(0.3, 1.0).keeps("one step")
    assert not Error(0.001, 2.0).keeps("one step")
    assert Error(0.9, 16.0).keeps("measured")
    assert not Error(1.1, 3.0).keeps("measured")
    assert not Error(0.1, 17.0).keeps("measured")


def test_what_cannot_be_run_is_said_and_not_taken_for_equal():
    """A change would be made that nobody has checked."""
    b, x = start()
    (y,) = b.op("CUSTOM", [x], [b.shape(x)], custom_name="Mine")
    draft, number = draft_of(b, y)
    found = Verifier().measure(draft, Change([draft.new("RELU", [x], [y])], (number,)))
    assert "Mine" in found


def test_a_change_that_computes_something_else_is_not_compared():
    """Others would read a tensor that nobody computes, or of another scale."""
    b, x = start()
    y = b.relu(x)
    draft, number = draft_of(b, y)
    verifier = Verifier()
    lost = verifier.measure(draft, Change([], (number,)))
    assert lost == "The new operators do not compute what others read."
    other = verifier.measure(draft, Change(removed=(number,), renamed={y: x}))
    assert other == "What others read would change its shape, type or quantisation."
    stranger = draft.add_tensor("stranger", draft.tensor(x))
    reads = verifier.measure(draft, Change([draft.new("RELU", [stranger], [y])], (number,)))
    assert reads == "The new operators read what the old ones do not."


def test_tensors_of_absurd_size_are_not_made():
    """A damaged file would ask for the memory of the machine."""
    b = GraphBuilder("int8")
    x = b.input((1, 1 << 15, 1 << 15))
    (y,) = b.op("RELU", [x], [(1, 1 << 15, 1 << 15)], version=2)
    draft, number = draft_of(b, y)
    found = Verifier().measure(draft, Change([draft.new("RELU6", [x], [y])], (number,)))
    assert found == "The tensors are too large to be compared."


def test_the_same_seed_gives_the_same_measurement():
    """Two runs of the command would print different figures."""
    b, x = start()
    y = b.relu(x)
    draft, number = draft_of(b, y)
    change = Change([draft.new("RELU6", [x], [y])], (number,))
    assert Verifier(3).measure(draft, change) == Verifier(3).measure(draft, change)
