"""The page of a model, from real analyses: what it says must be what the analysis says."""

import re
from html.parser import HTMLParser

import pytest

from atoll.compiler.advice import weigh
from atoll.edgetpu.analysis import analyse
from atoll.report.model_page import render, write_model_page
from atoll.tflite.build import GraphBuilder
from atoll.tflite.graph import Operator, Subgraph, Tensor
from atoll.tflite.reader import read_model


class _Page(HTMLParser):
    """Counts tags, and checks that what opens is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.rows: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag == "tr":
            self.rows.append(dict(attrs).get("class", ""))
        if tag not in ("meta", "link", "br", "rect", "col", "path", "circle", "line"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in ("rect", "path", "circle", "line"):
            assert self.open.pop() == tag


def _analysis():
    b = GraphBuilder()
    x = b.conv2d(b.input((1, 8, 8, 4)), 8, 3, activation="RELU")
    (y,) = b.op("ELU", [x], [b.shape(x)])
    return analyse(b.model(b.add(b.conv2d(y, 8, 1), x)).main)


def _render(analysis, title="model"):
    return render(title, analysis, weigh(analysis))


def test_every_operator_has_a_row_in_the_colour_of_where_it_runs():
    analysis = _analysis()
    page = _Page(_render(analysis))
    shown = [row for row in page.rows if row in ("tpu", "cpu")]
    assert shown == [verdict.target for verdict in analysis.verdicts]
    assert "cpu" in shown
    assert not page.open


def test_the_head_says_how_many_map_and_how_long_it_takes():
    analysis = _analysis()
    text = re.sub(r"<[^>]+>", "", _render(analysis))
    mapped = sum(verdict.target == "tpu" for verdict in analysis.verdicts)
    assert f"{mapped} of {len(analysis.verdicts)} operators map to the Edge TPU" in text
    assert "predicted" in text
    assert "ELU" in text


def test_names_are_text_to_the_page():
    """A model from elsewhere must not run a script in the reader's browser."""
    tensors = [Tensor("<script>alert(1)</script>", "INT8", (1, 4)), Tensor("out", "INT8", (1, 4))]
    graph = Subgraph("main", tensors, [Operator("<img src=x>", [0], [1])], [0], [1])
    graph.operators.append(Operator("CUSTOM", [1], [0], custom_name="</table>"))
    page = render("<b>\u202e", analyse(graph), [])
    assert "alert(1)</script>" not in page
    assert "<img" not in page
    assert page.count("</table>") == page.count("<table")
    assert "\u202e" not in page


def test_the_same_analysis_gives_the_same_bytes(tmp_path):
    analysis = _analysis()
    write_model_page("model", analysis, [], tmp_path / "a.html")
    assert (tmp_path / "a.html").read_text() == render("model", analysis, [])


@pytest.mark.parametrize("operators", [0, 1])
def test_the_smallest_graphs_have_a_page(operators):
    tensors = [Tensor("x", "INT8", ())]
    graph = Subgraph("main", tensors, [Operator("RELU", [0], [])] * operators, [0], [0])
    assert not _Page(_render(analyse(graph))).open


def test_published_models_have_a_page(shared):
    for path in sorted(shared.glob("models/v13/*.tflite")):
        model = read_model(path)
        if any(op.custom_name == "edgetpu-custom-op" for op in model.main.operators):
            continue
        assert not _Page(_render(analyse(model.main), path.name)).open
