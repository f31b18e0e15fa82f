"""What the tests of the host need: a file system to look at, and a user with few rights."""

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from host.looking import VERSION
from host.trees import Tree

from atoll.native import shared_library

NOBODY = 65534
SOURCE = """
#include <stdlib.h>
#include <unistd.h>
#pragma GCC visibility push(default)
const char *edgetpu_version(void) {{ {body} return "{version}"; }}
{more}
"""


@pytest.fixture
def tree():
    """A file system that any user may look into, which pytest's own folders are not."""
    root = Path(tempfile.mkdtemp(prefix="atoll-tree-"))
    root.chmod(0o755)
    made = Tree(root)
    made.system()
    yield made
    shutil.rmtree(root)


@pytest.fixture
def nobody():
    """Runs what is inside as a user with no rights, where the tests run as root."""

    @contextlib.contextmanager
    def become():
        if os.geteuid() != 0:
            yield
            return
        groups = os.getgroups()
        os.setgroups([])
        os.setegid(NOBODY)
        os.seteuid(NOBODY)
        try:
            yield
        finally:
            os.seteuid(0)
            os.setegid(0)
            os.setgroups(groups)

    return become


@pytest.fixture
def driver(tmp_path, monkeypatch):
    """Makes a library that answers as libedgetpu does, or fails."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def make(body="", more="", version=VERSION, name="libedgetpu.so.1") -> Path:
        source = tmp_path / f"{name}.c"
        source.write_text(SOURCE.format(body=body, more=more, version=version))
        return shared_library(source, name)

    return make
