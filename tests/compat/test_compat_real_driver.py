"""On a driver: the same programs, on what stands for a stick."""

import gc
from pathlib import Path

import numpy as np
import pytest
from coral_models import CLASSES, SIDE
from stand_in_drivers import echo_driver

from atoll.compat.edgetpu.basic.basic_engine import BasicEngine
from atoll.compat.edgetpu.basic.edgetpu_utils import GetRuntimeVersion
from atoll.compat.hardware import DEVICE_VARIABLE
from atoll.compat.pycoral.utils import edgetpu
from atoll.compat.tflite_runtime.interpreter import Interpreter, load_delegate
from atoll.host.usb import UsbStick
from atoll.runtime.driver.hosts import _HOSTS

ROW = np.random.default_rng(6).integers(0, 256, SIDE * SIDE * 3).astype(np.uint8)
# What the stand-in computes of it.
ANSWER = ROW[:CLASSES] ^ 17


@pytest.fixture
def driver(monkeypatch):
    """A stand-in for libedgetpu, two sticks, and what goes wrong in the driver."""
    sticks = [
        UsbStick(index, "ready", 1, index, f"1-{index}", 5000, None, "", Path("/dev/x"), True, True,
                 True, Path(f"/sys/bus/usb/devices/1-{index}"))
        for index in (0, 1)
    ]  # fmt: skip
    monkeypatch.setattr("atoll.host.found.found_devices", lambda *_root: sticks)
    monkeypatch.setenv("ATOLL_LIBEDGETPU", str(echo_driver("old")))
    monkeypatch.setenv(DEVICE_VARIABLE, "auto")

    def set_fault(text):
        monkeypatch.setenv("STANDIN", f"{text},")

    set_fault("")
    return set_fault


@pytest.mark.parametrize("device", ["usb:1", "usb", ":0", None])
def test_a_program_runs_on_the_chip(driver, compiled, device):
    """Where there is one, that is what it is for; no twin is asked for."""
    alone = edgetpu.make_interpreter(Path(compiled).read_bytes(), device)
    alone.allocate_tensors()
    edgetpu.run_inference(alone, ROW)
    index = alone.get_output_details()[0]["index"]
    assert np.array_equal(alone.get_tensor(index)[0], ANSWER)


def test_a_driver_may_be_named_by_its_path_with_its_options(
    driver, compiled, monkeypatch, tmp_path
):
    """Programs bring their own libedgetpu, and ask for a lower clock where it gets hot."""
    monkeypatch.setenv("ATOLL_LIBEDGETPU", "/no/such.so")
    path = tmp_path / "libedgetpu.so.1"
    path.write_bytes(echo_driver("old").read_bytes())
    options = {"device": "usb:1", "Performance": "Low"}
    delegate = load_delegate(str(path), options)
    asked = _HOSTS["usb:1"].options
    assert (asked.library, dict(asked.extra)) == (str(path), {"Performance": "Low"})
    model = Interpreter(str(compiled), experimental_delegates=[delegate])
    model.allocate_tensors()
    edgetpu.run_inference(model, ROW)
    assert np.array_equal(model.get_tensor(model.get_output_details()[0]["index"])[0], ANSWER)


def test_the_old_engines_run_on_it_too(driver, compiled):
    """Two engines, a stick each."""
    engines = [BasicEngine(compiled) for _ in range(2)]
    assert [e.device_path()[-3:] for e in engines] == ["1-0", "1-1"]
    for engine in engines:
        _, result = engine.run_inference(ROW)
        assert np.array_equal(result, ANSWER.astype(np.float32) / 256)


def test_the_driver_is_asked_for_its_version(driver):
    """Programs print it, and compare."""
    driver("runtime13")
    assert edgetpu.get_runtime_version() == GetRuntimeVersion()
    assert edgetpu.get_runtime_version().endswith("RuntimeVersion(13)")


@pytest.mark.parametrize("fault", ["none", "busy", "abort-create"])
def test_a_stick_that_cannot_be_opened_fails_when_the_driver_is_loaded(driver, fault):
    """That is where programs fall back to the processor."""
    gc.collect()
    driver(fault)
    words = r"^Failed to load delegate from libedgetpu\.so\.1\n.+"
    with pytest.raises(ValueError, match=words):
        edgetpu.load_edgetpu_delegate({"device": "usb:0"})


def test_without_a_driver_it_is_pythons_own_error(driver, monkeypatch):
    """As ever: the library is not there."""
    monkeypatch.setenv("ATOLL_LIBEDGETPU", "/nowhere/libedgetpu.so.1")
    with pytest.raises(OSError, match=r"^libedgetpu\.so\.1: cannot open shared object file"):
        edgetpu.load_edgetpu_delegate()


def test_a_stick_that_is_pulled_is_an_error_and_no_end_of_the_program(driver, compiled):
    """The original took the program with it."""
    gc.collect()
    driver("abort=3")
    interpreter = edgetpu.make_interpreter(compiled)
    interpreter.allocate_tensors()
    edgetpu.run_inference(interpreter, ROW)
    with pytest.raises(RuntimeError, match="usb:0: "):
        for _ in range(3):
            edgetpu.run_inference(interpreter, ROW)
