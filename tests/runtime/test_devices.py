"""Devices are named alike everywhere, and what one cannot run is said in one line."""

import threading

import numpy as np
import pytest
from compiled_files import write_pair

from atoll import Interpreter
from atoll.errors import AtollError, DeviceError, UsageError
from atoll.runtime import devices
from atoll.runtime.device_names import parse_device
from atoll.tflite.build import GraphBuilder
from atoll.tflite.writer import write_model


def network():
    b = GraphBuilder("int8", seed=1)
    x = b.conv2d(b.input((1, 8, 8, 3)), 8, 3)
    return b.model(b.softmax(b.dense(b.mean(x), 10)))


@pytest.mark.parametrize("name", ["cpu", "sim", "sim:3", "edgetpu", "usb:0", "pci:11", "auto"])
def test_names_are_taken_apart_and_put_together(name):
    """The same name must mean the same device in every command."""
    assert str(parse_device(name)) == name


@pytest.mark.parametrize(
    "name", ["", "tpu", "usb", "usb:", "usb:x", "usb:-1", "cpu:0", "sim:", "openvino", "pci:1e9"]
)
def test_what_is_no_name_is_refused(name):
    """A slip of the keyboard would run the model elsewhere."""
    with pytest.raises(DeviceError, match="the devices are cpu, sim"):
        parse_device(name)


def test_no_name_at_all_is_refused_in_the_same_words():
    """None is what argparse gives for a flag that was left out."""
    with pytest.raises(DeviceError, match="Received: None"):
        Interpreter(write_model(network()), device=None)


@pytest.mark.parametrize("device", ["edgetpu", "usb:0", "pci:0"])
def test_a_plain_model_does_not_run_on_a_chip(device):
    """LiteRT would run all of it on the processor, and nobody would notice."""
    with pytest.raises(DeviceError, match="runs what Google's compiler has compiled"):
        Interpreter(write_model(network()), device)


@pytest.mark.parametrize("device", ["cpu", "openvino:CPU"])
def test_a_compiled_file_does_not_run_on_the_processor(tmp_path, device):
    """'Unresolved custom op' tells nobody what to do."""
    path = write_pair(tmp_path, network())
    with pytest.raises(DeviceError, match="with edgetpu-custom-op does not run on"):
        Interpreter(path, device)


def test_auto_goes_by_the_file_and_by_what_is_plugged_in(tmp_path, monkeypatch):
    """A stick that is there must be used; one that is not must not be asked for."""
    path = write_pair(tmp_path, network())
    monkeypatch.setattr(devices, "edgetpu_found", lambda: False)
    with Interpreter(path) as sim:
        assert sim.device == "sim"
    with Interpreter(tmp_path / "net.tflite") as cpu:
        assert cpu.device == "cpu"
    monkeypatch.setattr(devices, "edgetpu_found", lambda: True)
    with pytest.raises(AtollError):
        Interpreter(path, library=tmp_path / "no-such-library.so")


def test_openvino_agrees_with_litert():
    """The comparison with Intel's devices would compare two networks."""
    pytest.importorskip("openvino")
    content = write_model(network())
    with Interpreter(content, "openvino:CPU") as intel, Interpreter(content, "cpu") as cpu:
        assert intel.inputs == cpu.inputs
        assert intel.outputs == cpu.outputs
        rng = np.random.default_rng(0)
        for _ in range(3):
            array = rng.integers(-128, 128, (1, 8, 8, 3)).astype(np.int8)
            (one,), (two,) = intel.invoke(array), cpu.invoke(array)
            # OpenVINO computes between the roundings of TFLite's 8-bit kernels.
            assert np.abs(one.astype(int) - two).max() <= 3
            kept = one.copy()
            intel.invoke(-array)
            assert np.array_equal(one, kept)


@pytest.mark.parametrize(
    ("which", "message"),
    [
        ("MYRIAD", "left the Neural Compute Stick 2 after version 2022.3"),
        ("GPU.7", "not find"),
    ],
)
def test_devices_that_openvino_lacks_are_told(which, message):
    """People who own a Neural Compute Stick must not search for their own mistake."""
    pytest.importorskip("openvino")
    with pytest.raises(DeviceError, match=message):
        Interpreter(write_model(network()), f"openvino:{which}")


@pytest.mark.parametrize(
    "wrong", [{"fallback": "gpu"}, {"timeout_s": 0}, {"threads": 0}, {"timeout_s": float("nan")}]
)
def test_arguments_without_a_meaning_are_refused(wrong):
    """They would be taken for the usual."""
    with pytest.raises(UsageError):
        Interpreter(write_model(network()), **wrong)


def test_only_the_simulator_predicts_its_time(tmp_path):
    """A prediction beside a clock would be taken for a measurement."""
    path = write_pair(tmp_path, network())
    with Interpreter(path, "sim") as sim, Interpreter(tmp_path / "net.tflite", "sim") as plain:
        assert 0 < sim.latency_ms < 10
        assert sim.latency_ms == plain.latency_ms
    with Interpreter(tmp_path / "net.tflite", "cpu") as cpu:
        assert cpu.latency_ms is None


def test_threads_that_call_one_interpreter_get_their_own_answers():
    """LiteRT itself mixes them up: inputs are set and outputs fetched in separate calls."""
    interpreter = Interpreter(write_model(network()), "sim", threads=1)
    rng = np.random.default_rng(0)
    arrays = [rng.integers(-128, 128, (1, 8, 8, 3)).astype(np.int8) for _ in range(8)]
    wanted = [interpreter.invoke(array)[0] for array in arrays]
    wrong = []

    def call(k):
        for _ in range(100):
            if not np.array_equal(interpreter.invoke(arrays[k])[0], wanted[k]):
                wrong.append(k)

    threads = [threading.Thread(target=call, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
