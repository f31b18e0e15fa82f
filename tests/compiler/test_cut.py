"""Parts of a graph, as the search and the segments need them."""

from dataclasses import replace

from google_stand_in import chain

from atoll.compiler.cut import between, frontier, with_plain_names
from atoll.tflite.build import GraphBuilder


def fork():
    """A graph whose branches meet again: 0 -> (1, 2) -> 3."""
    b = GraphBuilder("int8", seed=1)
    x = b.conv2d(b.input((1, 4, 4, 4)), 4, 1)
    one, two = b.conv2d(x, 4, 1), b.conv2d(x, 4, 3)
    return b.model([b.add(one, two), one])


def test_what_crosses_a_cut_is_found():
    """A tensor that is forgotten there would be computed on the wrong side."""
    graph = fork().main
    outputs = [op.outputs[0] for op in graph.operators]
    assert frontier(graph, 0) == []
    assert frontier(graph, 1) == outputs[:1]
    assert frontier(graph, 2) == outputs[:2]
    assert frontier(graph, 3) == outputs[1:3]
    assert frontier(graph, 4) == [outputs[1], outputs[3]]


def test_only_names_that_cannot_be_said_are_changed():
    """Names are how a program finds its tensors in the compiled file."""
    model = chain(3)
    graph = model.main
    one, two, three = (op.outputs[0] for op in graph.operators)
    tensors = list(graph.tensors)
    tensors[one] = replace(tensors[one], name="a,b:0")
    tensors[two] = replace(tensors[two], name="twice")
    tensors[three] = replace(tensors[three], name="twice")
    model = replace(model, subgraphs=[replace(graph, tensors=tensors)])
    changed = with_plain_names(model, [one, two]).main.tensors
    names = [changed[t].name for t in (one, two, three)]
    assert names[0] == "a_b_0"
    assert names[1] not in ("twice", "")
    assert names[2] == "twice"
    assert model.main.tensors[one].name == "a,b:0"


def test_a_part_is_found_by_the_names_at_its_ends():
    """Google's segments tell no more than that."""
    graph = fork().main
    names = [graph.tensors[op.outputs[0]].name for op in graph.operators]
    part = between(graph, {names[0]}, {names[3]})
    assert part.operators == graph.operators[1:]
    assert between(graph, {names[1], names[2]}, {names[3]}).operators == graph.operators[3:]
    assert between(graph, set(), {"nowhere"}).operators == []
