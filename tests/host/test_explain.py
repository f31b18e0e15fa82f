"""The driver refuses with no reason: what is wrong is told all the same, in one line."""

import os

import pytest
from host.looking import linux
from host.trees import header

from atoll.errors import DeviceError
from atoll.host.explain import explain_library, explain_no_device
from atoll.host.host import Host


def line(tree, device) -> str:
    error = explain_no_device(device, tree.root)
    assert isinstance(error, DeviceError)
    text = str(error)
    assert "\n" not in text
    assert "Received: " in text
    return text


@pytest.fixture(autouse=True)
def no_virtual_sticks(monkeypatch):
    monkeypatch.delenv("ATOLL_STICK_SOCKET", raising=False)


def test_nothing_plugged_in(tree):
    """The commonest reason of all."""
    for device in ("edgetpu", "usb:0", "pci:0"):
        text = line(tree, device)
        assert text.startswith(f"{device}: an Edge TPU must be plugged in.")
        assert "Plug one in" in text


def test_another_number_than_there_is(tree):
    """`usb:1` with one stick is a typing mistake, and no fault of the stick."""
    tree.bus(2, 5000)
    tree.stick("2-1", 3)
    text = line(tree, "usb:1")
    assert "there must be such a device. Received: usb:0." in text
    assert "usb:0" in line(tree, "pci:0")


def test_no_permission(tree, nobody):
    """USB error -3, which nobody sees."""
    tree.bus(2, 5000)
    tree.stick("2-1", 3, mode=0o600)
    if os.geteuid() != 0:
        (tree.root / "dev/bus/usb/002/003").chmod(0)
    with nobody():
        text = line(tree, "edgetpu")
    assert text.startswith("usb:0: this user must be allowed to read and write")
    assert "002/003" in text
    assert "udev rule" in text


def test_a_node_that_is_missing(tree):
    """In a container, after the firmware."""
    tree.bus(2, 5000)
    tree.stick("2-1", 3, node=False)
    tree.write(".dockerenv", "")
    assert "Pass all of /dev/bus/usb" in line(tree, "usb:0")


def test_busy(tree):
    """USB error -6, which nobody sees either."""
    tree.bus(2, 5000)
    tree.stick("2-1", 3)
    tree.claim("2-1")
    tree.process(4321, "frigate", "/dev/bus/usb/002/003")
    text = line(tree, "edgetpu")
    assert text.startswith("usb:0: no other program may have it open.")
    assert "process 4321 (frigate)" in text


def test_a_chip_without_its_module(tree):
    """The driver finds no /sys/class/apex, and says nothing."""
    tree.chip(taken=None, driver="")
    text = line(tree, "edgetpu")
    assert "apex" in text
    assert "gasket-dkms" in text or "Install the module" in text


def test_a_chip_that_does_not_answer(tree):
    """It may be opened, and then nothing works."""
    tree.chip(temp=-89_700)
    assert "must answer" in line(tree, "pci:0")


def test_a_chip_without_interrupts(tree):
    """Opening fails with -22 in the kernel's log alone."""
    folder = tree.chip()
    for file in (folder / "msi_irqs").iterdir():
        file.unlink()
    assert "MSI-X" in line(tree, "pci:0")


def test_unknown(tree):
    """Where nothing is seen to be wrong, no reason is made up."""
    tree.bus(2, 5000)
    tree.stick("2-1", 3)
    text = line(tree, "usb:0")
    assert "a refusal with no reason" in text
    assert "may be opened, and nobody has it open" in text


def test_a_system_without_sysfs(tmp_path):
    """On macOS nothing can be seen: that is said."""
    text = str(explain_no_device("edgetpu", tmp_path))
    assert "does not tell what is plugged in" in text


def test_virtual_sticks_are_not_looked_for_on_the_bus(tree, monkeypatch):
    """`atoll stick` has no device in sysfs, and none is missing."""
    monkeypatch.setenv("ATOLL_STICK_SOCKET", "/tmp/none")
    assert "virtual stick" in line(tree, "usb:0")


@linux
def test_a_library_that_cannot_be_loaded_is_explained(tree):
    """`OSError: wrong ELF class` is no message for an owner of a stick."""
    text = str(explain_library(Host(tree.root, {})))
    assert text.startswith("libedgetpu: the driver, libedgetpu, must be installed.")
    tree.write("usr/lib/libedgetpu.so.1", header(40, 32))
    text = str(explain_library(Host(tree.root, {})))
    assert "arm, 32 bits" in text
    assert "\n" not in text
