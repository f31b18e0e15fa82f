"""What the tests of the doctor share: one check, looked at by itself."""

import os
import shutil
import sys

import pytest

from atoll.host.doctor import CHECKS, examine
from atoll.host.host import Host

VERSION = "BuildLabel(COMPILER=6.3.0 20170516,DATE=redacted,TIME=redacted), RuntimeVersion(14)"
GUEST = {"vendor": "QEMU"}
PI5 = "Raspberry Pi 5 Model B Rev 1.0"

linux = pytest.mark.skipif(sys.platform != "linux", reason="Linux's libraries are made here")
compiles = pytest.mark.skipif(
    not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="no C compiler"
)


def look(tree, name, **settings):
    """What one check finds."""
    settings.setdefault("environ", {"PATH": os.environ["PATH"]})
    host = Host(tree.root, **settings)
    results = examine(host, [check for check in CHECKS if check.name == name])
    return list(results[0].findings) if results else []


def one(tree, name, **settings):
    """The one thing that a check finds."""
    (finding,) = look(tree, name, **settings)
    return finding


def cure(finding) -> str:
    """Its steps, a line each."""
    return "\n".join(finding.cure)
