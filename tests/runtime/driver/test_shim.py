"""The adapter between an older driver and today's LiteRT: no stack is taken for data."""

import ctypes as c
import gc
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from compiled_files.faults import content_of, sound
from compiled_files.programs import INT8, Layer
from standins import expected

from atoll.errors import DeviceError
from atoll.runtime import litert_structs as lite
from atoll.runtime.driver.direct import direct_delegate
from atoll.runtime.driver.options import DriverOptions
from atoll.runtime.driver.shim import Passed, widened

POISON = 0xA5A5A5A5A5A5A5A5


def opened(content, *delegates):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content, experimental_delegates=list(delegates))
    interpreter.allocate_tensors()
    return interpreter


def call(interpreter, array):
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], array)
    interpreter.invoke()
    details = interpreter.get_output_details()
    return [interpreter.get_tensor(detail["index"]).ravel().view(np.uint8) for detail in details]


def passed(**known):
    """A registration with poison in all that is not known."""
    registration = Passed()
    c.memset(c.addressof(registration), 0xA5, c.sizeof(registration))
    for field in ("init", "free", "prepare", "invoke", "profiling_string"):
        setattr(registration, field, known.get(field, 0))
    for field, value in known.items():
        setattr(registration, field, value)
    return registration


def tail(registration):
    return [
        getattr(registration, name) or 0
        for name in ("registration_external", "async_kernel", "inplace_operator")
    ]


def test_what_lies_behind_an_old_registration_is_zero():
    """LiteRT would call what it finds there."""
    wide = widened(passed(init=1, free=2, prepare=3, invoke=4, version=7))
    assert tail(wide) == [0, 0, 0]
    assert [c.cast(wide.prepare, c.c_void_p).value, wide.free, wide.version] == [3, 2, 7]
    assert bytes(wide.room) == bytes(40)


def test_a_registration_of_the_new_form_alone_keeps_it():
    """An operator without functions of its own is nothing without the member behind the 64th."""
    wide = widened(passed(registration_external=0x1234, version=1))
    assert tail(wide) == [0x1234, 0, 0]


def test_the_poison_is_deadly_without_the_adapter(old_driver, new_driver, tmp_path):
    """Were it not, none of these tests would prove anything."""
    model = tmp_path / "model.tflite"
    model.write_bytes(content_of(sound()))
    code = """
        import sys
        from ai_edge_litert.interpreter import Interpreter, load_delegate
        delegate = load_delegate(sys.argv[1])
        it = Interpreter(sys.argv[2], experimental_delegates=[delegate])
        it.allocate_tensors()
        it.invoke()
        print("it lives")
    """

    def run(library):
        command = [sys.executable, "-c", textwrap.dedent(code), str(library), str(model)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    assert run(new_driver).stdout == "it lives\n"
    old = run(old_driver)
    assert (old.stdout, old.returncode < 0) == ("", True)


@pytest.mark.parametrize("which", ["old_driver", "new_driver"])
def test_old_and_new_drivers_compute_the_same(which, request, faulty):
    """A driver of either age must give its own numbers, with poison on its stack or none."""
    file = sound([Layer("in", 24), Layer("more", 3)], [Layer("a", 10), Layer("b", 33)])
    library = request.getfixturevalue(which)
    delegate = direct_delegate("usb:1", DriverOptions(library=library))
    assert delegate.device == "usb:1"
    interpreters = [opened(content_of(file), delegate) for _ in range(3)]
    rng = np.random.default_rng(0)
    for interpreter in interpreters * 20:
        array = rng.integers(0, 256, (1, 24), dtype=np.uint8)
        for k, out in enumerate(call(interpreter, array)):
            assert np.array_equal(out, expected(array, out.size, k))
    assert delegate.failure() is None


def test_int8_inputs_are_set_before_every_call(old_driver, faulty):
    """The driver turns them into uint8 where they stand: a second call would see other numbers."""
    file = sound([Layer("in", 8, INT8)], [Layer("out", 8)])
    interpreter = opened(
        content_of(file), direct_delegate("edgetpu", DriverOptions(library=old_driver))
    )
    array = np.arange(-4, 4, dtype=np.int8)[None]
    for _ in range(3):
        (out,) = call(interpreter, array)
        assert np.array_equal(out, expected(array, 8))
    index = interpreter.get_input_details()[0]["index"]
    assert not np.array_equal(interpreter.get_tensor(index), array)


def test_a_driver_outlives_the_models_that_use_it(old_driver, faulty, monkeypatch, tmp_path):
    """Ended before them, it ends the process; never ended, it keeps the stick."""
    closed = tmp_path / "closed"
    monkeypatch.setenv("STANDIN_CLOSED", str(closed))
    delegate = direct_delegate("usb:0", DriverOptions(library=old_driver))
    first, second = (opened(content_of(sound()), delegate) for _ in range(2))
    delegate.close()
    delegate.close()
    assert not delegate.closed
    array = np.ones((1, 24), np.uint8)
    assert np.array_equal(call(first, array)[0], expected(array, 10))
    del first
    assert not closed.exists()
    del second
    assert delegate.closed
    assert closed.read_text() == "closed\n"
    with pytest.raises(RuntimeError):
        opened(content_of(sound()), delegate)


def test_a_delegate_that_nobody_holds_gives_its_device_back(
    old_driver, faulty, monkeypatch, tmp_path
):
    """Who forgets to close it must not find the stick busy."""
    closed = tmp_path / "closed"
    monkeypatch.setenv("STANDIN_CLOSED", str(closed))
    interpreter = opened(
        content_of(sound()), direct_delegate("usb:0", DriverOptions(library=old_driver))
    )
    gc.collect()
    assert not closed.exists()
    del interpreter
    gc.collect()
    assert closed.exists()


def test_a_refusal_of_the_driver_is_told_without_litert(old_driver, faulty):
    """In this process too: the driver's own words, and an old build by its name."""
    delegate = direct_delegate("usb:0", DriverOptions(library=old_driver))
    for fault, message in (("refuse", "Failed precondition: no such thing"), ("june", "too old")):
        faulty(fault)
        with pytest.raises(RuntimeError) as caught:
            opened(content_of(sound()), delegate)
        text = str(delegate.refusal("x.tflite", str(caught.value)))
        assert message in text
        assert "Node number" not in text


def test_an_error_in_the_adapter_reaches_the_caller(old_driver, faulty, monkeypatch):
    """LiteRT alone says only that something failed."""
    delegate = direct_delegate("usb:0", DriverOptions(library=old_driver))
    monkeypatch.setattr("atoll.runtime.driver.shim.widened", lambda _: 1 / 0)
    with pytest.raises(RuntimeError):
        opened(content_of(sound()), delegate)
    assert "ZeroDivisionError" in str(delegate.failure())
    assert delegate.failure() is None


def test_a_litert_with_other_structures_is_refused(old_driver, faulty, monkeypatch):
    """A guess at the layout of somebody's memory ends in a crash."""
    monkeypatch.setitem(lite.SIZES, "TfLiteTensor", (112, 120))
    with pytest.raises(DeviceError, match="112 bytes, where 120"):
        direct_delegate("usb:0", DriverOptions(library=old_driver))
