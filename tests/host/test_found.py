"""What is plugged in, read from the file system as Linux shows it."""

import time

from host.trees import FIRMWARE

from atoll.host.found import describe, found_devices
from atoll.host.pcie import PcieChip
from atoll.host.usb import UsbStick


def test_nothing_is_found_where_nothing_is(tree, tmp_path):
    """A machine without a stick, and a system without sysfs, would end in a traceback."""
    tree.bus(1, 480)
    tree.hub("1-1", 2, 480)
    assert found_devices(tree.root) == []
    assert found_devices(tmp_path / "none") == []


def test_a_stick_is_told_with_what_the_kernel_knows(tree):
    """Doctor and devices would tell of another speed, node or port than lsusb does."""
    tree.bus(2, 5000)
    tree.hub("2-1", 2, 5000)
    tree.stick("2-1.4", 3)
    (stick,) = found_devices(tree.root)
    assert isinstance(stick, UsbStick)
    assert (stick.name, stick.state, stick.bus, stick.address) == ("usb:0", "ready", 2, 3)
    assert (stick.port, stick.speed, stick.max_power_ma) == ("2-1.4", 5000, 896)
    assert stick.node == tree.root / "dev/bus/usb/002/003"
    assert stick.usable
    assert describe(stick) == "USB 2-1.4 (18d1:9302), 5000 Mbit/s"


def test_sticks_are_numbered_as_libusb_orders_them(tree):
    """`usb:1` would be another stick here than where it is opened, or after it got its firmware.

    The order was measured with libusb 1.0.26 on such trees: the last path first, compared as text.
    """
    for bus in (1, 2):
        tree.bus(bus, 5000)
    tree.hub("2-1", 2, 5000)
    tree.stick("1-2", 5)
    tree.stick("1-10", 6)
    tree.stick("2-3", 7, FIRMWARE)
    tree.stick("2-1.4", 8)
    tree.stick("1-4", 9, FIRMWARE)
    found = found_devices(tree.root)
    assert [stick.port for stick in found] == ["2-3", "2-1.4", "1-4", "1-2", "1-10"]
    assert [stick.name for stick in found] == [f"usb:{n}" for n in range(5)]


def test_other_devices_are_left_alone(tree):
    """A phone of Google's has the vendor's id too."""
    tree.bus(1, 480)
    tree.usb_device("1-1", 2, ("18d1", "4ee7"))
    tree.usb_device("1-2", 3, ("046d", "c52b"))
    assert found_devices(tree.root) == []


def test_a_stick_that_is_pulled_while_it_is_read_is_none(tree):
    """A file that vanishes between two reads would end the program."""
    tree.bus(1, 480)
    folder = tree.stick("1-1", 2, speed=480)
    (folder / "devnum").unlink()
    assert found_devices(tree.root) == []


def test_whether_a_stick_may_be_opened_is_for_this_user(tree, nobody):
    """`auto` would choose a stick that the driver then refuses with no reason."""
    tree.bus(2, 5000)
    tree.stick("2-1", 3, mode=0o600)
    tree.stick("2-2", 4, mode=0o664)
    tree.stick("2-3", 5, mode=0o666)
    tree.stick("2-4", 6, node=False)
    with nobody():
        access = {s.port: (s.present, s.readable, s.writable) for s in found_devices(tree.root)}
        usable = [stick.port for stick in found_devices(tree.root) if stick.usable]
    assert access["2-3"] == (True, True, True)
    assert access["2-4"] == (False, False, False)
    assert "2-3" in usable
    assert "2-1" not in usable or access["2-1"][1:] == (True, True)


def test_a_chip_on_pci_express_is_told(tree):
    """The card in a server would be missing from the list, or nameless."""
    tree.chip("0000:03:00.0", temp=51_250)
    tree.bus(2, 5000)
    tree.stick("2-1", 3)
    chip, stick = found_devices(tree.root)
    assert isinstance(chip, PcieChip)
    assert (chip.name, chip.address, chip.kernel_driver) == ("pci:0", "0000:03:00.0", "apex")
    assert chip.node == tree.root / "dev/apex_0"
    assert chip.usable
    assert chip.temperature == 51.25
    assert describe(chip) == "PCI Express 0000:03:00.0, 51 C"
    # The driver takes these first where no device is named.
    assert stick.name == "usb:0"


def test_a_chip_without_its_module_is_seen_but_has_no_number(tree):
    """A card whose module is not built would be called absent, and its owner misled."""
    tree.chip("0000:01:00.0")
    tree.chip("0000:02:00.0", taken=None, driver="")
    tree.chip("0000:04:00.0", taken=None, driver="vfio-pci")
    first, *others = found_devices(tree.root)
    assert first.name == "pci:0"
    assert {(chip.address, chip.kernel_driver, chip.index, chip.usable) for chip in others} == {
        ("0000:02:00.0", "", None, False),
        ("0000:04:00.0", "vfio-pci", None, False),
    }


def test_a_chip_whose_node_is_no_device_has_no_number(tree):
    """Docker makes a folder for a node that is missing; the driver then skips it."""
    tree.chip("0000:01:00.0", taken="apex_0")
    tree.chip("0000:02:00.0", taken="apex_1")
    (tree.root / "dev/apex_0").unlink()
    (tree.root / "dev/apex_0").mkdir()
    names = {chip.address: chip.name for chip in found_devices(tree.root)}
    assert names == {"0000:02:00.0": "pci:0", "0000:01:00.0": "pci"}


def test_looking_takes_no_time(tree):
    """Every `auto` looks: a slow look is paid by every program."""
    for bus in (1, 2, 3, 4):
        tree.bus(bus, 5000)
        for port in range(1, 11):
            tree.usb_device(f"{bus}-{port}", port + 1, ("046d", "c52b"))
    tree.stick("2-12", 40)
    for number in range(60):
        tree.write(f"sys/devices/pci0000:00/0000:00:{number:02x}.0/vendor", "0x8086\n")
        link = tree.root / f"sys/bus/pci/devices/0000:00:{number:02x}.0"
        link.symlink_to(tree.root / f"sys/devices/pci0000:00/0000:00:{number:02x}.0")
    times = []
    for _ in range(9):
        start = time.perf_counter()
        assert len(found_devices(tree.root)) == 1
        times.append(time.perf_counter() - start)
    # Generous, for a busy machine: it takes about a millisecond.
    assert min(times) < 0.02
