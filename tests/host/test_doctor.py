"""The doctor: every fault that it knows, made in a file system, is found with its cure."""

import os
import sys

import pytest
from host.looking import GUEST, PI5, cure, look, one
from host.trees import APEX_RULE, BOTH_RULES, FIRMWARE

from atoll.host.doctor import CHECKS, examine
from atoll.host.findings import State
from atoll.host.host import Host


@pytest.fixture
def stick(tree):
    """A machine with one stick that is well."""
    tree.bus(1, 480)
    tree.bus(2, 5000)
    tree.stick("2-1", 3)
    tree.rules()
    return tree


def test_every_check_has_a_sentence_and_a_name_of_its_own():
    """The user would read nothing of what should be so."""
    assert len({check.name for check in CHECKS}) == len(CHECKS)
    for check in CHECKS:
        assert check.sentence[0].isupper(), check.name
        assert ". " not in check.sentence, check.name
        assert len(check.sentence) > 15, check.name


def test_a_machine_that_is_well_has_no_problem(stick):
    """A doctor that always finds something is not listened to."""
    states = {
        (result.check.name, finding.state)
        for result in examine(Host(stick.root, {"PATH": os.environ["PATH"]}))
        for finding in result.findings
    }
    wrong = {name for name, state in states if state in (State.PROBLEM, State.WARNING)}
    # The tree holds no driver.
    assert wrong == {"driver"}


def test_every_finding_that_is_not_well_has_a_cure(tree):
    """A problem with no cure leaves the user where they were."""
    tree.system(board=PI5, kernel="6.12.0-rpi", **GUEST)
    tree.bus(1, 480)
    tree.hub("1-1", 2, 480, self_powered=False)
    tree.stick("1-1.2", 3, FIRMWARE, speed=480, mode=0o600)
    tree.claim("1-1.2")
    tree.usb_device("1-3", 9, ("03e7", "2485"))
    tree.chip("0000:01:00.0", temp=96_000, status="DEAD")
    tree.chip("0000:02:00.0", taken=None, driver="")
    settings = {"page_size": 16384, "search_path": []}
    results = examine(Host(tree.root, {"PATH": "/none"}, **settings))
    bad = [
        finding
        for result in results
        for finding in result.findings
        if finding.state in (State.PROBLEM, State.WARNING)
    ]
    assert len(bad) > 10
    for finding in bad:
        assert finding.cure, finding.evidence
        assert all(step and not step.endswith(".") for step in finding.cure), finding.cure


def test_no_device_tells_where_to_look(tree):
    """The first thing a new owner meets."""
    finding = one(tree, "device")
    assert finding.state is State.PROBLEM
    assert "1a6e:089a and 18d1:9302" in finding.evidence
    assert "lsusb" in cure(finding)
    assert "sim" in cure(finding)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (GUEST, "both USB ids"),
        ({"kernel": "5.15.153.1-microsoft-standard-WSL2"}, "usbipd attach --wsl"),
    ],
)
def test_no_device_in_a_guest_is_passed_to_it(tree, values, expected):
    """Plugging it in does not help where the machine is a virtual one."""
    tree.system(**values)
    assert expected in cure(one(tree, "device"))


def test_no_device_in_a_container_is_given_to_it(tree):
    """A container sees only what it was started with."""
    tree.write(".dockerenv", "")
    assert "--device-cgroup-rule='c 189:* rmw'" in cure(one(tree, "device"))


def test_a_system_without_sysfs_is_said_not_to_be_looked_at(tmp_path):
    """macOS and Windows would be told that nothing is plugged in."""
    results = examine(Host(tmp_path, {}), CHECKS[:1])
    assert results[0].findings[0].state is State.SKIPPED


def test_virtual_sticks_are_devices(tree):
    """A program under `atoll stick` has one, whatever the bus says."""
    environ = {"ATOLL_STICK_SOCKET": "/tmp/none", "ATOLL_STICK_COUNT": "3"}
    finding = one(tree, "device", environ=environ)
    assert finding.state is State.OK
    assert "3 virtual" in finding.evidence


def test_a_stick_that_waits_for_its_firmware_is_well(tree):
    """Owners take 1a6e:089a for a fault."""
    tree.bus(2, 5000)
    tree.stick("2-1", 3, FIRMWARE)
    assert one(tree, "firmware").state is State.OK
    tree.system(**GUEST)
    finding = one(tree, "firmware")
    assert finding.state is State.WARNING
    assert "18d1:9302" in cure(finding)


def test_a_node_without_permission_names_the_rule_and_the_group(tree, nobody, monkeypatch):
    """The commonest fault of all, which the driver gives no reason for."""
    monkeypatch.setattr("atoll.host.udev.own_groups", set)
    tree.bus(2, 5000)
    tree.stick("2-1", 3, mode=0o600)
    if os.geteuid() != 0:
        (tree.root / "dev/bus/usb/002/003").chmod(0)
    with nobody():
        finding = one(tree, "permission")
    assert finding.state is State.PROBLEM
    assert "-------" in finding.evidence
    assert "no udev rule names it" in finding.evidence
    for words in ("1a6e", "9302", "60-edgetpu.rules", "plugdev", "udevadm", "Unplug"):
        assert words in cure(finding)
    assert "\n" not in "".join(finding.cure), "a command must be one line"
    with nobody():
        assert look(tree, "udev") == [], "the same cure would be printed twice"


def test_where_the_rule_is_there_only_the_group_is_missing(tree, nobody, monkeypatch):
    """A second rule would not help."""
    monkeypatch.setattr("atoll.host.udev.own_groups", set)
    tree.bus(2, 5000)
    tree.stick("2-1", 3, mode=0o600)
    if os.geteuid() != 0:
        (tree.root / "dev/bus/usb/002/003").chmod(0)
    tree.rules()
    tree.write("etc/group", "plugdev:x:46:somebody\n")
    with nobody():
        finding = one(tree, "permission")
    assert "60-libedgetpu1-std.rules names it" in finding.evidence
    assert "tee" not in cure(finding)
    assert "usermod -aG plugdev" in cure(finding)


def test_a_node_that_the_container_was_not_given_is_told(tree):
    """After its firmware the stick has another number, which Docker did not pass."""
    tree.bus(2, 5000)
    tree.stick("2-1", 4, node=False)
    tree.write(".dockerenv", "")
    finding = one(tree, "permission")
    assert finding.state is State.PROBLEM
    assert "002/004" in finding.evidence
    assert "-v /dev/bus/usb:/dev/bus/usb" in cure(finding)


def test_a_node_that_docker_made_a_folder_of_is_told(tree):
    """`docker run -v /dev/apex_0` makes a folder where there is no such node."""
    tree.chip()
    (tree.root / "dev/apex_0").unlink()
    (tree.root / "dev/apex_0").mkdir()
    finding = one(tree, "permission")
    assert finding.state is State.PROBLEM
    assert "is a folder and no device" in finding.evidence


@pytest.mark.parametrize(
    ("rules", "state"),
    [
        (BOTH_RULES, State.OK),
        (BOTH_RULES.splitlines()[0], State.WARNING),
        ("# " + BOTH_RULES.replace("\n", "\n# "), None),
    ],
)
def test_a_rule_must_name_both_ids(stick, rules, state):
    """With one id alone the stick is lost once it has its firmware."""
    stick.rules(rules)
    finding = one(stick, "udev")
    assert finding.state is state if state else "none does" in finding.evidence
    if state is State.WARNING:
        assert "18d1:9302" in finding.evidence
        assert "after" in finding.evidence


def test_a_busy_stick_names_the_process(stick):
    """The driver only refuses: nobody knows that Frigate has it."""
    assert one(stick, "busy").state is State.OK
    stick.claim("2-1")
    finding = one(stick, "busy")
    assert finding.state is State.PROBLEM
    assert "another user" in finding.evidence
    stick.process(4321, "frigate.detecto", "/dev/null", "/dev/bus/usb/002/003")
    stick.process(99, "other", "/dev/bus/usb/002/009")
    finding = one(stick, "busy")
    assert "process 4321 (frigate.detecto)" in finding.evidence
    assert "kill 4321" in cure(finding)


def test_a_busy_chip_names_the_process(tree):
    """The module knows who owns it, also where /proc does not say."""
    tree.chip(is_device_owned=1, device_owner=815)
    finding = one(tree, "busy")
    assert finding.state is State.PROBLEM
    assert "process 815" in finding.evidence


def test_a_slow_link_tells_its_cost_and_what_makes_it_slow(tree):
    """The cable, the port and the hub each halve an owner's speed, and none is suspected."""
    tree.bus(1, 480)
    tree.hub("1-1", 2, 480)
    tree.stick("1-1.2", 3, speed=480)
    finding = one(tree, "usb-speed")
    assert finding.state is State.WARNING
    assert "480 Mbit/s (the hub at 1-1" in finding.evidence
    assert "times as long" in finding.evidence
    assert "no USB 3 bus" in cure(finding)
    tree.bus(2, 5000)
    assert "into a USB 3 hub" in cure(one(tree, "usb-speed"))


def test_a_slow_cable_and_a_very_slow_link_are_told_apart(tree):
    """At 12 Mbit/s nothing works; at 480 it is slow."""
    tree.bus(1, 480)
    tree.bus(2, 5000)
    tree.stick("1-2", 3, speed=480)
    assert "cable" in cure(one(tree, "usb-speed"))
    tree.stick("1-3", 4, speed=12)
    states = {finding.device: finding.state for finding in look(tree, "usb-speed")}
    assert set(states.values()) == {State.WARNING, State.PROBLEM}


def test_a_hub_without_power_and_a_board_with_too_little_are_told(tree):
    """A stick that drops out under load is taken for broken."""
    tree.bus(2, 5000)
    tree.hub("2-1", 2, 5000, self_powered=False)
    tree.stick("2-1.1", 3)
    finding = one(tree, "usb-power")
    assert finding.state is State.WARNING
    assert "896 mA" in finding.evidence
    tree.write("sys/class/hwmon/hwmon1/name", "rpi_volt\n")
    tree.write("sys/class/hwmon/hwmon1/in0_lcrit_alarm", "1\n")
    assert look(tree, "usb-power")[1].state is State.PROBLEM


def test_autosuspend_is_told(stick):
    """Some sticks do not wake again."""
    assert one(stick, "usb-suspend").state is State.OK
    stick.write("sys/bus/usb/devices/2-1/power/control", "auto\n")
    finding = one(stick, "usb-suspend")
    assert finding.state is State.WARNING
    assert "2000 ms" in finding.evidence
    assert "echo on" in cure(finding)


@pytest.mark.skipif(sys.platform != "linux", reason="Linux's cures")
@pytest.mark.parametrize(
    ("release", "command"),
    [
        ('ID=debian\nNAME="Debian"\n', "apt install libedgetpu1-std"),
        ("ID=ubuntu\nID_LIKE=debian\n", "apt install libedgetpu1-std"),
        ("ID=fedora\n", "ATOLL_LIBEDGETPU"),
        ('ID="opensuse-leap"\nID_LIKE="suse opensuse"\n', "ATOLL_LIBEDGETPU"),
        ("", "ATOLL_LIBEDGETPU"),
    ],
)
def test_a_missing_driver_is_installed_as_the_distribution_does(tree, release, command):
    """apt does not help on Fedora."""
    tree.system(release=release)
    finding = one(tree, "driver")
    assert finding.state is State.PROBLEM
    assert command in cure(finding)


def test_a_variable_that_names_nothing_is_told(tree):
    """A typing mistake would be taken for a missing driver."""
    finding = one(tree, "driver", environ={"ATOLL_LIBEDGETPU": "/none/libedgetpu.so.1"})
    assert "/none/libedgetpu.so.1" in finding.evidence


def test_a_compiler_is_looked_for(tree):
    """`atoll stick` needs one, and would fail in the middle."""
    assert one(tree, "compiler", environ={"PATH": "/none"}, search_path=[]).state is State.WARNING
    program = tree.write("bin/cc", "#!/bin/sh\n")
    program.chmod(0o755)
    assert one(tree, "compiler", environ={"PATH": str(tree.root / "bin")}).state is State.OK


def test_old_packages_are_found_where_they_lie(tree):
    """A pycoral of old beside LiteRT makes a program crash with no message."""
    site = tree.root / "site"
    tree.write("site/pycoral/__init__.py", "")
    tree.write("site/pycoral-2.0.0.dist-info/METADATA", "Name: pycoral\nVersion: 2.0.0\n")
    tree.write("site/tflite_runtime/__init__.py", "")
    found = look(tree, "old-packages", search_path=[str(site)])
    assert [finding.state for finding in found] == [State.WARNING] * 2
    assert "pycoral 2.0.0 lies in" in found[0].evidence
    assert "tflite_runtime lies in" in found[1].evidence
    (tree.root / "work/edgetpu").mkdir(parents=True)
    assert look(tree, "old-packages", search_path=[str(tree.root / "work")]) == []


def test_litert_is_looked_at(tree):
    """Another major version has structures that nobody checked."""
    site = str(tree.root / "site")
    assert one(tree, "litert", search_path=[site]).state is State.PROBLEM
    meta = "site/ai_edge_litert-{0}.dist-info/METADATA"
    file = tree.write(meta.format("2.3.0"), "Name: ai-edge-litert\nVersion: 2.3.0\n")
    assert one(tree, "litert", search_path=[site]).state is State.OK
    file.write_text("Name: ai-edge-litert\nVersion: 3.0.0\n")
    assert one(tree, "litert", search_path=[site]).state is State.WARNING


def test_two_tensorflows_in_one_folder_are_told(tree):
    """Each overwrites the other's files."""
    for name in ("tensorflow", "tensorflow-cpu"):
        folder = f"site/{name.replace('-', '_')}-2.21.0.dist-info"
        tree.write(f"{folder}/METADATA", f"Name: {name}\nVersion: 2.21.0\n")
    assert one(tree, "tensorflow", search_path=[str(tree.root / "site")]).state is State.PROBLEM


def test_a_neural_compute_stick_is_told_to_be_of_the_past(tree):
    """An owner would look for a plug-in that no wheel has."""
    assert look(tree, "neural-stick") == []
    tree.bus(1, 480)
    tree.usb_device("1-2", 4, ("03e7", "2485"))
    finding = one(tree, "neural-stick")
    assert finding.state is State.WARNING
    assert "2022.3" in finding.evidence


def test_pcie_checks_are_silent_without_a_card(stick):
    """Owners of sticks would read of MSI-X."""
    names = [check.name for check in CHECKS if check.name.startswith("pcie")]
    assert [name for name in names if look(stick, name)] == []


def test_the_group_of_the_chips_is_looked_at(tree, nobody, monkeypatch):
    """The package makes the group, and nobody is in it."""
    monkeypatch.setattr("atoll.host.udev.own_groups", set)
    monkeypatch.setattr("atoll.host.checks.access.own_groups", set)
    tree.chip()
    with nobody():
        finding = one(tree, "pcie-group")
        assert finding.state is State.WARNING
        assert APEX_RULE.strip() in cure(finding)
    tree.rules(APEX_RULE, "60-gasket-dkms.rules")
    with nobody():
        finding = one(tree, "pcie-group")
    assert "groupadd -f apex" in cure(finding)
    assert "tee" not in cure(finding)
