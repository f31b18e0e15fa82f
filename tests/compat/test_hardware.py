"""Which Edge TPUs a program sees, and which it gets."""

from pathlib import Path

import pytest

from atoll.compat.hardware import NoEdgeTpuError, choose, seen_devices, tell_once
from atoll.errors import DeviceError
from atoll.host.pcie import PcieChip
from atoll.host.usb import UsbStick


def stick(index):
    return UsbStick(
        index, "ready", 1, index, f"1-{index}", 5000, None, "", Path("/dev/x"), True, True, True,
        Path(f"/sys/bus/usb/devices/1-{index}"),
    )  # fmt: skip


def chip(index):
    node = None if index is None else Path(f"/dev/apex_{index}")
    return PcieChip(index, "0000:01:00.0", "apex", node, True, True, True, None, None, None)


@pytest.fixture
def plugged_in(monkeypatch):
    """A PCI Express chip, one that no driver has taken, and two sticks."""
    found = [chip(0), chip(None), stick(0), stick(1)]
    monkeypatch.setattr("atoll.host.found.found_devices", lambda: found)


@pytest.fixture
def nothing(monkeypatch):
    monkeypatch.setattr("atoll.host.found.found_devices", list)


def names(device=None, count=None, **more):
    environ = {"ATOLL_DEVICE": device, "ATOLL_SIM_COUNT": count, **more}
    environ = {name: value for name, value in environ.items() if value is not None}
    return [seen.name for seen in seen_devices(environ)]


def test_real_devices_come_first(plugged_in):
    """Who has a stick wants it used."""
    real = ["pci:0", "usb:0", "usb:1"]
    assert names() == names("auto") == names("") == names("edgetpu") == real
    assert names("usb:1") == ["usb:1"]
    assert names("usb:7") == []
    assert names("sim", "2") == ["sim:0", "sim:1"]
    assert names("sim:3") == ["sim:3"]
    assert [(seen.kind, seen.path) for seen in seen_devices({})] == [
        ("pci", "/dev/apex_0"),
        ("usb", "/sys/bus/usb/devices/1-0"),
        ("usb", "/sys/bus/usb/devices/1-1"),
    ]


def test_without_any_there_is_software(nothing):
    """But not where the chip itself was asked for."""
    assert names() == ["sim:0", "sim:1", "sim:2", "sim:3"]
    assert names("edgetpu") == names("usb:0") == []


def test_virtual_sticks_stand_in_the_place_of_all_others(plugged_in, monkeypatch):
    """`atoll stick` starts programs that then see nothing but its sticks."""
    monkeypatch.setenv("ATOLL_STICK_SOCKET", "/tmp/socket")
    monkeypatch.setenv("ATOLL_STICK_COUNT", "2")
    monkeypatch.setattr("atoll.host.virtual.virtual_sticks", lambda: 2)
    assert names() == ["usb:0", "usb:1"]


@pytest.mark.parametrize("device", ["cpu", "openvino:CPU", "stick", "usb"])
def test_what_is_no_edge_tpu_is_refused(device):
    """One line, before the program starts."""
    with pytest.raises(DeviceError, match=device):
        seen_devices({"ATOLL_DEVICE": device})


@pytest.mark.parametrize("count", ["0", "9", "-1", "two", "1.5"])
def test_a_number_of_simulated_ones_that_makes_no_sense(count):
    """Eight, as with virtual sticks."""
    with pytest.raises(DeviceError, match="1 to 8"):
        seen_devices({"ATOLL_DEVICE": "sim", "ATOLL_SIM_COUNT": count})


@pytest.mark.parametrize(
    ("wanted", "got"),
    [
        ("", "pci:0"),
        (":0", "pci:0"),
        (":2", "usb:1"),
        ("usb", "usb:0"),
        ("usb:1", "usb:1"),
        ("pci", "pci:0"),
        ("pci:0", "pci:0"),
    ],
)
def test_a_program_gets_what_it_asks_for(plugged_in, wanted, got):
    """By the driver's own rules: the Nth of all, or of a kind."""
    assert choose(wanted, {}).name == got


@pytest.mark.parametrize("wanted", ["usb:2", "pci:1", ":3", "foo", "usb:", ":", "usb:x", "0", " "])
def test_a_program_that_asks_for_what_is_not_there_learns_what_is(plugged_in, wanted):
    """The original gave no reason at all."""
    with pytest.raises(NoEdgeTpuError, match=r"usb:0|usb:N"):
        choose(wanted, {})


def test_simulated_ones_answer_to_both_kinds():
    """A program for the Dev Board asks for pci, one for the stick for usb."""
    environ = {"ATOLL_DEVICE": "sim", "ATOLL_SIM_COUNT": "2", "ATOLL_COMPAT_TOLD": "1"}
    for wanted, got in (("", 0), ("usb", 0), ("pci:1", 1), (":1", 1)):
        assert choose(wanted, environ).name == f"sim:{got}"
    with pytest.raises(NoEdgeTpuError, match=r"there are: usb:0 \(simulated\), usb:1 "):
        choose("usb:2", environ)


def test_the_device_that_was_named_is_the_one_that_is_missed(plugged_in):
    """Others may be plugged in: that there is none would be wrong."""
    with pytest.raises(NoEdgeTpuError, match="No usb:7 is plugged in"):
        choose("", {"ATOLL_DEVICE": "usb:7"})


def test_that_it_is_software_is_said_once(capsys, monkeypatch):
    """Nobody shall take the simulator for a chip; nobody shall be told at every call."""
    monkeypatch.delenv("ATOLL_COMPAT_TOLD")
    for _ in range(3):
        tell_once()
    assert capsys.readouterr().err == (
        "atoll: the simulator stands for the Edge TPU, in software.\n"
    )
