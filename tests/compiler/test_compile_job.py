"""What `atoll compile` does: files, logs, and the truth about both."""

import numpy as np
import pytest
from google_stand_in import chain
from litert_files import random_inputs, run, runnable

from atoll.compiler import program
from atoll.compiler.job import compile_model, compile_models
from atoll.compiler.oplog import count_operators, parse_table
from atoll.compiler.request import Request
from atoll.edgetpu.partition import partition
from atoll.edgetpu.simfile import SIM_OP
from atoll.errors import CompilerError, ModelError, OutputError, UsageError
from atoll.tflite.build import GraphBuilder
from atoll.tflite.graph import Model, Operator, Subgraph, Tensor
from atoll.tflite.reader import read_model
from atoll.tflite.writer import write_model


@pytest.fixture(autouse=True)
def no_google(monkeypatch):
    monkeypatch.delenv(program.VARIABLE, raising=False)
    monkeypatch.setattr(program, "COMMAND", "no-such-compiler")


def float_model() -> Model:
    tensors = [Tensor("in", "FLOAT32", (1, 4)), Tensor("out", "FLOAT32", (1, 4))]
    relu = Operator("RELU", [0], [1])
    return Model([Subgraph("main", tensors, [relu], [0], [1])])


def put(path, model):
    path.write_bytes(write_model(model))
    return path


def wide_chain(layers: int, channels: int) -> Model:
    """Dense layers whose parameters together are more than the chip's cache."""
    b = GraphBuilder("int8", seed=2)
    x = b.input((1, channels))
    for _ in range(layers):
        x = b.dense(x, channels)
    return b.model(x)


def test_a_model_is_compiled_for_the_simulator(shared, tmp_path):
    """The counts must be those of the file that was written."""
    path = shared / "models/v13/movenet_single_pose_lightning_ptq.tflite"
    done = compile_model(path, tmp_path / "out")
    assert done.backend == "sim"
    assert done.output == tmp_path / "out" / "movenet_single_pose_lightning_ptq_sim.tflite"
    assert (done.ops_total, done.ops_tpu, done.ops_cpu, done.subgraphs) == (157, 98, 59, 1)
    assert 0 < done.compile_ms < 60_000
    written = read_model(done.output)
    assert len(written.main.operators) == 59 + 1
    assert sum(op.custom_name == SIM_OP for op in written.main.operators) == 1
    assert (done.input_bytes, done.output_bytes) == tuple(
        p.stat().st_size for p in (path, done.output)
    )
    text = done.log.read_text()
    assert "Input: movenet_single_pose_lightning_ptq.tflite" in text
    assert parse_table(text) == count_operators(done.verdicts)
    assert sum(row.count for row in parse_table(text)) == 157


def test_compiling_again_gives_the_same_bytes(tmp_path):
    """Builds must be reproducible."""
    path = put(tmp_path / "m.tflite", chain(4))
    one, two = (compile_model(path, tmp_path / name) for name in "ab")
    assert one.output.read_bytes() == two.output.read_bytes()
    assert one.log.read_text() == two.log.read_text()


def test_a_model_with_nothing_mapped_is_written_as_it_is(tmp_path):
    """Google's compiler does the same: byte for byte, and the user must see the 0."""
    path = put(tmp_path / "float.tflite", float_model())
    done = compile_model(path, tmp_path)
    assert (done.ops_tpu, done.ops_cpu, done.subgraphs) == (0, 1, 0)
    assert done.output.read_bytes() == path.read_bytes()


def test_models_that_share_the_cache_take_it_in_order(tmp_path):
    """The first keeps what it would have alone; what does not fit of the second is streamed."""
    big = put(tmp_path / "big.tflite", wide_chain(5, 1024))
    other = put(tmp_path / "other.tflite", wide_chain(6, 1024))
    alone = {path: compile_model(path, tmp_path / "alone") for path in (big, other)}
    assert alone[big].sizes.offchip == alone[other].sizes.offchip == 0
    one, two = compile_models([big, other], tmp_path / "together", Request(backend="sim"))
    assert one.sizes.onchip_memory == alone[big].sizes.onchip_memory
    assert one.sizes.offchip == 0
    assert two.sizes.offchip > 0
    assert two.sizes.parameters == alone[other].sizes.parameters
    # Google's compiler prints of each what is left in the end (google-coral/edgetpu issue 458).
    assert one.sizes.onchip_remaining == two.sizes.onchip_remaining
    assert two.latency["usb3"].ms > alone[other].latency["usb3"].ms
    assert one.output.is_file()
    assert two.output.is_file()


def test_intermediate_tensors_end_the_mapped_part(tmp_path):
    """With -i a person cuts where their own code goes on."""
    model = chain(6)
    path = put(tmp_path / "m.tflite", model)
    name = model.main.tensors[model.main.operators[2].outputs[0]].name
    request = Request(backend="sim", intermediate_tensors=((name,),))
    (done,) = compile_models([path], tmp_path, request)
    assert [v.target for v in done.verdicts] == ["tpu"] * 3 + ["cpu"] * 3
    arrays = random_inputs(runnable(path))
    kept = read_model(done.output).main
    assert kept.tensors[kept.operators[0].outputs[0]].name == name
    with pytest.raises(UsageError, match="nowhere"):
        compile_models([path], tmp_path, Request(intermediate_tensors=(("nowhere",),)))
    assert arrays


def test_a_first_runtime_caches_nothing(tmp_path):
    """-m 10 is how the oldest devices are served: everything is streamed."""
    path = put(tmp_path / "m.tflite", chain(3, "uint8"))
    (done,) = compile_models([path], tmp_path, Request(backend="sim", min_runtime=10))
    assert done.sizes.onchip_memory == 0
    assert done.sizes.offchip == done.sizes.parameters > 0


def test_the_search_leaves_out_what_google_would_fail_on(tmp_path):
    """-d promises a file that compiles; its step says how many operators go at a time."""
    b = GraphBuilder("int8", seed=3)
    x = b.input((1, 64, 64, 8))
    for _ in range(4):
        x = b.conv2d(x, 8, 1, activation="RELU")
    x = b.conv2d(x, 1200, 1)
    path = put(tmp_path / "m.tflite", b.model(b.add(x, x)))
    plain = compile_models([path], tmp_path, Request(backend="sim"))[0]
    assert plain.ops_cpu == 0
    assert "may refuse" in plain.notes[0]
    done = compile_models([path], tmp_path, Request(backend="sim", search_delegate=True))[0]
    assert [v.target for v in done.verdicts] == ["tpu"] * 5 + ["cpu"]
    request = Request(backend="sim", search_delegate=True, search_step=4)
    assert compile_models([path], tmp_path, request)[0].ops_tpu == 2


def test_what_can_be_mapped_without_moving_an_output_is_mapped(tmp_path):
    """Today's converters write what the chip's compiler refuses; the answer must stay the same."""
    path = put(tmp_path / "m.tflite", split_v())
    before = partition(read_model(path).main)
    assert any(verdict.target == "cpu" for verdict in before)
    request = Request(backend="sim", legalize="identical")
    changed = compile_models([path], tmp_path / "changed", request)[0]
    assert changed.ops_cpu == 0
    assert changed.changes
    assert all(change.exactness == "identical" for change in changed.changes)
    assert "did not move" in changed.moved


def split_v() -> Model:
    """A split into unequal parts: the chip has none, and slices do the same."""
    b = GraphBuilder("int8", seed=4)
    x = b.conv2d(b.input((1, 8, 8, 4)), 8, 1)
    sizes, axis = (b.constant(np.array(v, np.int32)) for v in ([2, 6], 3))
    one, two = (b.add_tensor(_like(b, x, (1, 8, 8, n))) for n in (2, 6))
    import ai_edge_litert.schema_py_generated as schema

    options = schema.SplitVOptionsT()
    options.numSplits = 2
    split = Operator("SPLIT_V", [x, sizes, axis], [one, two], options=options, version=2)
    b.operators.append(split)
    return b.model([one, two])


def _like(b, x, shape):
    tensor = b.tensors[x]
    return Tensor(f"part {shape[-1]}", tensor.type, shape, quantization=tensor.quantization)


def test_what_would_map_if_the_model_were_changed_is_said(tmp_path):
    """Unless asked, the file is compiled as it is; its owner must know that more can be had."""
    (done,) = compile_models([put(tmp_path / "m.tflite", split_v())], tmp_path, Request())
    assert done.ops_cpu == 1
    assert any("--legalize would" in note for note in done.notes)


def test_a_file_that_is_compiled_already_is_refused(shared, tmp_path):
    """Giving the compiled file again is an easy mistake."""
    compiled = shared / "models/v16/dense_256_edgetpu.tflite"
    with pytest.raises(CompilerError, match="compiled already"):
        compile_model(compiled, tmp_path)
    done = compile_model(shared / "models/v16/dense_256.tflite", tmp_path)
    with pytest.raises(CompilerError, match="compiled already"):
        compile_model(done.output, tmp_path)


def test_bad_places_and_settings_are_one_line(tmp_path):
    """Each must name what to change, and leave nothing behind."""
    path = put(tmp_path / "m.tflite", chain(2))
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError):
        compile_model(path, tmp_path / "file")
    with pytest.raises(UsageError, match="auto, sim or google"):
        compile_model(path, tmp_path, backend="other")
    with pytest.raises(UsageError, match="10 to 14"):
        compile_model(path, tmp_path, min_runtime=15)
    with pytest.raises(CompilerError, match=program.VARIABLE):
        compile_model(path, tmp_path, backend="google")
    with pytest.raises(ModelError):
        compile_model(tmp_path / "file", tmp_path)
    for wrong in ({"segments": 0}, {"search_step": 0}, {"timeout_s": 0}, {"segments": 1000}):
        with pytest.raises(UsageError, match="must be 1"):
            compile_models([path], tmp_path, Request(**wrong))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "m.tflite"]


def test_no_model_is_written_over(tmp_path):
    """One model's output may be another's input, or another's output."""
    one = put(tmp_path / "m.tflite", chain(2))
    two = put(tmp_path / "m_sim.tflite", chain(3))
    before = two.read_bytes()
    with pytest.raises(UsageError, match="take the place"):
        compile_models([one, two], tmp_path, Request(backend="sim"))
    (tmp_path / "sub").mkdir()
    with pytest.raises(UsageError, match="different names"):
        compile_models([one, put(tmp_path / "sub" / "m.tflite", chain(3))], tmp_path, Request())
    assert two.read_bytes() == before


def test_of_several_models_none_is_written_if_one_is_bad(tmp_path):
    """Half a pipeline would be left that looks whole."""
    good = put(tmp_path / "good.tflite", chain(2))
    (tmp_path / "bad.tflite").write_bytes(b"\x1c\0\0\0TFL3" + bytes(16))
    with pytest.raises(ModelError, match="bad"):
        compile_models([good, tmp_path / "bad.tflite"], tmp_path / "out", Request(backend="sim"))
    assert not (tmp_path / "out").exists()


def test_the_oldest_runtime_decides_what_maps(tmp_path):
    """Compiled for an old runtime, what only a new one knows must stay on the CPU."""
    path = put(tmp_path / "m.tflite", chain(3))
    assert compile_model(path, tmp_path).ops_tpu == 3
    old = compile_model(path, tmp_path, min_runtime=11)
    assert old.ops_tpu == 0
    assert "runtime 12" in old.verdicts[0].fix


def test_the_compiled_file_computes_the_same(tmp_path):
    """A cut that loses something would be found by the customer."""
    path = put(tmp_path / "m.tflite", float_model())
    arrays = random_inputs(runnable(path))
    done = compile_model(path, tmp_path)
    assert (run(runnable(done.output), arrays)[0] == run(runnable(path), arrays)[0]).all()
