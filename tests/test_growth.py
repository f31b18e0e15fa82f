"""Every pass takes time with the number of operators, not with its square: 5,000 are a few seconds.

A pass that looks at the whole graph from every operator would pass all other tests, which have
small graphs, and hang on a person's large one.
"""

import gc
import time
from functools import cache

import pytest

from atoll.edgetpu.analysis import analyse
from atoll.edgetpu.partition import partition
from atoll.edgetpu.simfile import to_sim
from atoll.legalize.job import legalize
from atoll.report.lanes import lanes
from atoll.tflite.build import GraphBuilder
from atoll.tflite.reader import read_model
from atoll.tflite.writer import write_model

SMALL, TIMES = 250, 6
# In proportion it would be 6, with the square 36.
MOST = 13


def _blocks(operators):
    """Convolutions, with sums over some of them."""
    b = GraphBuilder("int8", seed=5)
    x = b.input((1, 16, 16, 8))
    while len(b.operators) < operators:
        y = b.conv2d(x, 8, 1, activation="RELU")
        x = b.add(x, y) if len(b.operators) % 3 else y
    return b.model(x)


def _wide(operators):
    """Branches side by side, joined at the end."""
    b = GraphBuilder("int8", seed=5)
    x = b.input((1, 8, 8, 4))
    return b.model(b.concat([b.relu(x) for _ in range(operators)]))


def _ladder(operators):
    """Each tensor of the first half is read again in the second: as many are alive at a time."""
    b = GraphBuilder("int8", seed=5)
    x = b.input((1, 8, 8, 4))
    held = []
    for _ in range(operators // 2):
        x = b.relu(x)
        held.append(x)
    while held:
        x = b.add(x, held.pop())
    return b.model(x)


def _interrupted(operators):
    """Every other operator is one that nothing is known of."""
    b = GraphBuilder("int8", seed=5)
    x = b.input((1, 8, 8, 4))
    while len(b.operators) < operators:
        x = b.conv2d(x, 4, 1)
        (x,) = b.op("LOCAL_RESPONSE_NORMALIZATION", [x], [b.shape(x)])
    return b.model(x)


@cache
def _prepared(shape, operators):
    model = shape(operators)
    return model, write_model(model), partition(model.main, multiple_subgraphs=True)


PASSES = {
    "read": lambda model, content, verdicts: read_model(content),
    "write": lambda model, content, verdicts: write_model(model),
    "analyse": lambda model, content, verdicts: analyse(model.main, multiple_subgraphs=True),
    "to_sim": lambda model, content, verdicts: to_sim(model, verdicts),
    "legalize": lambda model, content, verdicts: legalize(model, verify=False),
    "lanes": lambda model, content, verdicts: lanes(model.main),
}


@pytest.mark.parametrize("name", PASSES)
@pytest.mark.parametrize("shape", [_blocks, _wide, _ladder, _interrupted])
def test_time_grows_with_the_number_of_operators(shape, name):
    """Quadratic time would turn a large model's seconds into minutes."""
    few = _seconds(PASSES[name], _prepared(shape, SMALL), runs=3)
    many = _seconds(PASSES[name], _prepared(shape, TIMES * SMALL), runs=2)
    assert many < MOST * few


def _seconds(work, prepared, runs):
    """The least processor time of a few runs, without the collector's: it comes when it likes."""
    spent = []
    gc.collect()
    gc.disable()
    try:
        for _ in range(runs):
            start = time.process_time()
            work(*prepared)
            spent.append(time.process_time() - start)
    finally:
        gc.enable()
    return min(spent)
