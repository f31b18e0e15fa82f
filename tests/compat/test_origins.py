"""Models that a program has in memory find what they were made of."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from compiled_files import compiled as compile_as_google
from compiled_files import write_pair
from coral_models import classifier

from atoll.compat import origins
from atoll.compat.pycoral.utils.edgetpu import make_interpreter
from atoll.tflite.graph import Model
from atoll.tflite.reader import read_model
from atoll.tflite.writer import write_model


def works(interpreter):
    interpreter.allocate_tensors()
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"]).shape == (1, 10)


def test_bytes_of_a_file_that_was_read_find_its_twin(compiled):
    """`make_interpreter(open(path, "rb").read())` is in many programs."""
    content = Path(compiled).read_bytes()
    with pytest.raises(RuntimeError, match="no twin"):
        make_interpreter(content)
    origins.saw(compiled)
    assert works(make_interpreter(content))


def test_a_model_made_of_a_compiled_one_finds_the_same_twin(compiled, tmp_path):
    """A retrained classifier holds the compiled part of the file that it was made of."""
    model = read_model(Path(compiled).read_bytes())
    changed = write_model(Model(model.subgraphs, description="retrained"))
    elsewhere = tmp_path / "retrained_edgetpu.tflite"
    elsewhere.write_bytes(changed)
    assert changed != Path(compiled).read_bytes()
    assert works(make_interpreter(compiled))
    assert works(make_interpreter(changed))
    assert works(make_interpreter(str(elsewhere)))


def test_a_twin_can_be_named(compiled, plain, tmp_path, monkeypatch):
    """Where it lies elsewhere; of several, the one that is proven to be it."""
    alone = tmp_path / "alone_edgetpu.tflite"
    shutil.copy(compiled, alone)
    other = tmp_path / "other.tflite"
    other.write_bytes(write_model(classifier(seed=9)))
    monkeypatch.setenv(origins.TWIN_VARIABLE, f"{other}:{plain}")
    assert works(make_interpreter(str(alone)))
    monkeypatch.setenv(origins.TWIN_VARIABLE, str(other))
    with pytest.raises(RuntimeError, match=r"other\.tflite: it must be the model that"):
        make_interpreter(str(alone))


def test_the_twin_beside_a_file_comes_before_all_others(tmp_path, plain, monkeypatch):
    """A name that was given once for one model must not reach another."""
    path = write_pair(tmp_path, classifier(seed=3), "third")
    monkeypatch.setenv(origins.TWIN_VARIABLE, plain)
    assert works(make_interpreter(str(path)))


def test_only_so_many_files_are_remembered(tmp_path, monkeypatch):
    """A program that opens files for weeks must not grow; files may be gone, or none."""
    monkeypatch.setattr(origins, "_MOST_SEEN", 3)
    (tmp_path / "junk.tflite").write_bytes(b"junk")
    for number in range(9):
        origins.saw(tmp_path / f"{number}.tflite")
    origins.saw(tmp_path / "junk.tflite")
    assert len(origins._seen) == 3
    model = compile_as_google(classifier())
    assert origins.twin_candidates(model, None, {}) == [None]


def test_files_that_the_program_opens_are_noticed(compiled, monkeypatch):
    """Under `atoll compat`, whatever reads them."""
    origins._on_event("open", (compiled, "r", 0))
    origins._on_event("open", (compiled.encode(), None, 0))
    origins._on_event("open", ("/etc/hosts", "r", 0))
    origins._on_event("open", (3, "r", 0))
    origins._on_event("import", ("x.tflite",))
    assert list(origins._seen) == [compiled]
    assert np.all([works(make_interpreter(Path(compiled).read_bytes()))])
