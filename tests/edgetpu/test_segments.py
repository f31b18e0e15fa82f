"""Cutting for a pipeline: the pieces are the model, and the slowest is as fast as can be."""

import itertools
import time

import numpy as np
import pytest
from published import NETWORKS

from atoll.edgetpu import segment_costs
from atoll.edgetpu.analysis import analyse
from atoll.edgetpu.partition import partition
from atoll.edgetpu.segment_costs import range_costs
from atoll.edgetpu.segment_models import segment_models
from atoll.edgetpu.segments import split
from atoll.errors import CompilerError, UsageError
from atoll.runtime.interpreter import Interpreter
from atoll.tflite.build import GraphBuilder
from atoll.tflite.graph import Model
from atoll.tflite.reader import read_model
from atoll.tflite.writer import write_model


def chain(layers: int = 6) -> Model:
    b = GraphBuilder("int8")
    x = b.input((1, 8, 8, 3))
    for number in range(layers):
        x = b.conv2d(x, 4 + number, 3, activation="RELU")
    return b.model(x)


def branches() -> Model:
    """Two inputs, three branches that join, two outputs of which one is made early."""
    b = GraphBuilder("int8")
    first, second = b.input((1, 8, 8, 4), name="first"), b.input((1, 8, 8, 4), name="second")
    early = b.conv2d(first, 4, 1)
    left = b.conv2d(early, 8, 3)
    right = b.conv2d(b.conv2d(early, 8, 3), 8, 3)
    joined = b.add(left, right)
    late = b.conv2d(b.concat([joined, b.conv2d(second, 8, 3)]), 4, 1)
    return b.model([b.logistic(early), b.mean(late)])


def skips() -> Model:
    """A tensor that is needed at the very end: it goes over every cut."""
    b = GraphBuilder("int8")
    x = first = b.conv2d(b.input((1, 8, 8, 3)), 8, 3)
    for _ in range(5):
        x = b.add(x, b.conv2d(x, 8, 3))
    return b.model(b.add(first, x))


def with_cpu_ends() -> Model:
    """Float in, float out: operators that stay on the CPU in front and behind."""
    b = GraphBuilder("int8")
    x = b.quantize(b.input((1, 8, 8, 3), "FLOAT32"))
    for _ in range(4):
        x = b.conv2d(x, 8, 3)
    return b.model(b.dequantize(b.mean(x)))


def too_large() -> Model:
    """More parameters than two chips cache, in layers of many sizes."""
    b = GraphBuilder("int8")
    x = b.conv2d(b.input((1, 28, 28, 64)), 256, 3)
    for filters in (512, 256, 768, 320, 1024, 640, 320, 768, 256, 512):
        x = b.conv2d(x, filters, 3)
    return b.model(b.mean(x))


def skips_and_narrow(blocks: int) -> Model:
    """Tensors wide and narrow by turns, with skips over both."""
    b = GraphBuilder("int8")
    x = b.conv2d(b.input((1, 16, 16, 3)), 4, 3)
    for _ in range(blocks):
        x = b.add(x, b.conv2d(b.conv2d(x, 48, 1), 4, 3))
    return b.model(x)


MODELS = {f.__name__: f for f in (chain, branches, skips, with_cpu_ends)}


class Given:
    """Times of stretches that a function of their ends gives."""

    def __init__(self, length, time_of):
        self.bounds = range(length + 1)
        self.exact = time_of

    def columns(self):
        for stop in self.bounds[1:]:
            yield np.array([self.exact(start, stop) for start in range(stop)])


def summed(times) -> Given:
    """The times of operators, which a stretch has the sum of."""
    sums = np.concatenate([[0.0], np.cumsum(times)])
    return Given(len(times), lambda start, stop: float(sums[stop] - sums[start]))


def predicted(model: Model, verdicts, **how):
    return range_costs(
        model.main, verdicts, **({"min_runtime": 14, "link": "usb3", "clock": "max"} | how)
    )


def segments_of(model: Model, count: int):
    verdicts = partition(model.main)
    mapped = sum(verdict.target == "tpu" for verdict in verdicts)
    return split(model.main, verdicts, count, summed([1.0 + 0.1 * i for i in range(mapped)]))


def run_one_after_another(models: list[Model], given: dict[str, np.ndarray]) -> list[np.ndarray]:
    values = dict(given)
    for model in models:
        with Interpreter(write_model(model), "cpu") as piece:
            results = piece.invoke(*(values[tensor.name] for tensor in piece.inputs))
            values |= {t.name: v for t, v in zip(piece.outputs, results, strict=True)}
    graph = models[-1].main
    return [values[graph.tensors[t].name] for t in graph.outputs]


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_the_pieces_give_what_the_model_gives(name, count):
    model = MODELS[name]()
    with Interpreter(write_model(model), "cpu") as whole:
        rng = np.random.default_rng(0)
        given = {
            t.name: (
                rng.normal(size=t.shape).astype(t.dtype)
                if t.dtype.kind == "f"
                else rng.integers(-128, 128, t.shape).astype(t.dtype)
            )
            for t in whole.inputs
        }
        expected = whole.invoke(*given.values())
    pieces = segment_models(model, segments_of(model, count))
    assert len(pieces) == count
    results = run_one_after_another(pieces, given)
    for result, wanted in zip(results, expected, strict=True):
        assert np.array_equal(result, wanted)


@pytest.mark.parametrize("name", MODELS)
def test_every_operator_is_in_one_piece_and_no_piece_looks_ahead(name):
    model = MODELS[name]()
    segments = segments_of(model, 3)
    assert sorted(itertools.chain(*(s.operators for s in segments))) == list(
        range(len(model.main.operators))
    )
    made = set(model.main.inputs)
    for segment in segments:
        assert set(segment.inputs) <= made
        made |= set(segment.outputs)
    assert list(segments[-1].outputs) == model.main.outputs


def test_cpu_operators_go_to_the_ends():
    """Only the first and the last chip's host would otherwise wait for a CPU in between."""
    model = with_cpu_ends()
    verdicts = partition(model.main)
    segments = split(model.main, verdicts, 3, predicted(model, verdicts))
    on_cpu = [[i for i in s.operators if verdicts[i].target == "cpu"] for s in segments]
    assert on_cpu[1] == []
    assert on_cpu[0] == [0]
    assert on_cpu[2] == [len(verdicts) - 1]


def test_no_cut_makes_the_slowest_piece_faster():
    """Held against all cuts there are, with times in which a greedy cut is not the best."""
    model = chain(9)
    times = [5.0, 1.0, 1.0, 4.0, 9.0, 2.0, 2.0, 2.0, 3.0]
    for count in range(1, 10):
        segments = split(model.main, partition(model.main), count, summed(times))
        best = min(
            max(sum(times[a:b]) for a, b in itertools.pairwise((0, *cuts, 9)))
            for cuts in itertools.combinations(range(1, 9), count - 1)
        )
        assert max(s.ms for s in segments) == pytest.approx(best)
        assert len(segments) == count and all(s.operators for s in segments)


def test_a_piece_that_does_not_fit_its_cache_is_as_slow_as_its_streaming():
    """By time alone the first dense layers would share a piece, and stream at every call."""
    b = GraphBuilder("int8")
    x = b.input((1, 2600))
    for _ in range(4):
        x = b.dense(x, 2600)
    model = b.model(b.dense(b.dense(b.dense(x, 8), 8), 8))
    verdicts = partition(model.main)
    segments = split(model.main, verdicts, 4, predicted(model, verdicts))
    heavy = [sum(i < 4 for i in s.operators) for s in segments]
    assert max(heavy) == 1
    alone = split(model.main, verdicts, 4, summed([0.01, 0.01, 0.01, 0.01, 0.2, 0.2, 0.2]))
    assert max(sum(i < 4 for i in s.operators) for s in alone) > 1


def test_the_cut_goes_where_the_tensor_is_small():
    """What goes over a cut goes over two links."""
    b = GraphBuilder("int8")
    x = b.input((1, 64, 64, 3))
    for filters in (32, 32, 2, 32, 32, 32, 2):
        x = b.conv2d(x, filters, 3)
    model = b.model(x)
    verdicts = partition(model.main)
    (first, _) = split(model.main, verdicts, 2, predicted(model, verdicts))
    assert first.operators == (0, 1, 2)


def test_among_equally_slow_cuts_the_others_are_as_fast_as_can_be():
    """A later chip that need not wait hands its results on sooner."""
    times = {(0, 1): 5.0, (1, 2): 5.0, (2, 3): 1.0, (1, 3): 4.0, (0, 2): 5.0}
    model = chain(3)
    costs = Given(3, lambda start, stop: times.get((start, stop), 9.0))
    segments = split(model.main, partition(model.main), 2, costs)
    assert [s.ms for s in segments] == [5.0, 1.0]


def test_estimates_that_are_too_low_are_found_out():
    """What a cache holds is known only when a piece is looked at by itself."""
    model = chain(6)
    costs = Given(6, lambda start, stop: float((stop - start) ** 3))
    real = costs.exact
    costs.columns = Given(
        6, lambda start, stop: 1.0 if start in (0, 5) else real(start, stop)
    ).columns
    segments = split(model.main, partition(model.main), 2, costs)
    assert [s.ms for s in segments] == [27.0, 27.0]


@pytest.mark.parametrize("name", ["mobilenet_v2_1.0_224", "efficientnet_edgetpu_s", "large"])
def test_more_chips_are_not_slower_and_no_cut_is_faster(name):
    """Early tensors are large: a cut there costs more time than it saves.

    Held against all cuts in two, each analysed as two models of their own.
    """
    model = too_large() if name == "large" else NETWORKS[name].build()
    verdicts = partition(model.main)
    costs = predicted(model, verdicts)
    mapped = sum(verdict.target == "tpu" for verdict in verdicts)

    def slowest(segments):
        pieces = segment_models(model, segments)
        return max(analyse(piece.main).latency["usb3"].ms for piece in pieces)

    def fixed(cut):
        return Given(mapped, lambda start, stop: 0.0 if cut in (start, stop) else 1.0)

    two, three = (slowest(split(model.main, verdicts, n, costs)) for n in (2, 3))
    every = [slowest(split(model.main, verdicts, 2, fixed(cut))) for cut in range(1, mapped)]
    assert two <= 1.05 * min(every)
    assert max(every) > 1.5 * two
    assert three <= 1.001 * two


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("link", ["usb3", "usb2"])
def test_a_piece_takes_what_it_is_predicted_to_take_as_a_model(name, link):
    """Cut by other times than those that are shown, a pipeline would look badly cut."""
    model = MODELS[name]()
    verdicts = partition(model.main)
    for count in (1, 2, 3):
        segments = split(model.main, verdicts, count, predicted(model, verdicts, link=link))
        pieces = segment_models(model, segments)
        shown = [analyse(piece.main).latency[link].ms for piece in pieces]
        assert [s.ms for s in segments] == pytest.approx(shown)


def test_estimates_are_the_exact_times_where_all_is_cached():
    """Both are sums over the same table; a slip in either would cut in the wrong place."""
    model = branches()
    costs = predicted(model, partition(model.main))
    for stop, column in enumerate(costs.columns(), 1):
        assert column == pytest.approx([costs.exact(start, stop) for start in range(stop)])


def test_more_pieces_than_operators_are_refused():
    model = chain(2)
    with pytest.raises(UsageError, match="every segment needs a mapped operator"):
        segments_of(model, 3)


def test_tensors_of_one_name_are_told_apart():
    """Pieces hand tensors on by name: two of one name would be mixed up."""
    model = skips()
    for tensor in model.main.tensors:
        tensor.name = "same"
    pieces = segment_models(model, segments_of(model, 3))
    for piece in pieces:
        names = [piece.main.tensors[t].name for t in (*piece.main.inputs, *piece.main.outputs)]
        assert len(set(names)) == len(set(piece.main.inputs) | set(piece.main.outputs))


def test_a_variable_cannot_be_handed_on():
    """An interpreter keeps its variables to itself; the pieces would work on stale values."""
    model = chain(4)
    segments = segments_of(model, 2)
    model.main.tensors[segments[0].outputs[0]].is_variable = True
    with pytest.raises(CompilerError, match="not state"):
        segment_models(model, segments)


def test_five_thousand_operators_are_cut_quickly():
    """A cut that grows with the square of the operators would take minutes here."""
    b = GraphBuilder("int8")
    x = b.input((1, 4, 4, 4))
    for _ in range(5000):
        x = b.relu(x)
    graph = b.model(x).main
    verdicts = partition(graph)
    start = time.perf_counter()
    costs = range_costs(graph, verdicts, min_runtime=14, link="usb3", clock="max")
    segments = split(graph, verdicts, 8, costs)
    assert time.perf_counter() - start < 5
    assert [len(s.operators) for s in segments] == [625] * 8


def test_a_longer_model_is_cut_at_some_of_its_places(monkeypatch):
    """All pairs of cuts of very many operators would take minutes."""
    monkeypatch.setattr(segment_costs, "_MOST_BLOCKS", 12)
    model = skips_and_narrow(20)
    verdicts = partition(model.main)
    costs = predicted(model, verdicts)
    assert len(costs.bounds) == 13
    assert costs.bounds[0] == 0 and costs.bounds[-1] == len(verdicts)
    assert list(costs.bounds) == sorted(set(costs.bounds))
    for count in (2, 5, 12):
        segments = split(model.main, verdicts, count, costs)
        shown = [
            analyse(piece.main).latency["usb3"].ms for piece in segment_models(model, segments)
        ]
        assert [s.ms for s in segments] == pytest.approx(shown)


def test_as_googles_compiler_hands_on(shared):
    """Its segments of SSD MobileNet: what the first gives is by name what the second takes."""
    names = []
    for number in (0, 1):
        path = next((shared / "models/v13").glob(f"ssd*segment_{number}_of_2_edgetpu.tflite"))
        graph = read_model(path).main
        names.append([graph.tensors[t].name for t in (graph.outputs, graph.inputs)[number]])
    assert sorted(names[0]) == sorted(names[1])
    model = skips()
    pieces = segment_models(model, segments_of(model, 2))
    handed = [
        [p.main.tensors[t].name for t in (p.main.outputs, p.main.inputs)[i]]
        for i, p in enumerate(pieces)
    ]
    assert sorted(handed[0]) == sorted(handed[1])
