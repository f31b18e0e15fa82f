"""Each structural rewrite, on a graph that the chip refuses, against LiteRT's own answer."""

import numpy as np
import pytest
from legalize.structures import CASES
from litert_files import opened, random_inputs

from atoll.edgetpu.partition import partition
from atoll.legalize.job import legalize
from atoll.legalize.table import PASSES, REWRITES
from atoll.tflite.writer import write_model


def outputs(model, arrays):
    """LiteRT's answer, by its own kernels: XNNPACK's round otherwise."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        model_content=write_model(model),
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    for detail, array in zip(interpreter.get_input_details(), arrays, strict=True):
        interpreter.set_tensor(detail["index"], array)
    interpreter.invoke()
    return [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]


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
    for seed in range(3):
        arrays = random_inputs(opened(before), seed)
        for old, new in zip(outputs(model, arrays), outputs(result.model, arrays), strict=True):
            assert old.shape == new.shape
            assert np.abs(old.astype(int) - new.astype(int)).max() <= allowed


def test_every_name_in_the_cases_is_a_row():
    """A renamed row would no longer be tested."""
    names = {row.name for row in (*PASSES, *REWRITES)}
    assert {name for _, rows, _ in CASES.values() for name in rows} <= names
