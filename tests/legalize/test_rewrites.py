"""Each structural rewrite, on a graph that the chip refuses, against LiteRT's own answer."""

import numpy as np
import pytest
from legalize.kernels import plain_interpreter
from legalize.structures import CASES
from litert_files import opened, random_inputs, run

from atoll.edgetpu.partition import partition
from atoll.legalize.job import legalize
from atoll.legalize.table import PASSES, REWRITES
from atoll.tflite.writer import write_model


@pytest.mark.parametrize("name", CASES)
def test_a_refused_graph_maps_and_computes_the_same(name):
    """An operator that 8-bit arithmetic can say otherwise would stay on the CPU, or change."""
    build, rows, runtime = CASES[name]
    model = build()
    before = write_model(model)
    assert any(v.target == "cpu" for v in partition(model.main, min_runtime=runtime)) or any(
        row.always for row in REWRITES if row.name in rows
    )
    result = legalize(model, min_runtime=runtime)
    assert set(rows) <= {change.name for change in result.changes}, result.refused
    assert result.refused == []
    cpu = [(v.type, v.reason) for v in result.after if v.target == "cpu"]
    assert cpu == []
    assert write_model(model) == before, "the model that was given must stay as it is"
    by_name = {row.name: row for row in REWRITES}
    allowed = sum(by_name[change.name].exactness != "identical" for change in result.changes)
    old_form, new_form = plain_interpreter(before), plain_interpreter(write_model(result.model))
    for seed in range(3):
        arrays = random_inputs(opened(before), seed)
        pairs = zip(run(old_form, arrays), run(new_form, arrays), strict=True)
        for old, new in pairs:
            assert old.shape == new.shape
            assert np.abs(old.astype(int) - new.astype(int)).max() <= allowed


def test_every_name_in_the_cases_is_a_row():
    """A renamed row would no longer be tested."""
    names = {row.name for row in (*PASSES, *REWRITES)}
    assert {name for _, rows, _ in CASES.values() for name in rows} <= names
