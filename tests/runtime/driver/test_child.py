"""Devices in a process of their own: right answers from any thread, and none left behind."""

import threading
import time

import numpy as np
import pytest
from compiled_files import compiled
from compiled_files.faults import content_of, part_of, sound
from compiled_files.programs import INT8, Layer
from standins import SIZES, alive, called, expected, gone, kernel_of, right

from atoll import Interpreter
from atoll.errors import DeviceError, DeviceLostError, ModelError
from atoll.runtime.delegate import PythonDelegate
from atoll.runtime.driver.child import ChildDevice
from atoll.runtime.driver.options import DriverOptions
from atoll.runtime.parts import compiled_parts
from atoll.tflite.build import GraphBuilder
from atoll.tflite.writer import write_model


def test_models_share_a_device_and_take_turns(device):
    """Several models on one stick, called one after the other: each gets its own answers."""
    first, second = device("usb:0"), device("usb:0")
    kernels = [kernel_of(holder, *size) for holder in (first, second) for size in SIZES]
    assert first.pid == second.pid
    assert first.pid != device("usb:1").pid
    for seed in range(20):
        for kernel, size in zip(kernels, SIZES * 2, strict=True):
            assert right(kernel, size, seed)


def test_several_inputs_and_outputs_of_several_types(device):
    """Tensors keep their order, types and shapes; the caller's inputs stay as they are."""
    file = sound([Layer("a", 8, INT8), Layer("b", 5)], [Layer("c", 9), Layer("d", 6, INT8)])
    kernel = device().load(part_of(file))
    taken = [np.arange(-4, 4, dtype=np.int8)[None], np.zeros((1, 5), np.uint8)]
    kept = [array.copy() for array in taken]
    for _ in range(3):
        made = [np.zeros((1, 9), np.uint8), np.zeros((1, 6), np.int8)]
        kernel(taken, made)
        assert np.array_equal(made[0][0], expected(taken[0], 9))
        assert np.array_equal(made[1][0].view(np.uint8), expected(taken[0], 6, 1))
        assert all(np.array_equal(one, two) for one, two in zip(taken, kept, strict=True))


def test_litert_runs_a_file_through_it(device):
    """The whole way: LiteRT, our delegate, the child, LiteRT again, the driver."""
    from ai_edge_litert import interpreter

    holder, file = device(), sound()
    delegate = PythonDelegate("edgetpu-custom-op", lambda *_: holder.load(part_of(file)))
    litert = interpreter.Interpreter(
        model_content=content_of(file), experimental_delegates=[delegate]
    )
    litert.allocate_tensors()
    array = np.arange(24, dtype=np.uint8)[None]
    litert.set_tensor(litert.get_input_details()[0]["index"], array)
    litert.invoke()
    out = litert.get_tensor(litert.get_output_details()[0]["index"])
    assert np.array_equal(out[0], expected(array, 10))


def test_threads_get_their_own_answers(device):
    """A server calls one stick from many threads."""
    holder = device()
    kernels = [kernel_of(holder, *size) for size in SIZES]
    wrong = []

    def work(number):
        for seed in range(60):
            kernel, size = kernels[(number + seed) % 3], SIZES[(number + seed) % 3]
            if not right(kernel, size, 100 * number + seed):
                wrong.append((number, seed))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_arrays_that_do_not_fit_are_refused(device):
    """numpy would repeat a smaller array, or cut a number."""
    kernel = kernel_of(device())
    with pytest.raises(ValueError, match="was given for"):
        called(kernel, np.zeros((1, 1), np.uint8), 10)
    with pytest.raises(TypeError):
        called(kernel, np.zeros((1, 24), np.float32), 10)
    with pytest.raises(ValueError, match="argument"):
        called(kernel, np.zeros((1, 24), np.uint8), 10, 10)
    assert right(kernel, SIZES[0])


def test_a_damaged_file_never_reaches_the_driver(device, faulty):
    """The driver runs it, with a wrong answer, or crashes."""
    faulty("abort-create")
    file = sound()
    file.programs[1].token += 1
    holder = device()
    with pytest.raises(ModelError, match=r"compiled part 0: .*token"):
        holder.load(part_of(file))
    assert holder.pid is None


def test_a_driver_is_heard_where_that_is_asked_for(device, faulty, capfd):
    """Whoever looks for a fault wants the driver's own log; nobody else does."""
    faulty("options=0")
    kernel_of(device("usb:0"))
    assert "option device" not in capfd.readouterr().err
    kernel_of(device("usb:1", verbosity=3))
    time.sleep(0.1)
    assert "option device=usb:1" in capfd.readouterr().err


def test_an_lstm_is_refused_on_usb_by_whatever_name(device):
    """The driver refuses it there, and takes it on PCI Express."""
    file = sound()
    file.programs[0].determined = False
    for name in ("usb:0", "edgetpu"):
        with pytest.raises(ModelError, match="PCI Express"):
            device(name).load(part_of(file))


def test_a_file_for_a_newer_driver_says_what_to_install(device, faulty):
    """The driver says it, too, but deep within a longer message."""
    faulty("runtime13")
    with pytest.raises(ModelError, match="version 14 or newer"):
        kernel_of(device())


def test_a_plain_model_runs_in_a_process_of_its_own():
    """Pools of devices are tested with processes that really end."""
    b = GraphBuilder("int8", seed=3)
    x = b.conv2d(b.input((1, 8, 8, 4)), 8, 3)
    graph = b.model(b.conv2d(x, 6, 1))
    main = graph.main
    inputs = [main.tensors[t] for t in main.inputs]
    outputs = [main.tensors[t] for t in main.outputs]
    from ai_edge_litert import interpreter

    litert = interpreter.Interpreter(model_content=write_model(graph), num_threads=1)
    litert.allocate_tensors()
    array = np.random.default_rng(0).integers(-128, 128, (1, 8, 8, 4), np.int8)
    litert.set_tensor(litert.get_input_details()[0]["index"], array)
    litert.invoke()
    wanted = litert.get_tensor(litert.get_output_details()[0]["index"])
    with ChildDevice.shared("sim:1") as one, ChildDevice.shared("sim:2") as two:
        for holder in (one, two):
            kernel = holder.load_model(write_model(graph), inputs, outputs, "net")
            made = [np.zeros_like(wanted)]
            kernel([array], made)
            assert np.array_equal(made[0], wanted)
            assert holder.notes == []
        assert one.pid != two.pid
        with pytest.raises(ModelError, match="must have the tensors"):
            one.load_model(write_model(graph), inputs, inputs, "net")
        (part,) = compiled_parts(compiled(graph), "x")
        with pytest.raises(ModelError, match="LiteRT cannot run"):
            one.load_model(part.content, part.inputs, part.outputs, "net")
        two.kill()
        assert gone(two.pid)
        with pytest.raises(DeviceLostError, match="SIGKILL"):
            kernel([array], made)


def test_files_of_the_current_folder_are_no_modules(device, tmp_path, monkeypatch):
    """A user's numpy.py beside the script must not end the child, or run in it."""
    (tmp_path / "numpy.py").write_text("raise SystemExit(3)")
    monkeypatch.chdir(tmp_path)
    assert right(kernel_of(device()), SIZES[0])


def test_a_device_has_one_driver_with_one_set_of_options(old_driver, new_driver, faulty):
    """Two drivers would find the stick busy, or run it at two clocks."""
    with ChildDevice.shared("usb:0", DriverOptions(library=old_driver)) as holder:
        kernel_of(holder)
        with pytest.raises(DeviceError, match="one driver in a process"):
            ChildDevice.shared("usb:0", DriverOptions(library=new_driver))
        ChildDevice.shared("usb:0", DriverOptions(library=old_driver, timeout_s=1)).close()
    ChildDevice.shared("usb:0", DriverOptions(library=new_driver)).close()


def test_a_device_that_did_not_open_can_be_tried_with_other_options(old_driver, faulty, tmp_path):
    """A notebook: the library was misspelled, and the failed attempt is still in a traceback."""
    with ChildDevice.shared("usb:0", DriverOptions(library=tmp_path / "none.so")) as failed:
        with pytest.raises(DeviceError, match="no such file"):
            kernel_of(failed)
        with ChildDevice.shared("usb:0", DriverOptions(library=old_driver)) as holder:
            assert right(kernel_of(holder), SIZES[0])


def test_an_interpreter_that_fails_leaves_the_device(device, old_driver, faulty, tmp_path):
    """Whoever keeps the exception, as notebooks do, must not keep the stick with it."""
    file = sound()
    file.runtime = 15
    path = tmp_path / "model_edgetpu.tflite"
    path.write_bytes(content_of(file))
    with pytest.raises(ModelError, match="version 15") as kept:
        Interpreter(path, "usb:0", library=old_driver)
    assert kept.traceback
    holder = device()
    assert holder.pid is None
    assert right(kernel_of(holder), SIZES[0])


def test_the_first_device_is_the_one_that_is_open(device):
    """One stick by two names, "edgetpu" and "usb:0": two drivers would fight for it."""
    any_one = device("edgetpu")
    kernel_of(any_one)
    numbered, other = device("usb:0"), device("usb:1")
    kernel_of(other)
    assert numbered.pid == any_one.pid != other.pid
    assert device("edgetpu").pid == any_one.pid
    any_one.close()
    assert alive(numbered.pid)


def test_a_device_can_be_opened_again_while_it_is_given_back(device, faulty):
    """A server that reloads its models: the new ones must wait for the stick, not fail on it."""
    faulty("slow=400")
    first = device()
    kernel = kernel_of(first)
    thread = threading.Thread(target=lambda: right(kernel, SIZES[0]))
    thread.start()
    time.sleep(0.1)
    closing = threading.Thread(target=first.close)
    closing.start()
    time.sleep(0.1)
    began = time.monotonic()
    device("usb:1")  # another device need not wait
    assert time.monotonic() - began < 0.1
    assert right(kernel_of(device()), SIZES[0])
    thread.join()
    closing.join()


@pytest.mark.parametrize("name", ["cpu", "", "usb:x", "usb:-1", "openvino:CPU"])
def test_what_is_no_device_of_a_driver_is_refused(name):
    with pytest.raises(DeviceError, match="usb:N"):
        ChildDevice.shared(name)


def test_a_million_bytes_pass(device):
    """Larger than any buffer of a socket or pipe."""
    kernel = kernel_of(device(), 1 << 20, 1 << 19)
    assert right(kernel, (1 << 20, 1 << 19))
