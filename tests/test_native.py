"""C that is compiled on demand: once, by whatever compiler there is, or refused in one line."""

import ctypes
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from atoll import native
from atoll.errors import CompilerError, OutputError
from atoll.native import shared_library

SOURCE = """
#include "answer.h"
__attribute__((visibility("default"))) int answer(void);
int answer(void) { return ANSWER; }
"""


@pytest.fixture
def source(tmp_path, monkeypatch) -> Path:
    """A C file that includes a header beside it, and a cache of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("CC", raising=False)
    folder = tmp_path / "a folder with spaces"
    folder.mkdir()
    (folder / "answer.h").write_text("#define ANSWER 42\n")
    (folder / "answer.c").write_text(SOURCE)
    return folder / "answer.c"


@pytest.fixture
def counting(source, tmp_path, monkeypatch):
    """The real compiler, behind a script that notes each time it is called."""
    script, notes = tmp_path / "counting-cc", tmp_path / "notes"
    script.write_text(f'#!/bin/sh\necho called >> {notes}\nexec cc "$@"\n')
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("CC", str(script))
    return lambda: len(notes.read_text().splitlines()) if notes.exists() else 0


def answer(library: Path) -> int:
    return ctypes.CDLL(str(library)).answer()


def test_a_library_is_compiled_once_and_can_be_called(source, counting, tmp_path):
    """Every start of the runtime would wait for a compiler otherwise."""
    library = shared_library(source, "libanswer.so.1", libraries=("pthread",))
    assert answer(library) == 42
    assert library.name == "libanswer.so.1"
    assert shared_library(source, "libanswer.so.1", libraries=("pthread",)) == library
    assert counting() == 1
    # It is alone in its folder, which may be searched for libraries; nothing else is left over.
    assert [path.name for path in library.parent.iterdir()] == ["libanswer.so.1"]
    assert list(native.cache_folder().iterdir()) == [library.parent]
    assert native.cache_folder() == tmp_path / "cache" / "atoll" / "native"


def test_what_goes_in_decides_what_comes_out(source, counting, monkeypatch):
    """An update of Atoll, or of the compiler, must not leave the old library in use."""
    first = shared_library(source, "libanswer.so")
    (source.parent / "answer.h").write_text("#define ANSWER 43\n")
    second = shared_library(source, "libanswer.so")
    assert (answer(first), answer(second)) == (42, 43)
    other = shared_library(source, "libanswer.so", flags=("-DSOMETHING=1",))
    (source.parent / "answer.h").write_text("#define ANSWER 42\n")
    assert shared_library(source, "libanswer.so") == first
    monkeypatch.setenv("CC", "cc")
    by_another = shared_library(source, "libanswer.so")
    assert len({first, second, other, by_another}) == 4
    assert counting() == 3


def test_headers_may_lie_in_other_folders(source, tmp_path):
    """Two libraries of one interface share its header; a change of it must reach both."""
    other = tmp_path / "include"
    other.mkdir()
    (source.parent / "answer.h").rename(other / "answer.h")
    first = shared_library(source, "libanswer.so", include=(other,))
    (other / "answer.h").write_text("#define ANSWER 44\n")
    second = shared_library(source, "libanswer.so", include=(other,))
    assert (answer(first), answer(second)) == (42, 44)


def test_the_name_of_the_library_is_in_it(source):
    """A driver that needs libusb-1.0.so.0 takes a loaded library of that SONAME."""
    library = shared_library([source], "libusb-1.0.so.0")
    assert library.read_bytes().count(b"libusb-1.0.so.0\0") >= 1


def test_many_processes_may_ask_at_once(source):
    """Two cameras start at the same time on a machine where nothing is compiled yet."""
    code = "import sys; from pathlib import Path; from atoll.native import shared_library\n" + (
        "print(shared_library(Path(sys.argv[1]), 'libanswer.so'))"
    )
    command = [sys.executable, "-c", code, str(source)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(6)]
    found = {process.communicate()[0].strip() for process in running}
    assert {process.returncode for process in running} == {0}
    assert len(found) == 1
    assert answer(Path(found.pop())) == 42
    assert len(list(native.cache_folder().iterdir())) == 1


def test_no_compiler_is_one_line_that_says_what_to_install(source, monkeypatch):
    """Slim containers have none."""
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(native.importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(CompilerError, match="pip install ziglang") as caught:
        shared_library(source, "libanswer.so")
    assert len(str(caught.value).splitlines()) == 1


def test_a_compiler_that_does_not_exist_is_named(source, monkeypatch):
    """A typing error in CC."""
    monkeypatch.setenv("CC", "no-such-compiler -m64")
    with pytest.raises(CompilerError, match="no-such-compiler"):
        shared_library(source, "libanswer.so")


def test_what_the_compiler_says_is_told(source):
    """Without its words nobody could mend what it refuses; and nothing half-made stays."""
    source.write_text("int answer(void) { return missing_thing; }\n")
    with pytest.raises(CompilerError, match="missing_thing") as caught:
        shared_library(source, "libanswer.so")
    assert len(str(caught.value).splitlines()) == 1
    assert not list(native.cache_folder().rglob("*.so"))
    assert not list(native.cache_folder().glob("part-*"))


def test_a_cache_that_cannot_be_written_to_is_one_line(source, tmp_path, monkeypatch):
    """A service's user often has no home."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(OutputError, match="XDG_CACHE_HOME"):
        shared_library(source, "libanswer.so")


def test_without_a_setting_the_cache_is_in_the_home_folder(tmp_path, monkeypatch):
    """Where the standard for such folders puts it; a relative setting counts for nothing."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for setting in ("", "relative/path"):
        monkeypatch.setenv("XDG_CACHE_HOME", setting)
        assert native.cache_folder() == tmp_path / ".cache" / "atoll" / "native"


@pytest.mark.skipif(
    native.importlib.util.find_spec("ziglang") is None and "ATOLL_ZIG" not in os.environ,
    reason="the pip package ziglang is not installed (or named, as its folder, in ATOLL_ZIG)",
)
def test_the_pip_package_ziglang_will_do(source, monkeypatch):
    """Who may not install gcc can still use pip."""
    monkeypatch.setattr(native, "_COMPILERS", ())
    if folder := os.environ.get("ATOLL_ZIG"):
        monkeypatch.syspath_prepend(folder)
        monkeypatch.setenv("PYTHONPATH", folder)
    assert answer(shared_library(source, "libanswer.so", libraries=("pthread",))) == 42


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch):
    """A container's user by number: a folder "~" would be made wherever the program runs."""
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(native.os.path, "expanduser", lambda path: path)
    with pytest.raises(OutputError, match="XDG_CACHE_HOME"):
        native.cache_folder()
