"""The one way to call a model: the same answers on every device, and clear errors."""

import ai_edge_litert.schema_py_generated as schema
import numpy as np
import pytest
from litert_files import random_inputs, run, runnable, source_files

from atoll import Interpreter
from atoll.compiler.job import compile_model
from atoll.edgetpu.simfile import SIM_OP
from atoll.errors import DeviceError, ModelError, UsageError
from atoll.runtime.devices import DEVICES
from atoll.runtime.interpreter import TensorInfo
from atoll.tflite.graph import Model, Operator, Subgraph, Tensor
from atoll.tflite.reader import read_model
from atoll.tflite.writer import write_model


@pytest.fixture
def small(shared):
    return shared / "models/v10/mobilenet_v1_0.25_128_quant.tflite"


def arrays_for(interpreter, seed=0):
    rng = np.random.default_rng(seed)
    return [
        rng.integers(0, 256, info.shape).astype(np.uint8).view(info.dtype)
        for info in interpreter.inputs
    ]


def test_every_model_gives_the_same_bytes_on_cpu_and_simulator(shared):
    """Cutting a model in two must not change what it computes."""
    ran = []
    for path in source_files(shared):
        try:
            cpu = Interpreter(path, device="cpu")
        except ModelError as error:
            assert "unresolved custom op" in str(error)
            continue
        with Interpreter(path, device="sim") as sim:
            for seed in range(2):
                arrays = arrays_for(cpu, seed)
                for one, two in zip(cpu.invoke(*arrays), sim.invoke(*arrays), strict=True):
                    assert np.array_equal(one, two), path.name
            assert sim.inputs == cpu.inputs
            assert sim.outputs == cpu.outputs
        ran.append(path.name)
    assert len(ran) >= 18


def test_the_cpu_gives_what_litert_gives(small):
    """Nothing of ours may stand between a model and its numbers."""
    litert = runnable(small)
    arrays = random_inputs(litert)
    with Interpreter(small) as interpreter:
        assert interpreter.device == "cpu"
        assert interpreter.inputs == [
            TensorInfo("input", (1, 128, 128, 3), np.dtype("uint8"), 0.0078125, 128)
        ]
        (ours,) = interpreter.invoke(*arrays)
        (theirs,) = run(litert, arrays)
        assert np.array_equal(ours, theirs)
        # An output is the caller's own, and the next call leaves it alone.
        kept = ours.copy()
        interpreter.invoke(255 - arrays[0])
        assert np.array_equal(ours, kept)


def test_a_state_lives_from_call_to_call_on_both_devices(shared):
    """An LSTM that forgets, or remembers too much, gives other words."""
    path = shared / "models/v13/keras_lstm_mnist_ptq.tflite"
    with Interpreter(path, "cpu") as cpu, Interpreter(path, "sim") as sim:
        for seed in range(5):
            arrays = arrays_for(cpu, seed)
            assert np.array_equal(cpu.invoke(*arrays)[0], sim.invoke(*arrays)[0])


def test_a_compiled_file_runs_on_the_simulator_by_itself(small, tmp_path):
    """What `atoll compile` wrote is what runs."""
    compiled = compile_model(small, tmp_path, backend="sim").output
    with Interpreter(compiled) as interpreter, Interpreter(small) as plain:
        assert interpreter.device == "sim"
        arrays = arrays_for(plain)
        assert np.array_equal(interpreter.invoke(*arrays)[0], plain.invoke(*arrays)[0])
    with Interpreter(compiled.read_bytes(), "sim", threads=2) as interpreter:
        assert interpreter.invoke(*arrays)[0].shape == (1, 1001)
    with pytest.raises(DeviceError, match="does not run on cpu"):
        Interpreter(compiled, "cpu")


def test_models_that_xnnpack_gives_up_still_run(shared):
    """An old DeepLab cannot be opened with LiteRT's defaults."""
    path = shared / "models/v10/deeplabv3_mnv2_dm05_pascal_quant.tflite"
    with Interpreter(path) as interpreter:
        (classes,) = interpreter.invoke(*arrays_for(interpreter))
    assert classes.shape == (1, 513, 513)


@pytest.mark.parametrize("name", ["tpu", "usb", "openvino", "", "CPU"])
def test_a_device_that_is_not_there_is_said_with_those_that_are(small, name):
    """A typing error, or a device of a later version."""
    with pytest.raises(DeviceError) as caught:
        Interpreter(small, name)
    assert all(device.split(":")[0] in str(caught.value) for device in (*DEVICES, "auto"))


def test_models_that_litert_cannot_run_are_one_line(shared):
    """LiteRT's own messages span several lines, and name no file."""
    path = shared / "models/v13/model_invoking_error.tflite"
    for device in ("cpu", "sim"):
        with pytest.raises(ModelError, match="fake-op-double") as caught:
            Interpreter(path, device)
        assert "\n" not in str(caught.value)
        assert str(path) in str(caught.value)


def test_inputs_that_do_not_fit_are_named(small):
    """A wrong type or shape is the most common mistake of all."""
    right = np.zeros((1, 128, 128, 3), np.uint8)
    with Interpreter(small) as interpreter:
        for wrong in (right.astype(np.float32), right[0], right.view(np.int8)):
            with pytest.raises(
                UsageError, match=r"'input' takes uint8 of shape \[1, 128, 128, 3\]"
            ):
                interpreter.invoke(wrong)
        with pytest.raises(UsageError, match="Received: a list"):
            interpreter.invoke(right.tolist())
        with pytest.raises(UsageError, match="1 input"):
            interpreter.invoke()
        interpreter.invoke(right)
    with pytest.raises(UsageError, match="must be open"):
        interpreter.invoke(right)
    with pytest.raises(UsageError, match="at least 1"):
        Interpreter(small, threads=0)


def sim_file(payload: bytes) -> bytes:
    tensors = [Tensor("in", "UINT8", (1, 4)), Tensor("out", "UINT8", (1, 4))]
    op = Operator("CUSTOM", [0], [1], custom_name=SIM_OP, custom_options=payload)
    return write_model(Model([Subgraph("main", tensors, [op], [0], [1])]))


def copying(shape=(1, 4)) -> bytes:
    tensors = [Tensor("in", "UINT8", shape), Tensor("out", "UINT8", shape)]
    reshape = Operator("RESHAPE", [0], [1], options=schema.ReshapeOptionsT(np.int32(shape)))
    return write_model(Model([Subgraph("main", tensors, [reshape], [0], [1])]))


def test_damaged_payloads_do_no_harm():
    """A file for the simulator holds a file: both may be damaged, or not fit each other."""
    array = np.uint8([[1, 2, 3, 4]])
    with Interpreter(sim_file(copying())) as interpreter:
        assert np.array_equal(interpreter.invoke(array)[0], array)
    for payload in (b"", b"nonsense", copying()[:99], sim_file(copying())):
        with pytest.raises(ModelError):
            Interpreter(sim_file(payload))
    with (
        Interpreter(sim_file(copying((1, 1)))) as interpreter,
        pytest.raises(DeviceError, match="kernel failed") as caught,
    ):
        interpreter.invoke(array)
    assert "\n" not in str(caught.value)


def test_a_file_that_litert_refuses_is_refused_by_the_simulator_too(shared):
    """Compiling writes a file anew, and sound by form: it must not launder a broken one."""
    data = bytearray((shared / "models/v13/keras_lstm_mnist_ptq.tflite").read_bytes())
    refused = 0
    for place in range(5000, 13_000, 40):
        broken = bytes(data[:place] + bytes(4) + data[place + 4 :])
        try:
            read_model(broken)
        except ModelError:
            continue
        try:
            Interpreter(broken, "cpu").close()
        except ModelError:
            with pytest.raises(ModelError):
                Interpreter(broken, "sim")
            refused += 1
    assert refused > 3
