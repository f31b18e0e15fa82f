"""The doctor on cards on PCI Express: the module, interrupts, pages, the link, the heat."""

import pytest
from host.looking import GUEST, PI5, cure, one

from atoll.host.checks.module import BREAKS
from atoll.host.findings import State


def test_a_chip_that_its_module_has_is_well(tree):
    """A card that works would be sent to the workshop."""
    tree.chip()
    for name in ("pcie-module", "pcie-answer", "pcie-interrupts", "pcie-aspm", "heat"):
        assert one(tree, name).state is State.OK, name
    assert one(tree, "pcie-pages", page_size=4096).state is State.OK


def test_a_module_that_is_not_installed_is_installed(tree):
    """The card is seen by lspci, and by nothing else."""
    tree.chip(taken=None, driver="")
    finding = one(tree, "pcie-module")
    assert finding.state is State.PROBLEM
    assert "no module apex is installed for the kernel 6.1.0-21-amd64" in finding.evidence
    assert "gasket-dkms" in cure(finding)
    assert "modprobe apex" in cure(finding)


@pytest.mark.parametrize(
    ("kernel", "reason"),
    [
        ("6.1.0-21-amd64", None),
        ("6.5.0-1-amd64", "issue 12"),
        ("6.8.12-13-pve", "issue 24"),
        ("6.12.41+deb13-amd64", "issue 36"),
        ("6.14.8-2-pve", "pull request 40"),
    ],
)
def test_a_module_that_does_not_build_tells_what_the_kernel_changed(tree, kernel, reason):
    """The owner would read a compiler's message of 40 lines, or none."""
    tree.system(kernel=kernel)
    tree.chip(taken=None, driver="")
    tree.write(
        "var/lib/dkms/gasket/1.0/build/make.log",
        "CC [M] gasket_core.o\n/var/lib/dkms/gasket/1.0/build/gasket_core.c:1376:19: "
        "error: 'no_llseek' undeclared here\n",
    )
    finding = one(tree, "pcie-module")
    assert finding.state is State.PROBLEM
    assert "'no_llseek' undeclared here" in finding.evidence
    if reason is None:
        assert "known not to build" not in finding.evidence
    else:
        assert reason in finding.evidence
    assert "feranick/gasket-driver" in cure(finding)


def test_what_the_kernel_changed_is_in_order():
    """The newest change is told: a driver that lacks it lacks those before too."""
    versions = [since for since, _, _ in BREAKS]
    assert versions == sorted(versions)


def test_a_module_that_is_built_is_loaded(tree):
    """Nothing must be installed anew."""
    tree.chip(taken=None, driver="")
    tree.write("lib/modules/6.1.0-21-amd64/updates/dkms/apex.ko.xz", b"")
    finding = one(tree, "pcie-module")
    assert cure(finding) == "Run: sudo modprobe apex"
    name = "SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
    tree.write(f"sys/firmware/efi/efivars/{name}", b"\x06\0\0\0\x01")
    finding = one(tree, "pcie-module")
    assert "Secure Boot" in finding.evidence
    assert "mokutil" in cure(finding)


def test_a_chip_that_another_driver_has_is_told(tree):
    """A card that is set aside for a guest looks broken on the host."""
    tree.chip(taken=None, driver="vfio-pci")
    finding = one(tree, "pcie-module")
    assert finding.state is State.WARNING
    assert "virtual machine" in finding.evidence


def test_a_module_that_failed_is_told(tree):
    """It is loaded, and the chip has no node: only the log knows why."""
    tree.chip(taken=None, driver="")
    tree.write("proc/modules", "apex 28672 0 - Live 0x0\ngasket 126976 1 apex, Live 0x0\n")
    tree.write("sys/module/apex/version", "1.2\n")
    finding = one(tree, "pcie-module")
    assert "failed when it started" in finding.evidence
    assert "dmesg" in cure(finding)
    assert one(tree, "pcie-module-version").evidence == "apex 1.2, gasket of no version"


def test_a_chip_that_does_not_answer_is_told(tree):
    """A register of ones reads as -89.7 C, which no owner understands."""
    tree.chip(temp=-89_700)
    finding = one(tree, "pcie-answer")
    assert finding.state is State.PROBLEM
    assert "register of ones" in finding.evidence
    assert "power off" in cure(finding)


def test_a_dead_chip_is_told(tree):
    """The module gives up on a chip, and programs are only refused."""
    tree.chip(status="DEAD")
    assert "DEAD" in one(tree, "pcie-answer").evidence


@pytest.mark.parametrize(
    ("system", "expected"),
    [({"board": PI5}, "pciex1-compat-pi5"), (GUEST, "MSI-X"), ({}, "pci=nomsi")],
)
def test_missing_interrupts_are_told_with_the_boards_cure(tree, system, expected):
    """The log says -28 or -22, and nothing else does."""
    tree.system(**system)
    folder = tree.chip()
    for file in (folder / "msi_irqs").iterdir():
        file.unlink()
    finding = one(tree, "pcie-interrupts")
    assert finding.state is State.PROBLEM
    assert "0 of 13" in finding.evidence
    assert expected in cure(finding)


def test_large_pages_are_told(tree):
    """A Raspberry Pi 5 starts with pages of 16 KiB, and the driver cannot use them."""
    tree.system(board=PI5)
    tree.chip()
    finding = one(tree, "pcie-pages", page_size=16384)
    assert finding.state is State.PROBLEM
    assert "kernel=kernel8.img" in cure(finding)


def test_a_sleeping_link_is_told_on_boards(tree):
    """On a PC it is harmless, on single-board computers the chip drops out."""
    folder = tree.chip()
    (folder / "link/l1_aspm").write_text("1\n")
    assert one(tree, "pcie-aspm").state is State.OK
    tree.system(board=PI5)
    assert one(tree, "pcie-aspm").state is State.WARNING
    tree.write("proc/cmdline", "root=/dev/mmcblk0p2 pcie_aspm=off\n")
    assert one(tree, "pcie-aspm").state is State.OK


@pytest.mark.parametrize(
    ("temp", "polled", "state", "words"),
    [
        (60_000, 5000, State.OK, "60.0 C"),
        (86_000, 5000, State.WARNING, "divided by 2"),
        (95_000, 5000, State.WARNING, "divided by 8"),
        (95_000, 0, State.WARNING, "nothing slows it down"),
    ],
)
def test_heat_tells_how_much_slower_the_chip_is(tree, temp, polled, state, words):
    """A chip that slows itself down is taken for a slow model."""
    tree.chip(temp=temp, temp_poll_interval=polled)
    finding = one(tree, "heat")
    assert finding.state is state
    assert words in finding.evidence


def test_a_module_that_tells_no_temperature_is_not_looked_at(tree):
    """The kernel's own module, 1.0, has no sensor file."""
    tree.chip(temp=None)
    assert one(tree, "heat").state is State.SKIPPED
