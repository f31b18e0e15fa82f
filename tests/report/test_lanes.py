"""The picture of a graph: if it is wrong, a reader follows a tensor to the wrong operator."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from atoll.report.lanes import MOST_LANES, lanes
from atoll.tflite.build import GraphBuilder
from atoll.tflite.graph import Operator, Subgraph, Tensor


def test_a_chain_stays_in_one_lane():
    b = GraphBuilder()
    x = b.input((1, 4, 4, 4))
    for _ in range(5):
        x = b.relu(x)
    assert {row.lane for row in lanes(b.model(x).main)} == {0}


def test_a_skip_connection_runs_beside_what_it_skips():
    b = GraphBuilder()
    x = b.relu(b.input((1, 4, 4, 4)))
    graph = b.model(b.add(x, b.tanh(b.logistic(x)))).main
    first, second, third, last = lanes(graph)
    skipped = second.through
    assert first.out_of == skipped == third.through
    assert len(last.into) == 2


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_every_line_that_comes_from_above_was_there_above(data):
    """Lines neither begin in the air nor end there, in any graph."""
    tensors = [Tensor(str(i), "INT8", (1,)) for i in range(12)]
    index = st.integers(-1, 11)
    operators = data.draw(
        st.lists(
            st.builds(
                Operator,
                st.just("ADD"),
                st.lists(index, max_size=3),
                st.lists(st.integers(0, 11), max_size=2),
            ),
            max_size=20,
        )
    )
    graph = Subgraph("main", tensors, operators, [0, 1], [11])
    rows = lanes(graph)
    assert len(rows) == len(operators)
    for above, below in pairwise(rows):
        arriving = set(below.through) | set(below.into)
        assert arriving <= set(above.through) | set(above.out_of)


def test_a_graph_too_wide_for_a_picture_is_cut_off():
    b = GraphBuilder()
    x = b.input((1, 4))
    parts = [b.relu(x) for _ in range(60)]
    rows = lanes(b.model(b.concat(parts)).main)
    assert all(lane < MOST_LANES for row in rows for lane in (*row.through, *row.into))
