"""Devices in a process of their own: right answers from any thread, and none left behind."""

import contextlib
import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from compiled_files import compiled
from made_packages import INT8, Layer, content_of, part_of, sound
from standins import alive, expected, gone

from atoll.errors import DeviceError, DeviceLostError, ModelError, UsageError
from atoll.runtime.delegate import PythonDelegate
from atoll.runtime.driver.child import ChildDevice
from atoll.runtime.driver.options import DriverOptions
from atoll.runtime.parts import compiled_parts
from atoll.tflite.build import GraphBuilder
from atoll.tflite.writer import write_model

SIZES = [(24, 10), (100, 1001), (3, 7)]


def called(kernel, array, *counts):
    outputs = [np.zeros((1, count), np.uint8) for count in counts]
    kernel([array], outputs)
    return outputs


def right(kernel, count, seed=0):
    """Whether an answer of the small model is what it must be."""
    array = np.random.default_rng(seed).integers(0, 256, (1, count[0]), np.uint8)
    (out,) = called(kernel, array, count[1])
    return np.array_equal(out[0], expected(array, count[1]))


def kernel_of(device, taken=24, made=10):
    return device.load(part_of(sound([Layer("in", taken)], [Layer("out", made)])))


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
    from ai_edge_litert.interpreter import Interpreter

    holder, file = device(), sound()
    delegate = PythonDelegate("edgetpu-custom-op", lambda *_: holder.load(part_of(file)))
    litert = Interpreter(model_content=content_of(file), experimental_delegates=[delegate])
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
    from ai_edge_litert.interpreter import Interpreter

    litert = Interpreter(model_content=write_model(graph), num_threads=1)
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


def test_a_closed_device_ends_its_process(device, monkeypatch, tmp_path):
    """A stick must be free for the next program, and given back by its driver."""
    closed = tmp_path / "closed"
    monkeypatch.setenv("STANDIN_CLOSED", str(closed))
    first, second = device("usb:0"), device("usb:0")
    kernel = kernel_of(first)
    kernel_of(second)
    pid = first.pid
    first.close()
    first.close()
    assert alive(pid)
    with pytest.raises(UsageError, match="must be open"):
        right(kernel, SIZES[0])
    second.close()
    assert not alive(pid)
    assert closed.read_text() == "closed\n"


def test_a_device_that_nobody_holds_ends_its_process(old_driver, faulty):
    """Whoever forgets to close one keeps the stick only as long as there is a kernel."""
    holder = ChildDevice.shared("usb:0", DriverOptions(library=old_driver))
    kernel = kernel_of(holder)
    pid = holder.pid
    del holder
    gc.collect()
    assert right(kernel, SIZES[0])
    del kernel
    gc.collect()
    assert gone(pid)


def test_a_kernel_that_nobody_holds_is_forgotten(device):
    """A server that loads one model after another must not fill the child's memory."""
    holder = device()
    kernel = kernel_of(holder)
    host = holder._host
    for _ in range(5):
        kernel_of(holder, 100, 10)
        gc.collect()
        assert right(kernel, SIZES[0])
    assert len(host._loaded) == 1


def test_the_child_outlives_the_thread_that_opened_it(device):
    """Linux counts a thread as its parent: a pool's worker thread must not take it along."""
    holder, kernels = device(), []
    thread = threading.Thread(target=lambda: kernels.append(kernel_of(holder)))
    thread.start()
    thread.join()
    time.sleep(0.1)
    assert right(kernels[0], SIZES[0])


PROGRAM = """
    import sys, time
    sys.path[:0] = ["tests", "tests/runtime/driver"]
    from made_packages import part_of, sound
    from atoll.runtime.driver.child import ChildDevice, DriverOptions
    device = ChildDevice.shared("usb:0", DriverOptions(library=sys.argv[1]))
    kernel = device.load(part_of(sound()))
    print(device.pid, flush=True)
    {then}
"""


def program(library, then):
    code = textwrap.dedent(PROGRAM.format(then=then))
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(library)], stdout=subprocess.PIPE, text=True
    )
    return process, int(process.stdout.readline())


def test_the_child_ends_with_a_program_that_is_killed(old_driver, faulty):
    """kill -9 leaves no time to tidy up: no process, and no file in /dev/shm, may stay."""
    before = set(Path("/dev/shm").glob("*"))
    process, pid = program(old_driver, "time.sleep(60)")
    assert alive(pid)
    process.kill()
    process.wait()
    process.stdout.close()
    assert gone(pid)
    assert set(Path("/dev/shm").glob("*")) <= before


def test_the_child_ends_with_its_program_in_the_midst_of_a_call(old_driver, faulty):
    """A driver that waits for ever would otherwise stay for ever."""
    faulty("hang=1")
    import_numpy = "import numpy as np; "
    process, pid = program(
        old_driver,
        import_numpy + "kernel([np.zeros((1, 24), 'u1')], [np.zeros((1, 10), 'u1')])",
    )
    time.sleep(0.2)
    process.kill()
    process.wait()
    process.stdout.close()
    assert gone(pid)


def test_the_child_ends_with_a_program_that_ends(old_driver, faulty):
    """A script without a single close()."""
    process, pid = program(old_driver, "pass")
    assert process.wait(20) == 0
    process.stdout.close()
    assert gone(pid)


def test_no_zombie_is_left_of_a_lost_device(device):
    """Each loss would otherwise take a place in the system's table of processes."""
    holder = device()
    kernel = kernel_of(holder)
    pid = holder.pid
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(DeviceLostError):
        right(kernel, SIZES[0])
    assert not Path(f"/proc/{pid}").exists()


def test_a_fork_has_a_device_of_its_own(device):
    """multiprocessing forks: two processes on one connection would mix up their answers."""
    holder = device()
    kernel = kernel_of(holder)
    assert right(kernel, SIZES[0])
    pid = os.fork()
    if pid == 0:
        status = 1
        with contextlib.suppress(BaseException):
            mine = holder.pid is None and right(kernel, SIZES[0], 1) and holder.pid
            status = 0 if mine else 2
            holder.close()
        os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert right(kernel, SIZES[0], 2)


def test_files_of_the_current_folder_are_no_modules(device, tmp_path, monkeypatch):
    """A user's numpy.py beside the script must not end the child, or run in it."""
    (tmp_path / "numpy.py").write_text("raise SystemExit(3)")
    monkeypatch.chdir(tmp_path)
    assert right(kernel_of(device()), SIZES[0])


def test_a_device_has_one_driver_with_one_set_of_options(old_driver, new_driver, faulty):
    """Two drivers would find the stick busy, or run it at two clocks."""
    with ChildDevice.shared("usb:0", DriverOptions(library=old_driver)):
        with pytest.raises(DeviceError, match="one driver in a process"):
            ChildDevice.shared("usb:0", DriverOptions(library=new_driver))
        ChildDevice.shared("usb:0", DriverOptions(library=old_driver, timeout_s=1)).close()
    ChildDevice.shared("usb:0", DriverOptions(library=new_driver)).close()


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
