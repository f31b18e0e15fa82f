"""The life of a child: it ends with its last holder, or with its program, however that ends."""

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

import pytest
from compiled_files.faults import content_of, sound
from standins import SIZES, alive, gone, kernel_of, right

from atoll.errors import DeviceLostError, UsageError
from atoll.runtime.driver.child import ChildDevice
from atoll.runtime.driver.options import DriverOptions


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
    from atoll.runtime.driver.child import ChildDevice, DriverOptions
    from atoll.runtime.parts import compiled_parts
    from atoll.tflite.reader import read_model
    (part,) = compiled_parts(read_model(sys.argv[2]), "model")
    device = ChildDevice.shared("usb:0", DriverOptions(library=sys.argv[1]))
    kernel = device.load(part)
    print(device.pid, flush=True)
    {then}
"""


@pytest.fixture
def program(old_driver, faulty, tmp_path):
    """Starts a program that has a model on a device, and tells its child's process too."""
    model = tmp_path / "model.tflite"
    model.write_bytes(content_of(sound()))

    def start(then):
        code = textwrap.dedent(PROGRAM.format(then=then))
        command = [sys.executable, "-c", code, str(old_driver), str(model)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        return process, int(process.stdout.readline())

    return start


def test_the_child_ends_with_a_program_that_is_killed(program):
    """kill -9 leaves no time to tidy up: no process, and no file in /dev/shm, may stay."""
    before = set(Path("/dev/shm").glob("*"))
    process, pid = program("time.sleep(60)")
    assert alive(pid)
    process.kill()
    process.wait()
    process.stdout.close()
    assert gone(pid)
    assert set(Path("/dev/shm").glob("*")) <= before


def test_the_child_ends_with_its_program_in_the_midst_of_a_call(program, faulty):
    """A driver that waits for ever would otherwise stay for ever."""
    faulty("hang=1")
    import_numpy = "import numpy as np; "
    process, pid = program(
        import_numpy + "kernel([np.zeros((1, 24), 'u1')], [np.zeros((1, 10), 'u1')])"
    )
    time.sleep(0.2)
    process.kill()
    process.wait()
    process.stdout.close()
    assert gone(pid)


def test_the_child_ends_with_a_program_that_ends(program):
    """A script without a single close()."""
    process, pid = program("pass")
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


def in_a_fork(action) -> int:
    """Does something in a fork of this process. Gives its id; it ends with 0 where that is true."""
    pid = os.fork()
    if pid == 0:
        status = 1
        with contextlib.suppress(BaseException):
            status = 0 if action() else 2
        os._exit(status)
    return pid


def ended(pid, within_s=20.0):
    """The status of a fork; None where it does not end in time."""
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None


def test_a_fork_does_not_share_its_parents_tensors(device):
    """Both would write into one memory: now and then each would get the other's answer."""
    holder = device()
    kernel = kernel_of(holder)
    assert right(kernel, SIZES[0])
    theirs = kernel._hosted.taken[0]
    theirs[...] = 77

    def other():
        return right(kernel, SIZES[0], 5) and (theirs == 77).all()

    assert ended(in_a_fork(other)) == 0
    assert (theirs == 77).all()
    assert right(kernel, SIZES[0], 6)


def test_a_fork_in_the_midst_of_calls_goes_on(device):
    """A server with threads that forks: the locks that they held would be held for ever."""
    holder = device()
    kernel = kernel_of(holder)
    stop = threading.Event()

    def work():
        while not stop.is_set():
            right(kernel, SIZES[0])

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        forks = [in_a_fork(lambda: right(kernel, SIZES[0], 9)) for _ in range(4)]
        assert [ended(fork) for fork in forks] == [0] * 4
    finally:
        stop.set()
        for thread in threads:
            thread.join()
