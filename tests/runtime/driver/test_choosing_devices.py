"""Which stick is opened: the one that is meant, and none that another program works with."""

import os
import subprocess
import sys
import threading

import pytest
from host.trees import FIRMWARE, Tree

from atoll.errors import DeviceError
from atoll.host import usb
from atoll.runtime.driver import choosing
from atoll.runtime.driver.choosing import NotOpenedError, chosen
from atoll.runtime.driver.library import Attached
from atoll.stick.plugged import plugged


def at(*ports):
    """What the driver sees: sticks at these ports, in its order."""
    return [Attached("usb", f"/sys/bus/usb/devices/{port}") for port in ports]


def nobody(_path):
    return ""


def test_a_name_stays_with_its_stick_when_it_gets_its_firmware():
    """Two sticks, opened for the first time: `usb:1` would be the one that is already at work."""
    order = ["2-2", "2-1"]
    before, after = at("2-2", "2-1"), at("2-1", "2-2")  # 2-2 has its firmware, and comes last
    first = chosen(before, "usb:0", lambda: order, nobody)
    second = chosen(after, "usb:1", lambda: order, nobody)
    assert (first.name, before[int(first.option[-1])].path[-3:]) == ("usb:0", "2-2")
    assert (second.name, after[int(second.option[-1])].path[-3:]) == ("usb:1", "2-1")


def test_where_libusb_cannot_be_asked_the_drivers_order_counts():
    """A driver with a libusb within itself, or a system without one, must go on working."""
    for order in ([], ["2-7"], ["2-1"]):
        choice = chosen(at("2-1", "2-2"), "usb:1", lambda order=order: order, nobody)
        assert (choice.name, choice.option) == ("usb:1", "usb:1")
    assert chosen(None, "usb:3").option == "usb:3"
    assert chosen(None, "edgetpu").option == ""


def test_one_stick_alone_is_not_asked_for():
    """Most have one: what cannot go wrong must not cost anything."""
    assert chosen(at("1-1"), "edgetpu", pytest.fail, nobody).option == "usb:0"


def test_any_edge_tpu_is_one_that_is_free():
    """A program must not end another one's where there is a stick for each."""
    attached = [*at("1-1", "1-2"), Attached("pci", "/dev/apex_0"), Attached("other", "x")]
    assert chosen(attached, "edgetpu", lambda: ["1-1", "1-2"], nobody).name == "pci:0"
    sticks = attached[:2]
    choice = chosen(
        sticks, "edgetpu", lambda: ["1-1", "1-2"], lambda path: "1-1" in path and "busy"
    )
    assert choice.name == "usb:1"


@pytest.mark.parametrize("name", ["usb:0", "edgetpu"])
def test_a_stick_that_another_program_uses_is_left_alone(name):
    """The driver would reset it, and the other program would end with SIGABRT."""
    with pytest.raises(NotOpenedError, match=r"must be free.* busy"):
        chosen(at("1-1"), name, hindrance=lambda _path: "busy")


def test_a_device_that_is_not_there():
    """A typing error in the number."""
    attached = [*at("1-1"), Attached("pci", "/dev/apex_0")]
    with pytest.raises(DeviceError, match="1 on PCI Express and 1 on USB"):
        chosen(attached, "usb:1", hindrance=nobody)
    with pytest.raises(DeviceError, match="no device"):
        chosen([], "edgetpu")


def test_the_kernel_tells_that_a_stick_is_used(tmp_path, monkeypatch):
    """Of other users' programs, and of those in containers, /proc tells nothing."""
    tree = Tree(tmp_path)
    tree.bus(2, 5000)
    tree.stick("2-1", 3)
    tree.stick("2-2", 4, FIRMWARE)
    tree.stick("2-4", 6, node=False)
    tree.usb_device("2-3", 5, ("046d", "c52b"))
    monkeypatch.setattr(choosing, "_UDEV_S", 0.1)
    monkeypatch.setattr(choosing, "node_of", lambda *place: usb.node_of(*place, tmp_path))

    def hindrance(port):
        return choosing._hindrance(str(tmp_path / "sys/bus/usb/devices" / port))

    assert not any(hindrance(port) for port in ("2-1", "2-2", "2-3", "2-9"))
    # The driver would try for half a minute.
    assert hindrance("2-4") == f"this user may not open {tmp_path}/dev/bus/usb/002/006"
    tree.claim("2-1")
    assert hindrance("2-1") == "another program has claimed it"
    assert not hindrance("2-2")
    # This very process has it, through the same driver.
    monkeypatch.setattr(choosing, "_own_files", lambda: {f"{tmp_path}/dev/bus/usb/002/003"})
    assert not hindrance("2-1")


def test_a_stick_that_was_just_plugged_in_gets_a_moment(tmp_path):
    """Its node is there before udev has said who may open it."""
    node = tmp_path / "004"
    timer = threading.Timer(0.2, node.touch)
    timer.start()
    assert choosing._may_open(node)
    timer.join()


def test_the_files_of_this_process_are_known(tmp_path):
    """A second delegate in direct mode shares the first one's stick."""
    with (tmp_path / "open").open("w"):
        assert str(tmp_path / "open") in choosing._own_files()


ASKING = """
from atoll.runtime.driver.libusb_order import ports_in_order
print(*ports_in_order())
"""


def asked(**environ):
    done = subprocess.run(
        [sys.executable, "-c", ASKING],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


@pytest.mark.parametrize("firmware", [False, True])
def test_libusb_tells_the_order(firmware):
    """It is the one thing that knows sticks in both states."""
    with plugged(count=3, firmware=firmware) as environment:
        ports = asked(**environment.changes)
    assert ports == sorted(ports)
    assert len(ports) == 3
