"""What `atoll compile` does: a file, a log, and the truth about both."""

import shutil

import ai_edge_litert.schema_py_generated as schema
import pytest
from litert_files import random_inputs, run, runnable

from atoll.compiler.google import VARIABLE
from atoll.compiler.job import compile_model
from atoll.compiler.oplog import count_operators, parse_table
from atoll.edgetpu.simfile import SIM_OP, compile_for_sim
from atoll.edgetpu.verdict import MAPPED
from atoll.errors import CompilerError, ModelError, OutputError, UsageError
from atoll.tflite.graph import Model, Operator, Subgraph, Tensor
from atoll.tflite.reader import read_model
from atoll.tflite.writer import write_model


@pytest.fixture(autouse=True)
def no_google(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr("atoll.compiler.google.COMMAND", "no-such-compiler")


def float_model() -> Model:
    tensors = [Tensor("in", "FLOAT32", (1, 4)), Tensor("out", "FLOAT32", (1, 4))]
    relu = Operator("RELU", [0], [1])
    return Model([Subgraph("main", tensors, [relu], [0], [1])])


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
    text = done.log.read_text()
    assert "Input: movenet_single_pose_lightning_ptq.tflite" in text
    assert parse_table(text) == count_operators(done.verdicts)
    assert sum(row.count for row in parse_table(text)) == 157


def test_compiling_again_gives_the_same_bytes(shared, tmp_path):
    """Builds must be reproducible."""
    path = shared / "models/v13/deeplabv3_mnv2_dm05_pascal_quant.tflite"
    one, two = (compile_model(path, tmp_path / name) for name in "ab")
    assert one.output.read_bytes() == two.output.read_bytes()
    assert one.log.read_text() == two.log.read_text()


def test_a_model_with_nothing_mapped_is_written_and_said_so(tmp_path):
    """Google's compiler does the same: the user must see the 0."""
    path = tmp_path / "float.tflite"
    path.write_bytes(write_model(float_model()))
    done = compile_model(path, tmp_path)
    assert (done.ops_tpu, done.ops_cpu, done.subgraphs) == (0, 1, 0)
    arrays = random_inputs(runnable(path))
    assert (run(runnable(done.output), arrays)[0] == run(runnable(path), arrays)[0]).all()


def test_a_file_that_is_compiled_already_is_refused(shared, tmp_path):
    """Giving the compiled file again is an easy mistake."""
    compiled = shared / "models/v16/dense_256_edgetpu.tflite"
    with pytest.raises(CompilerError, match="compiled already"):
        compile_model(compiled, tmp_path)
    done = compile_model(shared / "models/v16/dense_256.tflite", tmp_path)
    with pytest.raises(CompilerError, match="compiled already"):
        compile_model(done.output, tmp_path)


def test_bad_places_and_settings_are_one_line(shared, tmp_path):
    """Each must name what to change."""
    path = shared / "models/v16/dense_256.tflite"
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError):
        compile_model(path, tmp_path / "file")
    with pytest.raises(UsageError, match="auto, google or sim"):
        compile_model(path, tmp_path, backend="other")
    with pytest.raises(UsageError, match="10 to 14"):
        compile_model(path, tmp_path, min_runtime=15)
    with pytest.raises(CompilerError, match=VARIABLE):
        compile_model(path, tmp_path, backend="google")
    with pytest.raises(ModelError):
        compile_model(tmp_path / "file", tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file"]


def test_the_oldest_runtime_decides_what_maps(shared):
    """Compiled for an old runtime, what only a new one knows must stay on the CPU."""
    model = read_model(shared / "models/v16/looming_64x64_3x3.tflite")
    kinds = [op.custom_name or op.type for op in compile_for_sim(model).main.operators]
    assert kinds == [SIM_OP]
    old = compile_for_sim(model, min_runtime=11)
    kinds = [op.custom_name or op.type for op in old.main.operators]
    assert kinds == ["QUANTIZE", SIM_OP, "QUANTIZE"]


def test_googles_compiler_is_preferred_and_believed(shared, tmp_path, monkeypatch):
    """Where it is found it makes the file; the verdicts must be about what it did.

    In its place stands a program that gives out the file that it really made of this model, as it
    is published.
    """
    source = shared / "models/v13/movenet_single_pose_lightning_ptq.tflite"
    real = source.with_name(f"{source.stem}_edgetpu.tflite")
    program = tmp_path / "compiler"
    program.write_text(f'#!/bin/sh\ncp "{real}" "$3/{real.name}"\nchmod u+w "$3/{real.name}"\n')
    program.chmod(0o755)
    monkeypatch.setenv(VARIABLE, str(program))
    done = compile_model(source, tmp_path / "out")
    assert done.backend == "google"
    assert done.output.name == real.name
    assert (done.ops_total, done.ops_tpu, done.ops_cpu, done.subgraphs) == (157, 98, 59, 1)
    assert done.report is not None
    assert done.log.is_file()


def test_where_google_maps_less_the_verdicts_say_so(shared, tmp_path, monkeypatch):
    """Our table may promise what Google's compiler then refuses: the file tells."""
    source = shared / "models/v13/split_concat.tflite"
    program = tmp_path / "compiler"
    program.write_text('#!/bin/sh\ncp "$8" "$3/split_concat_edgetpu.tflite"\n')
    program.chmod(0o755)
    monkeypatch.setenv(VARIABLE, str(program))
    model = tmp_path / source.name
    shutil.copyfile(source, model)
    done = compile_model(model, tmp_path)
    assert (done.ops_tpu, done.ops_cpu, done.subgraphs) == (0, 3, 0)
    assert all(v.target == "cpu" and v.status != MAPPED and v.reason for v in done.verdicts)


def test_the_schema_is_the_one_that_litert_ships():
    """The version that is written is the only one that LiteRT reads."""
    assert schema.Model.GetRootAs(write_model(float_model()), 0).Version() == 3
