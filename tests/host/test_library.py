"""Where the driver is, what its file tells, and what it says when it is asked."""

import os
from pathlib import Path

from host.looking import VERSION, compiles, linux
from host.trees import header

from atoll.host.libraries import built_for, own_machine
from atoll.host.library import find_library
from atoll.host.library_build import ask_build, read_version
from atoll.native import shared_library


@linux
def test_the_variable_is_taken_before_the_loader(tree, tmp_path):
    """Whoever names a library wants that one, and no other if it is not there."""
    mine = tmp_path / "mine.so"
    mine.write_bytes(header(62))
    tree.write("usr/lib/libedgetpu.so.1", header(62))
    found = find_library(tree.root, {"ATOLL_LIBEDGETPU": str(mine)})
    assert (found.path, found.named) == (mine, True)
    assert find_library(tree.root, {"ATOLL_LIBEDGETPU": str(tmp_path / "none")}) is None
    found = find_library(tree.root, {})
    assert (found.path, found.named) == (tree.root / "usr/lib/libedgetpu.so.1", False)


@linux
def test_a_library_may_be_named_as_the_loader_names_it(tree, tmp_path, monkeypatch):
    """`load_delegate` took "libedgetpu.so.1", and so do people; a path from here is one, too."""
    there = tree.write("usr/lib/libedgetpu.so.1", header(62))
    assert find_library(tree.root, {"ATOLL_LIBEDGETPU": "libedgetpu.so.1"}).path == there
    assert find_library(tree.root, {"ATOLL_LIBEDGETPU": "lib/libedgetpu.so.1"}) is None
    (tmp_path / "mine.so").write_bytes(header(62))
    monkeypatch.chdir(tmp_path)
    # The loader would search its own folders for a name with no folder in it.
    assert find_library(tree.root, {"ATOLL_LIBEDGETPU": "mine.so"}).path == tmp_path / "mine.so"


@linux
def test_condas_own_libraries_are_found(tree, tmp_path):
    """conda's Python loads them from the environment's own folder."""
    library = tmp_path / "lib/libedgetpu.so.1"
    library.parent.mkdir()
    library.write_bytes(header(62))
    assert find_library(tree.root, {"CONDA_PREFIX": str(tmp_path)}).path == library


@linux
def test_the_loaders_folders_are_searched_as_the_loader_does(tree, tmp_path):
    """A library that the loader has would be called missing."""
    assert find_library(tree.root, {}) is None
    tree.write("etc/ld.so.conf", "include /etc/ld.so.conf.d/*.conf\n# a note\n")
    tree.write("etc/ld.so.conf.d/coral.conf", "/opt/coral/lib\n")
    configured = tree.write("opt/coral/lib/libedgetpu.so.1", header(62))
    assert find_library(tree.root, {}).path == configured
    first = tmp_path / "libedgetpu.so.1"
    first.write_bytes(header(62))
    assert find_library(tree.root, {"LD_LIBRARY_PATH": f"/none:{tmp_path}"}).path == first


@linux
def test_a_library_for_another_processor_is_taken_only_where_there_is_no_other(tree):
    """A cross-compiler's copy would be loaded before the right one."""
    own = own_machine()
    foreign = tree.write("usr/local/lib/libedgetpu.so.1", header(40, 32))
    found = find_library(tree.root, {})
    assert (found.path, found.fits, str(found.machine)) == (foreign, False, "arm, 32 bits")
    numbers = {"x86_64": 62, "aarch64": 183, "arm": 40, "x86": 3}
    right = tree.write("usr/lib/libedgetpu.so.1", header(numbers[own.name], own.bits))
    found = find_library(tree.root, {})
    assert (found.path, found.fits) == (right, True)


@linux
def test_the_build_for_the_reduced_clock_is_told_from_the_other(tree):
    """A user would look for the missing speed elsewhere."""
    tree.write("usr/lib/libedgetpu.so.1", header(62) + b"..EdgeTpu is throttled.\0..")
    assert find_library(tree.root, {}).throttled
    tree.write("usr/lib/libedgetpu.so.1", header(62) + b"..some text\0..")
    assert not find_library(tree.root, {}).throttled
    tree.write("usr/lib/libedgetpu.so.1", b"")
    assert not find_library(tree.root, {}).throttled


@linux
def test_libusb_is_looked_for_beside_the_driver_and_in_the_loaders_folders(tree):
    """Its absence is what keeps the driver from loading on a fresh system."""
    tree.write("usr/lib/libedgetpu.so.1", header(62))
    assert find_library(tree.root, {}).libusb is None
    usb = tree.write("lib/libusb-1.0.so.0", header(62))
    assert find_library(tree.root, {}).libusb == usb


@linux
def test_a_file_that_is_no_library_has_no_machine(tmp_path):
    """A text file of that name would be called a library for some processor."""
    for content in (b"", b"\x7fELF", b"!<arch>\n" * 9, b"#!/bin/sh\n" * 9):
        (tmp_path / "x").write_bytes(content)
        assert built_for(tmp_path / "x") is None
    assert built_for(tmp_path / "missing") is None
    assert own_machine() is not None


def test_versions_that_were_published_are_taken_apart():
    """A runtime too old would pass for one that works."""
    build = read_version(VERSION)
    assert (build.runtime, build.date, build.version) == (14, "", VERSION)
    build = read_version(
        "BuildLabel(COMPILER=5.4.0 20160609,DATE=redacted,TIME=redacted,CL_NUMBER=291256449), "
        "RuntimeVersion(13)"
    )
    assert (build.runtime, build.date) == (13, "")
    build = read_version(
        "BuildLabel(COMPILER=MSVC 192528612,DATE=Jul 20 2021,TIME=14:30:22), RuntimeVersion(14)"
    )
    assert (build.runtime, build.date) == (14, "Jul 20 2021")
    assert read_version("BuildLabel(N/A), RuntimeVersion(10)").runtime == 10
    assert read_version("something else").runtime is None


@linux
@compiles
def test_a_library_is_asked_in_a_process_of_its_own(driver):
    """One that crashes when it is loaded would take Atoll with it."""
    build = ask_build(driver())
    assert (build.runtime, build.error) == (14, "")
    crash = "__attribute__((constructor)) static void at_once(void) { abort(); }"
    build = ask_build(driver(more=crash, name="libcrash.so.1"))
    assert (build.version, build.runtime) == ("", None)
    assert "SIGABRT" in build.error


@linux
@compiles
def test_a_library_that_never_answers_is_given_up(driver):
    """Doctor would hang."""
    path = driver(body="sleep(60);", name="libslow.so.1")
    assert ask_build(path, patience_s=0.5).error == "no answer in 0.5 seconds"


@linux
@compiles
def test_the_loaders_own_words_are_kept(tmp_path, monkeypatch):
    """What is missing is in them: a library, a symbol, a newer system."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    text = tmp_path / "text.so"
    text.write_text("no library")
    assert "text.so" in ask_build(text).error
    none = ask_build(Path(os.devnull))
    assert none.error
    assert none.version == ""
    other = tmp_path / "other.c"
    other.write_text("int other(void) { return 1; }")
    assert (
        "undefined symbol: edgetpu_version"
        in ask_build(shared_library(other, "libother.so.1")).error
    )
