"""The training framework: loaded late, kept quiet, and the same for the same seed."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from atoll.framework import keras, make_deterministic, tensorflow
from atoll.quiet import quiet


def in_python(program: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env=os.environ | environment,
    )


def open_files() -> int:
    """The lowest free file number: it rises when one leaks."""
    with Path(os.devnull).open() as file:
        return file.fileno()


def test_what_native_code_prints_stays_off_the_terminal():
    """TensorFlow logs through C++, past sys.stderr; a progress bar would be torn to pieces."""
    done = in_python(
        "import os, sys\n"
        "from atoll.quiet import quiet\n"
        "print('before')\n"
        "with quiet():\n"
        "    os.write(1, b'native'); os.write(2, b'native')\n"
        "    print('python'); print('python', file=sys.stderr)\n"
        "print('after'); os.write(2, b'here')"
    )
    assert (done.stdout, done.stderr) == ("before\nafter\n", "here")


def test_what_was_held_back_is_shown_when_it_fails(capfd):
    """The only hint at why a conversion failed may be in the log."""
    with pytest.raises(RuntimeError), quiet():
        os.write(2, b"the reason: \xff\n")
        raise RuntimeError
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("the reason: ")


def test_silence_can_be_nested_and_leaks_no_file(capfd):
    """A long session converts many networks."""
    before = open_files()
    for _ in range(20):
        with quiet(), quiet():
            os.write(1, b"x")
    assert open_files() == before
    assert capfd.readouterr() == ("", "")


def test_the_rooms_that_train_import_without_the_framework():
    """`atoll --help` would take as long as TensorFlow does, and fail where it is not installed."""
    program = (
        "import sys, importlib\n"
        "for name in ('framework', 'train.training', 'train.transfer', 'train.weights',\n"
        "             'train.backbones', 'train.features', 'train.networks.small_convnet',\n"
        "             'quantize.post_training', 'quantize.calibration', 'adapters.classify'):\n"
        "    importlib.import_module('atoll.' + name)\n"
        "print(sorted({'tensorflow', 'keras', 'matplotlib'} & set(sys.modules)))"
    )
    done = in_python(program)
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize(("missing", "call"), [("tensorflow", "tensorflow"), ("keras", "keras")])
def test_a_light_install_is_told_what_to_install(missing, call):
    program = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "import atoll.framework as framework\n"
        "if sys.modules.get('keras', 0) is None: framework.tensorflow = lambda: None\n"
        "from atoll.errors import ExtraError\n"
        f"try: framework.{call}()\n"
        "except ExtraError as error: print(error)"
    )
    done = in_python(program)
    assert "pip install 'atoll[train]'" in done.stdout, done.stderr
    assert missing in done.stdout
    assert done.stderr == ""


@pytest.mark.slow
def test_starting_the_framework_prints_nothing():
    """Its start-up banner and its warnings about drivers are no news to a user."""
    done = in_python(
        "from atoll.framework import keras, tensorflow\n"
        "assert keras().backend.backend() == 'tensorflow'\n"
        "print(float(tensorflow().reduce_sum([1.0, 2.0])))"
    )
    assert (done.stdout, done.stderr, done.returncode) == ("3.0\n", "", 0)


def test_the_same_seed_gives_the_same_network():
    """Two builds with one --seed give the same bytes."""

    def weights(seed):
        make_deterministic(seed)
        dense = keras().layers.Dense(7)
        dense.build((None, 5))
        return np.asarray(dense.kernel), np.asarray(tensorflow().random.uniform((3,)))

    first, again, other = weights(3), weights(3), weights(4)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])
