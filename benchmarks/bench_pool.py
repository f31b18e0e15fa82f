"""100,000 calls from 8 threads over two simulated devices, one of which is lost in the middle.

First in this process, where the loss is an error that is raised at a planned call; then with each
device in a process of its own, of which one is killed.
"""

import gc
import os
import signal
import sys
import threading
import time
import tracemalloc
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter as LiteRT
from facts import write

from atoll.errors import DeviceLostError
from atoll.pipeline import Pool
from atoll.runtime.driver.child import ChildDevice
from atoll.runtime.driver.options import DriverOptions
from atoll.runtime.interpreter import Interpreter
from atoll.tflite.build import GraphBuilder
from atoll.tflite.writer import write_model

CALLS, THREADS, WARM = 100_000, 8, 8_000
TRACED = 20_000
SHAPE, INPUTS = (1, 8, 8, 3), 512
DEVICES = ("sim:0", "sim:1")
# Calls that one thread has under way.
WINDOW = 4


def model():
    b = GraphBuilder("uint8", seed=3)
    x = b.conv2d(b.input(SHAPE), 8, 3, activation="RELU6")
    return write_model(b.model(b.dense(b.mean(x), 8)))


def expected_answers(content, asked):
    """What LiteRT itself answers, one call after another."""
    litert = LiteRT(model_content=content)
    litert.allocate_tensors()
    given, taken = litert.get_input_details()[0]["index"], litert.get_output_details()[0]["index"]
    answers = []
    for array in asked:
        litert.set_tensor(given, array)
        litert.invoke()
        answers.append(litert.get_tensor(taken))
    return answers


class Losing:
    """A simulated device that is lost after so many calls."""

    def __init__(self, content, after):
        self._inner, self._left = Interpreter(content, "sim", 1), after

    def invoke(self, *arrays):
        self._left -= 1
        if self._left < 0:
            raise DeviceLostError(
                "sim:0", "it must stay there", received="nothing", fix="Plug it in again"
            )
        return self._inner.invoke(*arrays)

    def close(self):
        self._inner.close()


def resident_bytes():
    """The memory that the process has now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


class Tally:
    """What all callers saw."""

    def __init__(self):
        self.lock = threading.Lock()
        self.answered = self.wrong = self.errors = self.out_of_order = 0

    def add(self, answered, wrong, errors, out_of_order):
        with self.lock:
            self.answered += answered
            self.wrong += wrong
            self.errors += errors
            self.out_of_order += out_of_order


def caller(pool, seed, calls, asked, expected, tally):
    """Keeps a few calls under way, and compares each answer with the one that is its own."""
    places = np.random.default_rng(seed).integers(0, len(asked), calls)
    answered = wrong = errors = out_of_order = 0
    last = -1

    def done(number):
        nonlocal last, out_of_order
        out_of_order += number != last + 1
        last = number

    window = []
    for number, place in enumerate(places):
        future = pool.submit(asked[place])
        future.add_done_callback(lambda _, n=number: done(n))
        window.append((place, future))
        if len(window) == WINDOW or number == calls - 1:
            for wanted, waited in window:
                try:
                    (answer,) = waited.result(60)
                except Exception:
                    errors += 1
                    continue
                answered += 1
                wrong += not np.array_equal(answer, expected[wanted])
            window.clear()
    tally.add(answered, wrong, errors, out_of_order)


def run(pool, calls, asked, expected):
    tally = Tally()
    threads = [
        threading.Thread(target=caller, args=(pool, n, calls // THREADS, asked, expected, tally))
        for n in range(THREADS)
    ]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return tally, time.perf_counter() - began


def measured(phase, pool, asked, expected):
    """One row: all calls, and what became of them and of the memory."""
    lost_before = sum(state.losses for state in pool.states())
    gc.collect()
    before = resident_bytes()
    tally, seconds = run(pool, CALLS, asked, expected)
    gc.collect()
    grown = resident_bytes() - before
    return {
        "phase": phase,
        "calls": CALLS,
        "threads": THREADS,
        "devices": len(DEVICES),
        "devices_lost": sum(state.losses for state in pool.states()) - lost_before,
        "answered": tally.answered,
        "wrong": tally.wrong,
        "errors": tally.errors,
        "out_of_order": tally.out_of_order,
        "seconds": round(seconds, 2),
        "us_a_call": round(1e6 * seconds / CALLS, 1),
        "resident_growth_bytes": grown,
    }


def traced_growth(pool, asked, expected):
    """How much more memory Python's allocators hold after many calls, all of it noted."""
    tracemalloc.start()
    run(pool, WARM, asked, expected)
    gc.collect()
    before = tracemalloc.get_traced_memory()[0]
    run(pool, TRACED, asked, expected)
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return grown


def kill_in_the_middle(pool):
    """Kills the first device's process when the pool has answered half of its calls."""
    while sum(state.calls for state in pool.states()) < WARM + CALLS // 2:
        time.sleep(0.01)
    with ChildDevice.shared(DEVICES[0], DriverOptions(threads=1)) as holder:
        os.kill(holder.pid, signal.SIGKILL)


def main():
    content = model()
    rng = np.random.default_rng(0)
    asked = [rng.integers(0, 256, SHAPE, np.uint8) for _ in range(INPUTS)]
    expected = expected_answers(content, asked)
    # The first device has about half of all calls; it is lost when it has answered half of those.
    lives = [(WARM + CALLS // 2) // 2]

    def open_device(name):
        lost_later = name == DEVICES[0] and lives
        return Losing(content, lives.pop()) if lost_later else Interpreter(content, "sim", 1)

    with Pool(content, DEVICES, open_device=open_device) as pool:
        run(pool, WARM, asked, expected)
        rows = [
            measured("one device lost in the middle", pool, asked, expected),
            measured("again, none lost", pool, asked, expected),
        ]
        growth = traced_growth(pool, asked, expected)
    with Pool(content, DEVICES, isolated=True, threads=1) as pool:
        run(pool, WARM, asked, expected)
        killer = threading.Thread(target=kill_in_the_middle, args=(pool,))
        killer.start()
        rows += [
            measured("in processes, one killed in the middle", pool, asked, expected),
            measured("in processes, again, none killed", pool, asked, expected),
        ]
        killer.join()
    write("pool", [row | {"python_growth_bytes_in_20000_calls": growth} for row in rows])
    good = all(row["answered"] == CALLS for row in rows) and not any(
        row[key] for row in rows for key in ("wrong", "errors", "out_of_order")
    )
    sys.exit(0 if good and [row["devices_lost"] for row in rows] == [1, 0, 1, 0] else 1)


if __name__ == "__main__":
    main()
