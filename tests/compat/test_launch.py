"""`atoll compat`: a program runs as with python, and finds the old libraries."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from cli_runner import ATOLL, atoll, refused

from atoll.cli.compat import own_options
from atoll.compat.aliasing import FOLDER


@pytest.fixture
def program(tmp_path):
    """Writes a program into a folder of its own, and gives its path."""

    def write(text, name="program.py"):
        path = tmp_path / "programs" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path

    return write


@pytest.fixture
def elsewhere(tmp_path):
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    return folder


def run(*words, **kwargs):
    """What a program printed, after it ended well."""
    process = atoll("compat", *words, **kwargs)
    assert process.returncode == 0, process.stderr
    return process.stdout


def with_python(*words, **kwargs):
    command = [sys.executable, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **kwargs)


SELF = """
    import __main__, json, sys
    print(json.dumps([
        __name__, __file__, sys.argv, sys.path[0], repr(__spec__), __main__.__file__,
        sorted(name for name in globals() if not name.startswith("__")),
    ]))
"""


@pytest.mark.smoke
def test_a_program_is_what_it_is_with_python(program, elsewhere):
    """Its arguments, its own help among them, its name, its place, and what it finds beside it."""
    path = program(SELF)
    words = [path, "--help", "--device", "x", "-m", "--"]
    assert run(*words, cwd=elsewhere) == with_python(*words, cwd=elsewhere).stdout
    (elsewhere / "link.py").symlink_to(path)
    words = ["./link.py", "a b"]
    assert run(*words, cwd=elsewhere) == with_python(*words, cwd=elsewhere).stdout


def test_its_folder_and_the_current_one_are_on_its_path(program, elsewhere):
    """Tests of the originals import what lies in the current folder."""
    path = program("import beside, here, os; print(beside.x, here.x, os.environ.get('VARIABLE'))")
    program("x = 1", "beside.py")
    (elsewhere / "here.py").write_text("x = 2")
    (elsewhere / "more").mkdir()
    environment = {**os.environ, "PYTHONPATH": str(elsewhere / "more"), "VARIABLE": "kept"}
    assert run(path, cwd=elsewhere, env=environment) == "1 2 kept\n"
    listed = "import sys; print(sys.path[1:4])"
    found = run("-c", listed, cwd=elsewhere, env=environment)
    assert found == f"{[str(FOLDER), str(elsewhere), str(elsewhere / 'more')]}\n"


def test_its_end_is_its_own(program, elsewhere):
    """Status and traceback: nothing of ours in between."""
    path = program("import sys; sys.exit(int(sys.argv[1]))")
    assert [atoll("compat", path, n).returncode for n in (0, 2, 77)] == [0, 2, 77]
    path = program("def f():\n    1 / 0\nf()")
    ours, theirs = atoll("compat", path), with_python(path)
    assert (ours.returncode, ours.stderr) == (1, theirs.stderr)
    module = ("-m", "program", "x")
    ours, theirs = atoll("compat", *module, cwd=path.parent), with_python(*module, cwd=path.parent)
    assert (ours.returncode, theirs.returncode) == (1, 1)
    assert ours.stderr.splitlines()[-6:] == theirs.stderr.splitlines()[-6:]
    assert "atoll" not in ours.stderr


@pytest.mark.skipif(not hasattr(signal, "SIGTERM") or os.name == "nt", reason="signals are Unix's")
def test_a_signal_reaches_the_program_itself(program):
    """A service manager stops what it started, and nothing may be left behind."""
    path = program("import os, time; print(os.getpid(), flush=True); time.sleep(60)")
    with subprocess.Popen([ATOLL, "compat", path], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == f"{process.pid}\n"
        process.terminate()
        assert process.wait(20) == -signal.SIGTERM


LIBRARIES = """
    import sys
    import edgetpu, pycoral, tflite_runtime
    import numpy as np
    import pycoral.adapters.detect
    import pycoral.pipeline.pipelined_model_runner as pipeline
    import tflite_runtime.interpreter as tflite
    from edgetpu.basic import edgetpu_utils
    from edgetpu.classification.engine import ClassificationEngine
    from edgetpu.detection.engine import DetectionEngine
    from edgetpu.utils import dataset_utils, image_processing
    from PIL import Image
    from pycoral.adapters import classify, common
    from pycoral.utils.edgetpu import list_edge_tpus, make_interpreter

    import atoll.compat.pycoral.adapters.detect as real
    assert pycoral.adapters.detect is real
    assert pycoral.adapters.detect.BBox(0, 0, 2, 2).area == 4
    try:
        import pycoral.nothing
    except ModuleNotFoundError as error:
        assert str(error) == "No module named 'pycoral.nothing'"
    interpreter = make_interpreter(sys.argv[1])
    interpreter.allocate_tensors()
    photo = Image.new("RGB", (99, 9)).resize(common.input_size(interpreter), Image.ANTIALIAS)
    common.set_input(interpreter, photo)
    interpreter.invoke()
    (best,) = classify.get_classes(interpreter, 1)
    engine = ClassificationEngine(sys.argv[1])
    assert engine.ClassifyWithImage(photo, 0, 1)[0][0] == best.id
    engine = ClassificationEngine(sys.argv[1])
    # Bytes alone, of a file that the program has read.
    assert make_interpreter(open(sys.argv[1], "rb").read())
    assert np.float(1) == 1.0
    print(len(list_edge_tpus()), pycoral.__version__, edgetpu.__version__)
"""


@pytest.mark.smoke
def test_the_old_libraries_are_there(program, compiled, monkeypatch):
    """All three, in one program, with what Pillow and numpy have dropped since."""
    monkeypatch.delenv("ATOLL_COMPAT_TOLD")
    process = atoll("compat", "--device", "sim", "--count=3", program(LIBRARIES), compiled)
    assert process.returncode == 0, process.stderr
    assert process.stdout == "3 2.0.0 2.14.0\n"
    assert process.stderr.count("the simulator stands for the Edge TPU") == 1


CHILDREN = """
    import multiprocessing, subprocess, sys

    CODE = "from tflite_runtime.interpreter import *; print(load_delegate('edgetpu.dll') is None)"

    def child(number):
        from pycoral.utils.edgetpu import list_edge_tpus
        return number + len(list_edge_tpus())

    if __name__ == "__main__":
        for method in multiprocessing.get_all_start_methods():
            with multiprocessing.get_context(method).Pool(1) as pool:
                print(method, pool.map(child, [10, 20]))
        print(subprocess.check_output([sys.executable, "-c", CODE], text=True))
"""


def test_what_a_program_starts_has_them_too(program, monkeypatch):
    """Frigate runs its detectors in processes of their own."""
    monkeypatch.delenv("ATOLL_COMPAT_TOLD")
    process = atoll("compat", "--device", "sim", program(CHILDREN))
    assert process.returncode == 0, process.stderr
    told = process.stdout.split()
    assert process.stderr.count("the simulator stands for the Edge TPU") == 1
    assert told.count("[14,") == told.count("24]") == len(told) // 3
    assert told[-1] == "False"


ORIGINAL_TEST = """
    import unittest
    from pycoral.utils import edgetpu
    from edgetpu.basic import edgetpu_utils

    class OriginalTest(unittest.TestCase):
        def test_devices(self):
            self.assertEqual(len(edgetpu.list_edge_tpus()), 4)
            self.assertEqual(len(edgetpu_utils.ListEdgeTpuPaths(0)), 4)
"""


@pytest.fixture
def checkout(tmp_path):
    """A folder with the originals' own sources, whose native part is not there, and a test."""
    folder = tmp_path / "checkout"
    for name, marker in (("pycoral", "utils/edgetpu.py"), ("edgetpu", "basic/basic_engine.py")):
        path = folder / name / marker
        path.parent.mkdir(parents=True)
        path.write_text("import native_part")
        (folder / name / "__init__.py").write_text("import native_part")
    (folder / "tests").mkdir()
    (folder / "tests/__init__.py").touch()
    (folder / "tests/old_test.py").write_text(textwrap.dedent(ORIGINAL_TEST))
    return folder


@pytest.mark.parametrize(
    "words",
    [
        ["-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/old_test.py"],
        ["-m", "unittest", "tests.old_test"],
        ["-m", "unittest", "discover", "-s", "tests", "-t", ".", "-p", "*_test.py"],
    ],
    ids=["pytest", "unittest", "discover"],
)
def test_the_originals_tests_run_in_a_checkout_of_them(checkout, words):
    """Its own sources lie in the current folder, and cannot be imported."""
    process = atoll("compat", *words, cwd=checkout)
    assert process.returncode == 0, process.stdout + process.stderr
    assert "1 passed" in process.stdout or "Ran 1 test" in process.stderr


def test_a_module_of_the_users_own_stays_it(program):
    """Many programs have a file edgetpu.py."""
    path = program("import edgetpu; print(edgetpu.mine)")
    program("mine = 5", "edgetpu.py")
    assert run(path) == "5\n"
    assert run("-m", "program", cwd=path.parent) == "5\n"


def test_words_after_the_script_are_none_of_ours():
    """Ours end where the script begins, or the module, or the code."""
    script = ["s.py", "--device", "usb:0", "--help"]
    for ours in (
        [],
        ["--device", "sim"],
        ["--device=sim", "--count", "2", "--twin", "a.tflite", "--twin=b.tflite"],
        ["-h"],
        ["--unknown"],
    ):
        for rest in (script, ["-m", "pytest", "-q"], ["-c", "1", "--count"], ["-"], ["--", "x"]):
            assert own_options([*ours, *rest]) == len(ours)
    assert own_options(["--device"]) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nothing.py"], "nothing.py: it must be a Python program"),
        (["-m"], "-m: the module follows it"),
        (["-c"], "-c: the code follows it"),
        (["--device", "cpu", "-c", "1"], "Received: cpu"),
        (["--count", "0", "-c", "1"], "1 to 8"),
        (["--twin", "nothing.tflite", "-c", "1"], "no file nothing.tflite"),
    ],
)
def test_what_cannot_be_run_is_one_line(words, said):
    """And nothing was started."""
    assert said in refused(atoll("compat", *words))


def test_the_help_is_shown_where_nothing_is_asked_for():
    """And with --help before the script, not behind it."""
    for words in ([], ["--help"], ["--device", "sim", "-h"]):
        process = atoll("compat", *words)
        assert "Run a program written for pycoral" in process.stdout + process.stderr
    unknown = atoll("compat", "--fast", Path(__file__))
    assert unknown.returncode == 2
    assert "--fast" in unknown.stderr
