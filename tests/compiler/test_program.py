"""Google's compiler as a program: found, run, and ended."""

import os
import subprocess
import time

import pytest
from google_stand_in import program

from atoll.compiler import container
from atoll.compiler import program as backend
from atoll.errors import CompilerError


@pytest.fixture(autouse=True)
def nowhere(tmp_path, monkeypatch):
    """A machine without it."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setattr(backend, "COMMAND", "edgetpu_compiler_of_this_test")
    for variable in (backend.VARIABLE, container.IMAGE_VARIABLE):
        monkeypatch.delenv(variable, raising=False)


def test_it_is_found_by_the_environment_or_the_path(tmp_path, monkeypatch):
    """Whoever has it must need no flag."""
    assert backend.find() is None
    there = program(tmp_path / "bin" / backend.COMMAND, "exit 0\n")
    assert backend.find() == backend.Installed(there)
    other = there.rename(tmp_path / "other")
    monkeypatch.setenv(backend.VARIABLE, str(other))
    assert backend.find() == backend.Installed(other)
    monkeypatch.setenv(backend.VARIABLE, str(tmp_path / "none"))
    with pytest.raises(CompilerError, match=backend.VARIABLE):
        backend.find()


def test_a_relative_name_still_works_in_another_folder(tmp_path, monkeypatch):
    """It is run in a folder of its own, where the name would lead nowhere."""
    program(tmp_path / "mine", "echo found\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(backend.VARIABLE, "./mine")
    (tmp_path / "work").mkdir()
    assert backend.run_once(backend.find(), [], tmp_path / "work", 5).text == "found\n"


@pytest.mark.parametrize("engine", ["docker", "podman"])
def test_a_container_sees_one_folder_and_no_network(tmp_path, monkeypatch, engine):
    """A closed program must not reach the network or other files, nor an image be fetched."""
    monkeypatch.setattr(container, "ENGINES", (engine,))
    monkeypatch.setenv(container.IMAGE_VARIABLE, "coral:16")
    with pytest.raises(CompilerError, match=f"needs {engine}"):
        monkeypatch.setenv("PATH", str(tmp_path / "bin"))
        backend.find()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    # The engine's stand-in does what a container does: it runs in the folder that is mounted.
    script = """#!/bin/sh
echo "$@" > "$(dirname "$0")/said"
while [ "$1" != --volume ]; do shift; done
cd "${2%%:*}" || exit 3
while [ "$1" != --entrypoint ]; do shift; done
shift 3
echo "here: $(ls)"; echo "arguments: $*"
"""
    path = tmp_path / "bin" / engine
    path.write_text(script)
    path.chmod(0o755)
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "m.tflite").write_text("model")
    run = backend.run_once(backend.find(), ["-o", "out", "m.tflite"], tmp_path / "work", 5)
    assert run.text == "here: m.tflite\narguments: -o out m.tflite\n"
    said = (tmp_path / "bin" / "said").read_text()
    assert "--network none" in said
    assert "--pull never" in said
    assert f"--volume {tmp_path / 'work'}:/work:Z" in said
    assert said.split().index("coral:16") == said.split().index(backend.COMMAND) + 1
    assert ("--user" in said) == (engine == "docker")


def test_a_compiler_that_hangs_is_ended_with_its_child(tmp_path, monkeypatch):
    """It works in a child process, which would go on, and keep the pipe open, for ever."""
    monkeypatch.setattr(backend, "_GRACE_S", 0.5)
    path = program(tmp_path / "hangs", "echo begun\nsleep 600 & echo $! > child; wait\n")
    start = time.monotonic()
    run = backend.run_once(backend.Installed(path), [], tmp_path, 0)
    assert run.timed_out
    assert time.monotonic() - start < 10
    child = int((tmp_path / "child").read_text())
    for _ in range(50):
        state = subprocess.run(
            ["ps", "-o", "stat=", "-p", str(child)], capture_output=True, text=True, check=False
        ).stdout.strip()
        if not state or state.startswith("Z"):
            break
        time.sleep(0.1)
    else:
        os.kill(child, 9)
        pytest.fail("the compiler's child process still runs")


def test_a_container_that_hangs_is_ended_by_its_name(tmp_path, monkeypatch):
    """Ending the engine's client leaves the container running."""
    monkeypatch.setattr(backend, "_GRACE_S", 0.5)
    path = tmp_path / "bin" / "docker"
    path.write_text('#!/bin/sh\n[ "$1" = kill ] && echo "$2" > killed && exit\nsleep 600\n')
    path.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    there = container.Container(path, "coral:16", "edgetpu_compiler")
    assert backend.run_once(there, [], tmp_path, 0).timed_out
    assert (tmp_path / "killed").read_text().strip() == there.name


def test_a_compiler_that_cannot_be_started_is_named(tmp_path):
    """A file for another machine is the usual cause."""
    path = tmp_path / "edgetpu_compiler"
    path.write_text("not a program")
    with pytest.raises(CompilerError, match="cannot be started"):
        backend.run_once(backend.Installed(path), [], tmp_path, 5)
