"""The doctor on the driver: what the loader says of it, turned into a cure."""

import pytest
from host.looking import compiles, cure, linux, look, one
from host.trees import header

from atoll.host.checks.driver import load_failure
from atoll.host.findings import State
from atoll.host.host import Host
from atoll.host.library import find_library

JUNE_2020 = (
    "BuildLabel(COMPILER=5.4.0 20160609,DATE=redacted,TIME=redacted,CL_NUMBER=291256449), "
    "RuntimeVersion(13)"
)
NEW = "BuildLabel(COMPILER=15.1.0,DATE=Feb 22 2027,TIME=09:51:57), RuntimeVersion(15)"


@linux
@compiles
@pytest.mark.parametrize(
    ("version", "state", "words"),
    [
        (None, State.OK, "Atoll corrects"),
        (JUNE_2020, State.PROBLEM, "104 bytes"),
        ("BuildLabel(N/A), RuntimeVersion(10)", State.PROBLEM, "104 bytes"),
        (NEW, State.WARNING, "newer than any"),
        ("nothing that is known", State.WARNING, "no runtime's number"),
    ],
)
def test_the_drivers_version_is_weighed(tree, driver, version, state, words):
    """A runtime too old fails with garbage, and a new one may."""
    path = driver(**({} if version is None else {"version": version}))
    environ = {"ATOLL_LIBEDGETPU": str(path)}
    assert one(tree, "driver-loads", environ=environ).state is State.OK
    finding = one(tree, "driver-version", environ=environ)
    assert finding.state is state
    assert words in finding.evidence


@linux
@compiles
def test_a_driver_that_crashes_does_not_take_the_doctor_along(tree, driver):
    """The very fault that is looked for would end the command."""
    path = driver(
        more="__attribute__((constructor)) static void at_once(void) { abort(); }",
        name="libcrash.so.1",
    )
    finding = one(tree, "driver-loads", environ={"ATOLL_LIBEDGETPU": str(path)})
    assert finding.state is State.PROBLEM
    assert "SIGABRT" in finding.evidence


@linux
@pytest.mark.parametrize(
    ("error", "words", "order"),
    [
        (
            "libusb-1.0.so.0: cannot open shared object file: No such file or directory",
            "it needs libusb-1.0.so.0",
            "apt install libusb-1.0-0",
        ),
        (
            "libflatbuffers.so.2: cannot open shared object file: No such file or directory",
            "it needs libflatbuffers.so.2",
            "the package that brings libflatbuffers.so.2",
        ),
        (
            "/lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.38' not found (required by x)",
            "it needs GLIBC_2.38",
            "update the system",
        ),
        (
            "/usr/lib/libedgetpu.so.1: undefined symbol: edgetpu_version",
            "older than runtime 13",
            "libedgetpu1-std",
        ),
        ("the process ended with SIGSEGV when it was loaded", "SIGSEGV", "libedgetpu1-std"),
    ],
)
def test_what_the_loader_says_is_told_with_its_cure(tree, error, words, order):
    """`cannot open shared object file` is said of the driver and of what it needs alike."""
    tree.write("usr/lib/libedgetpu.so.1", header(62))
    host = Host(tree.root, {})
    finding = load_failure(host, find_library(tree.root, {}), error)
    assert finding.state is State.PROBLEM
    assert words in finding.evidence
    assert order in cure(finding)


@linux
def test_a_driver_for_another_processor_is_told(tree):
    """The loader calls it a wrong ELF class."""
    tree.write("usr/lib/libedgetpu.so.1", header(40, 32))
    finding = one(tree, "driver-machine")
    assert finding.state is State.PROBLEM
    assert "arm, 32 bits" in finding.evidence


@linux
def test_several_drivers_are_told(tree, tmp_path):
    """Programs would use another than Atoll, and behave otherwise."""
    tree.write("usr/local/lib/libedgetpu.so.1", header(62) + b"one")
    finding_path = tree.write("usr/lib/libedgetpu.so.1", header(62) + b"two")
    finding = one(tree, "driver-others")
    assert finding.state is State.WARNING
    assert str(finding_path) in finding.evidence
    finding_path.write_bytes(header(62) + b"one")
    assert look(tree, "driver-others") == []


@linux
@compiles
def test_the_clock_is_told(tree, driver):
    """An owner with the build of the full clock should know of the heat."""
    finding = one(tree, "driver-clock", environ={"ATOLL_LIBEDGETPU": str(driver())})
    assert "libedgetpu1-max" in finding.evidence
