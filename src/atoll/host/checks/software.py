"""The Python side: LiteRT, packages of old, OpenVINO, a compiler for the virtual stick."""

from __future__ import annotations

import platform
import shutil
from typing import TYPE_CHECKING

from atoll.host.findings import ok, problem, skipped, warning
from atoll.host.installing import steps
from atoll.host.sysfs import read_entries, read_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from atoll.host.findings import Finding
    from atoll.host.host import Host

# The LiteRT whose structures were measured, and what those with the same layout begin with.
_LITERT, _LITERT_MAJOR = "2.3.0", "2."
# Packages that programs for the Edge TPU were written for, and what becomes of them here.
_OLD = (
    ("pycoral", "pycoral", "it wants Python 3.9 at most, and crashes with today's runtimes"),
    ("edgetpu", "edgetpu", "it was given up for pycoral in 2020, and wants runtime 13"),
    ("tflite_runtime", "tflite-runtime", "it was renamed ai-edge-litert, and is no longer made"),
)
# Intel's stick, before its firmware and after it.
_NCS2 = {("03e7", "2485"), ("03e7", "f63b")}
_COMPILERS = ("cc", "gcc", "clang")


def python(host: Host) -> Iterator[Finding]:
    """Python must be 3.11 or newer."""
    yield ok(f"{platform.python_implementation()} {platform.python_version()}")


def litert(host: Host) -> Iterator[Finding]:
    """LiteRT must be installed, in a version whose structures are known."""
    version = host.packages.version("ai-edge-litert")
    if not version:
        yield problem("no package ai-edge-litert", f"Run: pip install 'ai-edge-litert=={_LITERT}'")
    elif version.startswith(_LITERT_MAJOR):
        known = "measured" if version == _LITERT else f"{_LITERT} was measured"
        yield ok(
            f"ai-edge-litert {version} ({known}: TfLiteTensor 112 bytes, TfLiteRegistration 88; "
            "they are checked again when a device is opened)"
        )
    else:
        yield warning(
            f"ai-edge-litert {version}: the structures of {_LITERT} are known",
            f"Run: pip install 'ai-edge-litert=={_LITERT}'",
        )


def old_packages(host: Host) -> Iterator[Finding]:
    """No package of old should be in the way of atoll compat."""
    for name, distribution, what in _OLD:
        package = host.packages.find(name, distribution)
        if package is not None:
            yield warning(
                f"{package} lies in {package.folder}: {what}. A script run by python takes it; "
                "run by atoll compat it takes Atoll's",
                f"Run: pip uninstall {distribution} (or: sudo apt remove python3-{distribution})",
            )


def two_tensorflows(host: Host) -> Iterator[Finding]:
    """The packages tensorflow and tensorflow-cpu must not both be there: they share a folder."""
    versions = {name: host.packages.version(name) for name in ("tensorflow", "tensorflow-cpu")}
    if all(versions.values()):
        told = " and ".join(f"{name} {version}" for name, version in versions.items())
        yield problem(
            told,
            "Run: pip uninstall tensorflow tensorflow-cpu && pip install tensorflow",
        )


def compiler(host: Host) -> Iterator[Finding]:
    """There must be a C compiler for the virtual stick, and for it alone."""
    asked = host.environ.get("CC", "")
    names = (asked.split()[0], *_COMPILERS) if asked.split() else _COMPILERS
    for name in names:
        if path := shutil.which(name, path=host.environ.get("PATH")):
            yield ok(path)
            return
    if package := host.packages.find("ziglang"):
        yield ok(f"{package} brings one")
        return
    yield warning(
        f"none of {', '.join(names)} on the PATH: only the virtual stick needs one",
        *steps("compiler", host.place),
        "Or run: pip install ziglang",
        brief="Run: pip install ziglang",
    )


def openvino(host: Host) -> Iterator[Finding]:
    """OpenVINO must be installed for the devices openvino:CPU, GPU and NPU, and for them alone."""
    package = host.packages.find("openvino")
    if package is None:
        yield skipped("it is not installed; pip install 'atoll[openvino]' adds it")
    else:
        yield ok(f"{package} (atoll devices --openvino lists its devices)")


def neural_stick(host: Host) -> Iterator[Finding]:
    """An Intel Neural Compute Stick needs an OpenVINO of old."""
    for entry in read_entries(host.root / "sys/bus/usb/devices"):
        ids = (read_text(f"{entry.path}/idVendor"), read_text(f"{entry.path}/idProduct"))
        if ids in _NCS2:
            yield warning(
                f"one is at USB {entry.name} ({':'.join(map(str, ids))}): its plug-in, MYRIAD, "
                "left OpenVINO after 2022.3, whose wheels end at Python 3.10",
                "Use it with OpenVINO 2022.3 in an environment of its own, without Atoll",
            )
