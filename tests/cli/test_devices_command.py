"""`atoll devices` and `atoll doctor` as a person types them."""

import json
import sys

import pytest
from cli_runner import atoll, atoll_inside
from host.trees import FIRMWARE, Tree

from atoll.cli.doctor import Severity
from atoll.host import found, host, library
from atoll.host.findings import State


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """The commands look at this file system instead of the real one."""
    tree = Tree(tmp_path / "root")
    tree.system()
    monkeypatch.setattr(found.found_devices, "__defaults__", (tree.root,))
    monkeypatch.setattr(library.find_library, "__defaults__", (tree.root, {}))
    defaults = (tree.root, {"PATH": "/none"}, [], 4096)
    monkeypatch.setattr(host.Host.__init__, "__defaults__", defaults)
    monkeypatch.delenv("ATOLL_STICK_SOCKET", raising=False)
    return tree


def test_devices_needs_no_word_and_tells_of_this_machine():
    """A command that lists would print its help."""
    process = atoll("devices")
    assert process.returncode == 0, process.stderr
    assert "sim" in process.stdout
    assert "Usage" not in process.stdout


def test_with_nothing_plugged_in_devices_is_friendly(machine):
    """An empty list tells a new owner nothing."""
    process = atoll_inside("devices")
    assert process.returncode == 0
    assert "the Edge TPU in software" in process.stdout
    if sys.platform == "linux":
        assert "No Edge TPU is plugged in" in process.stdout
        assert "edgetpu " not in process.stdout


def test_devices_names_what_is_plugged_in_as_device_takes_it(machine):
    """What is printed is what is typed next."""
    machine.bus(2, 5000)
    machine.stick("2-1", 3)
    machine.stick("2-4", 4, FIRMWARE, node=False)
    machine.chip("0000:01:00.0")
    process = atoll_inside("devices")
    lines = process.stdout.splitlines()
    names = [line.split()[0] for line in lines if line[:1].strip()]
    assert names[:5] == ["device", "pci:0", "usb:0", "usb:1", "edgetpu"]
    assert "USB 2-1 (18d1:9302), 5000 Mbit/s" in process.stdout
    assert "usb:0 cannot be opened: atoll doctor tells why" in process.stdout
    assert "libedgetpu, is not installed" in process.stdout

    document = json.loads(atoll_inside("devices", "--json").stdout)
    rows = {row["name"]: row for row in document["devices"]}
    assert rows["usb:1"]["state"] == "usable"
    assert rows["usb:1"]["facts"]["serial"] == ""
    assert rows["usb:0"]["facts"]["state"] == "firmware"
    assert rows["pci:0"]["facts"]["address"] == "0000:01:00.0"
    assert {"sim", "cpu"} <= set(rows)
    assert document["driver"] is None


def test_virtual_sticks_stand_in_the_place_of_real_ones(machine, monkeypatch):
    """A program under `atoll stick` sees these alone."""
    machine.bus(2, 5000)
    machine.stick("2-1", 3)
    monkeypatch.setenv("ATOLL_STICK_SOCKET", "/tmp/none")
    monkeypatch.setenv("ATOLL_STICK_COUNT", "2")
    process = atoll_inside("devices")
    assert process.stdout.count("a virtual stick") == 2
    assert "USB 2-1" not in process.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="macOS and Windows are not looked at")
def test_doctor_tells_what_is_wrong_the_rule_and_the_cure(machine):
    """A finding without its cure helps nobody."""
    machine.bus(1, 480)
    machine.stick("1-2", 3, speed=480)
    process = atoll_inside("doctor")
    assert process.returncode == 0
    assert "warning        usb-speed: usb:0: 480 Mbit/s" in process.stdout
    assert "Each stick should have a USB 3 link." in process.stdout
    assert "               1. " in process.stdout
    assert process.stdout.splitlines()[-1].endswith("warnings.")

    document = json.loads(atoll_inside("doctor", "--json").stdout)
    checks = {check["name"]: check for check in document["checks"]}
    (finding,) = checks["usb-speed"]["findings"]
    assert (finding["device"], finding["state"]) == ("usb:0", "warning")
    assert finding["cure"]
    counted = [f["state"] for check in document["checks"] for f in check["findings"]]
    assert document["problems"] == counted.count("problem")
    assert document["warnings"] == counted.count("warning")


def test_doctor_fails_a_script_only_where_that_is_asked_for(machine):
    """Set-up scripts want a status; people do not."""
    assert atoll_inside("doctor").returncode == 0
    process = atoll_inside("doctor", "--fail-on", "problem")
    assert process.returncode == 1
    assert "(--fail-on problem)" in process.stderr
    assert "problem" in process.stdout


def test_doctor_looks_at_the_real_machine():
    """Whatever this machine is, it must not end in a traceback."""
    process = atoll("doctor", "--json")
    assert process.returncode == 0, process.stderr
    names = [check["name"] for check in json.loads(process.stdout)["checks"]]
    assert {"device", "driver", "system", "python", "litert"} <= set(names)


def test_the_severities_are_states_of_findings():
    """A severity that no finding has would never fail a script."""
    assert set(Severity) <= set(State)


def test_a_word_that_doctor_does_not_know_is_refused():
    """A misspelt limit would pass every machine."""
    process = atoll("doctor", "--fail-on", "everything")
    assert process.returncode == 2
    assert "Traceback" not in process.stderr
