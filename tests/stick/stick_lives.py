"""Lives of programs with sticks: opened twice, left open, forked, in threads, and the like.

Run as `stick_lives.py LIFE DRIVER COMPILED TWIN`. Prints a line of JSON a call, as the client does.
With SHIMMED in the environment the driver is one for an older LiteRT, such as the published one.
"""

import ctypes
import json
import os
import subprocess
import sys
import threading

import numpy as np
from ai_edge_litert.interpreter import Interpreter, load_delegate
from stick_client import feed, options_of, outputs

from atoll.runtime.driver.direct import direct_delegate
from atoll.runtime.driver.options import DriverOptions

RNG = np.random.default_rng(0)


def opened(driver, device="usb:0"):
    """A delegate of a stick."""
    extra = options_of(device)
    name = extra.pop("device")
    if "SHIMMED" in os.environ:
        return direct_delegate(name, DriverOptions(library=driver, extra=extra))
    return load_delegate(driver, {"device": name} | extra)


class Model:
    """A compiled model on a stick, beside its twin."""

    def __init__(self, delegate, compiled, twin):
        self._chip = Interpreter(compiled, experimental_delegates=[delegate])
        self._twin = Interpreter(twin)
        for each in (self._chip, self._twin):
            each.allocate_tensors()

    def call(self, times=1):
        """Calls both, and prints whether they agree."""
        for _ in range(times):
            feed([self._chip, self._twin], RNG)
            self._chip.invoke()
            self._twin.invoke()
            ours, theirs = outputs(self._chip), outputs(self._twin)
            equal = all(np.array_equal(ours[name], theirs[name]) for name in theirs)
            # At once, as threads do it too.
            sys.stdout.write(json.dumps({"equal": equal}) + "\n")
            sys.stdout.flush()


def once(driver, pair):
    """Opens a stick, calls a model, and gives the stick back."""
    delegate = opened(driver, os.environ.get("DEVICE", "usb:0"))
    model = Model(delegate, *pair)
    model.call()
    del model, delegate


def opened_again(driver, pair):
    """A program that gives the stick back after each piece of work."""
    for _ in range(3):
        once(driver, pair)


def delegates_of_one_stick(driver, pair):
    """Two delegates share a stick; it is closed with the last."""
    first, second = (opened(driver) for _ in range(2))
    models = [Model(each, *pair) for each in (first, second)]
    for model in (*models, *models):
        model.call()
    del models[0], model, first
    models[0].call(2)


def two_sticks(driver, pair):
    """In turn, in one process."""
    delegates = [opened(driver, f"usb:{k}") for k in range(2)]
    models = [Model(each, *pair) for each in delegates]
    for _ in range(2):
        for model in models:
            model.call()


def many_interpreters(driver, pair):
    """One stick that stays open, and a model that is opened for each photo."""
    delegate = opened(driver)
    for _ in range(4):
        Model(delegate, *pair).call()


def threads(driver, pair):
    """Each with its own model, on one stick."""
    delegate = opened(driver)
    models = [Model(delegate, *pair) for _ in range(3)]
    workers = [threading.Thread(target=model.call, args=(4,)) for model in models]
    for each in workers:
        each.start()
    for each in workers:
        each.join()


def left_open(driver, pair):
    """Ends with the stick open, as most scripts do."""
    library = ctypes.CDLL(driver)
    create = library.tflite_plugin_create_delegate
    create.restype = ctypes.c_void_p
    once(driver, pair)
    assert create(None, None, ctypes.c_size_t(0), None)


def forked(driver, pair):
    """A child that does something else, one that ends, and one program that is started."""
    delegate = opened(driver)
    model = Model(delegate, *pair)
    model.call()
    for _ in range(2):
        child = os.fork()
        if child == 0:
            os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        model.call()
    subprocess.run(["true"], check=True)
    model.call()


def opened_in_a_fork(driver, pair):
    """What the parent knows of sticks is nothing to its child."""
    once(driver, pair)
    child = os.fork()
    if child == 0:
        once(driver, pair)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


if __name__ == "__main__":
    life, library, *files = sys.argv[1:]
    globals()[life](library, files)
    print(json.dumps({"closed": True}), flush=True)
