"""What kind of system this is: its distribution, and whether it is a container or a guest."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from atoll.host.sysfs import read_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# Which distributions are cured alike: the first that ID or ID_LIKE of os-release names.
_FAMILIES = {
    "debian": "debian",
    "ubuntu": "debian",
    "raspbian": "debian",
    "fedora": "fedora",
    "rhel": "fedora",
    "centos": "fedora",
    "arch": "arch",
    "suse": "suse",
    "opensuse": "suse",
    "alpine": "alpine",
}
# What control groups and systemd call containers.
_CONTAINERS = ("docker", "podman", "lxc", "kubepods", "systemd-nspawn", "containerd")
# What a guest's firmware says who made the machine.
_GUESTS = {
    "qemu": "QEMU",
    "kvm": "KVM",
    "proxmox": "Proxmox",
    "vmware": "VMware",
    "virtualbox": "VirtualBox",
    "innotek": "VirtualBox",
    "xen": "Xen",
    "virtual machine": "Hyper-V",
    "parallels": "Parallels",
    "bhyve": "bhyve",
    "amazon ec2": "EC2",
    "google compute engine": "Google Compute Engine",
}
_VERSION = re.compile(r"(\d+)\.(\d+)")


@dataclass(frozen=True)
class Place:
    """The system that this runs on.

    Attributes:
        distribution: Its name, for people; empty where it tells none.
        family: "debian", "fedora", "arch", "suse" or "alpine"; empty for any other.
        board: The board's model, such as "Raspberry Pi 5 Model B Rev 1.0"; empty where there is
            no device tree.
        kernel: The kernel's release; empty where it is not told.
        container: What kind of container this is in; empty for none.
        guest: What kind of virtual machine this is; empty for none.
    """

    distribution: str
    family: str
    board: str
    kernel: str
    container: str
    guest: str

    @property
    def kernel_version(self) -> tuple[int, int]:
        """Its first two numbers; (0, 0) where they are not told."""
        found = _VERSION.match(self.kernel)
        return (int(found.group(1)), int(found.group(2))) if found else (0, 0)

    @property
    def is_wsl(self) -> bool:
        """Whether this is Windows' Subsystem for Linux."""
        return self.guest == "WSL"


def find_place(root: Path, environ: Mapping[str, str]) -> Place:
    """What kind of system this is.

    Args:
        root: Where the file system begins.
        environ: The environment.
    """
    release = read_release(root)
    kernel = read_text(root / "proc/sys/kernel/osrelease") or ""
    return Place(
        distribution=release.get("PRETTY_NAME", release.get("NAME", "")),
        family=_family(release),
        board=read_text(root / "proc/device-tree/model") or "",
        kernel=kernel,
        container=_container(root, environ),
        guest="WSL" if "microsoft" in kernel.lower() else _guest(root),
    )


def read_release(root: Path) -> dict[str, str]:
    """The fields of os-release."""
    for name in ("etc/os-release", "usr/lib/os-release"):
        if text := read_text(root / name):
            pairs = (line.partition("=") for line in text.splitlines())
            return {key.strip(): value.strip().strip("\"'") for key, _, value in pairs if key}
    return {}


def _family(release: Mapping[str, str]) -> str:
    names = f"{release.get('ID', '')} {release.get('ID_LIKE', '')}".lower().split()
    known = (_FAMILIES.get(name) or _FAMILIES.get(name.partition("-")[0]) for name in names)
    return next((family for family in known if family), "")


def _container(root: Path, environ: Mapping[str, str]) -> str:
    if (root / ".dockerenv").exists():
        return "docker"
    if (root / "run/.containerenv").exists():
        return "podman"
    if environ.get("KUBERNETES_SERVICE_HOST"):
        return "kubernetes"
    # What systemd notes of itself at the start, and what the first process was started with.
    said = read_text(root / "run/systemd/container") or environ.get("container", "")
    started = re.findall(r"container=([\w-]+)", read_text(root / "proc/1/environ") or "")
    groups = (read_text(root / "proc/1/cgroup") or "").lower()
    return said or next(iter(started), "") or next((n for n in _CONTAINERS if n in groups), "")


def _guest(root: Path) -> str:
    if (read_text(root / "sys/hypervisor/type") or "") == "xen":
        return "Xen"
    names = ("sys_vendor", "product_name", "board_vendor", "bios_vendor")
    told = " ".join(read_text(root / "sys/class/dmi/id" / name) or "" for name in names).lower()
    for key, name in _GUESTS.items():
        if key in told:
            return name
    if (root / "proc/device-tree/hypervisor").exists() or _has_guest_flag(root):
        return "a virtual machine"
    return ""


def _has_guest_flag(root: Path) -> bool:
    """Whether the processor says that a hypervisor runs it."""
    for line in (read_text(root / "proc/cpuinfo") or "").splitlines():
        if line.startswith("flags"):
            return "hypervisor" in line.split()
    return False
