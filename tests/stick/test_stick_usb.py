"""The stand-in libusb, seen by others than the driver."""

import json
import re
import socket
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from stand_in_drivers import compiling

from atoll.native import shared_library
from atoll.stick import plugged
from atoll.stick.plugged import SOURCES, libraries
from atoll.stick.wire import FromBrain, ResetWhy, Speed, Status, ToBrain, UsbError

# What the published libedgetpu imports, each with libusb_ before it.
IMPORTED = [
    "init",
    "exit",
    "get_device_list",
    "free_device_list",
    "get_bus_number",
    "get_port_number",
    "get_port_numbers",
    "get_device_speed",
    "get_device_descriptor",
    "open",
    "get_device",
    "close",
    "set_configuration",
    "claim_interface",
    "release_interface",
    "reset_device",
    "control_transfer",
    "alloc_transfer",
    "free_transfer",
    "submit_transfer",
    "cancel_transfer",
    "handle_events",
    "bulk_transfer",
    "interrupt_transfer",
]


@pytest.fixture(scope="module")
def library():
    with compiling():
        return libraries(fast=True)[0]


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_the_c_code_compiles_without_a_warning(compiler, monkeypatch):
    """A warning of today is an error of the next compiler."""
    from shutil import which

    if which(compiler) is None:
        pytest.skip(f"no {compiler}")
    monkeypatch.setenv("CC", compiler)
    strict = ("-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Werror")
    quick = SOURCES / "quick.c"
    parts = sorted(path for path in SOURCES.glob("*.c") if path != quick)
    shared_library(parts, "libusb-1.0.so.0", libraries=("pthread",), flags=strict)
    shared_library(quick, "libatoll-quick.so", libraries=("dl",), flags=strict)


def test_everything_is_there_that_libedgetpu_imports(library):
    """One function less, and the driver does not even load."""
    code = (
        "import ctypes, json, sys; usb = ctypes.CDLL(sys.argv[1]);"
        "usb.libusb_error_name.restype = usb.libusb_strerror.restype = ctypes.c_char_p;"
        "missing = [name for name in sys.argv[2:] if not hasattr(usb, f'libusb_{name}')];"
        "texts = usb.libusb_error_name(-3), usb.libusb_strerror(-4), usb.libusb_error_name(-77);"
        "print(json.dumps([missing, *(text.decode() for text in texts)]))"
    )
    # Elsewhere: a libusb that is loaded is every later library's libusb.
    done = subprocess.run([sys.executable, "-c", code, library, *IMPORTED], capture_output=True)
    assert json.loads(done.stdout) == [
        [],
        "LIBUSB_ERROR_ACCESS",
        "No such device (it may have been disconnected)",
        "**UNKNOWN**",
    ]


def test_nothing_else_is_in_the_way(library):
    """Names of our own could meet a program's."""
    listed = subprocess.run(["nm", "-D", "--defined-only", library], capture_output=True, text=True)
    if listed.returncode != 0:
        pytest.skip("no nm")
    names = [line.split()[-1] for line in listed.stdout.splitlines()]
    assert {name for name in names if not name.startswith("libusb_")} <= {"_init", "_fini"}


def test_without_a_brain_there_is_no_stick(library):
    """A library left in LD_PRELOAD must do no harm."""
    code = (
        "import ctypes; usb = ctypes.CDLL('libusb-1.0.so.0'); context = ctypes.c_void_p();"
        "assert usb.libusb_init(ctypes.byref(context)) == 0; devices = ctypes.c_void_p();"
        "print(usb.libusb_get_device_list(context, ctypes.byref(devices)))"
    )
    environment = {"LD_PRELOAD": str(library), "ATOLL_STICK_SOCKET": "/nowhere/brain"}
    for given in ({}, {"LD_PRELOAD": str(library)}, environment):
        paths = {"LD_LIBRARY_PATH": str(library.parent)}
        done = subprocess.run(
            [sys.executable, "-c", code], env=given | paths, capture_output=True, text=True
        )
        assert done.stdout.strip() == "0", done.stderr
        assert ("nobody listens" in done.stderr) == (given is environment)


FALSE = {
    "text": b"HTTP/1.1 200 OK\r\n\r\n",
    "an endless message": struct.pack("=II", FromBrain.IN, 2**32 - 1),
    "an unknown kind": struct.pack("=II", 99, 0),
    "a short state": struct.pack("=III", FromBrain.STATE, 4, 0),
    "an endpoint that is not there": struct.pack("=II", FromBrain.IN, 2) + b"\x07x",
    "an answer with nothing in it": struct.pack("=II", FromBrain.ANSWER, 0),
    "silence and the end": b"",
}
# Prints how many devices there are until there are none.
COUNTING = """
import ctypes, time
usb, context, devices = ctypes.CDLL("libusb-1.0.so.0"), ctypes.c_void_p(), ctypes.c_void_p()
assert usb.libusb_init(ctypes.byref(context)) == 0
print(usb.libusb_get_device_list(context, ctypes.byref(devices)), flush=True)
while usb.libusb_get_device_list(context, ctypes.byref(devices)):
    time.sleep(0.01)
usb.libusb_exit(context)
print("gone")
"""


@pytest.mark.parametrize("data", FALSE.values(), ids=FALSE)
def test_a_brain_that_talks_nonsense_is_a_stick_that_was_pulled(library, tmp_path, data):
    """A program must not crash because its test did."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "brain"))
    listener.listen()
    environment = {
        "LD_LIBRARY_PATH": str(library.parent),
        "ATOLL_STICK_SOCKET": str(tmp_path / "brain"),
    }
    program = subprocess.Popen(
        [sys.executable, "-c", COUNTING], env=environment, stdout=subprocess.PIPE, text=True
    )
    connection, _ = listener.accept()
    with listener, connection:
        assert len(connection.recv(20, socket.MSG_WAITALL)) == 20
        state = struct.pack("=IIIIII", FromBrain.STATE, 16, 1, 1, Speed.SUPER, 1)
        connection.sendall(state)
        assert program.stdout.readline() == "1\n"
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        assert program.communicate(timeout=20)[0] == "gone\n"
    assert program.returncode == 0


def test_both_sides_use_the_same_numbers():
    """The C code and the Python code are compiled apart."""
    header = (SOURCES / "wire.h").read_text()
    usb = (SOURCES / "libusb.h").read_text()

    def numbers(text, prefix):
        return {
            name: int(value) for name, value in re.findall(rf"\b{prefix}_(\w+) = (-?\d+)", text)
        }

    assert numbers(header, "TO") == {each.name: each.value for each in ToBrain}
    assert numbers(header, "FROM") == {each.name: each.value for each in FromBrain}
    assert numbers(header, "RESET") == {each.name: each.value for each in ResetWhy}
    errors = numbers(usb, "LIBUSB_ERROR") | {"SUCCESS": 0}
    assert {each.name: each.value for each in UsbError}.items() <= errors.items()
    speeds = numbers(usb, "LIBUSB_SPEED")
    assert {each.name: each.value for each in Speed}.items() <= speeds.items()
    block = re.search(r"enum libusb_transfer_status \{(.*?)\}", usb, re.DOTALL)[1]
    names = re.findall(r"LIBUSB_TRANSFER_(\w+)", block)
    assert names == [each.name for each in Status]


@pytest.fixture
def seen_by_pyusb(library):
    """Runs the client with sticks, and gives back what it saw."""
    pytest.importorskip("usb", reason="pyusb is not installed")

    def look(**how):
        client = Path(__file__).with_name("usb_client.py")
        with plugged(**how) as sticks:
            done = subprocess.run(
                [sys.executable, client], env=sticks, capture_output=True, text=True, timeout=60
            )
            assert done.returncode == 0, done.stderr
            return json.loads(done.stdout), sticks.sticks

    return look


def test_pyusb_sees_sticks_with_their_firmware(seen_by_pyusb):
    """Another declaration of libusb's structures than ours reads the same from them."""
    found, sticks = seen_by_pyusb(count=2)
    assert [each["ports"] for each in found] == [[1], [2]]
    first = found[0]
    assert first["ids"] == [0x18D1, 0x9302]
    assert first["speed"] == 4
    assert first["class"] == [0xFF, 0xFF]
    bulk = [[1, 2, 1024], [2, 2, 1024], [3, 2, 1024], [0x81, 2, 1024], [0x82, 2, 1024]]
    assert first["endpoints"] == [*bulk, [0x83, 3, 64]]
    assert first["raw"][16:24] == "d1180293"
    # Awake: the state of power reads 0, and all else as it was written.
    assert first["register"] == 0x10850410 & ~0x300
    # Drivers that ask whether there is room are told yes.
    assert first["credits"] == 2**63 - 1
    # A chip that was not set up takes no data, and a read that nobody answers times out.
    assert (first["write"], first["read"]) == (-1, -7)
    assert "0x44018" in sticks[0].report.violations[0]


def test_pyusb_sees_sticks_without_it(seen_by_pyusb):
    """Before its first use a stick is another device, at USB 2 here."""
    (found,), _ = seen_by_pyusb(firmware=True, usb2=True)
    assert found["ids"] == [0x1A6E, 0x089A]
    assert found["speed"] == 3
    assert (found["class"], found["endpoints"]) == ([0xFE, 1], [])
    assert found["status"] == [0, 0, 0, 0, 2, 0]
