"""Programs get the stand-in libusb, wherever their driver lies and with whatever it was linked."""

import subprocess
import sys

import pytest
from stand_in_drivers import stick_driver
from stick_programs import equal_calls, run

from atoll.native import shared_library
from atoll.stick import plugged

# A libusb that has never seen a stick.
OTHER_USB = """
__attribute__((visibility("default"))) int libusb_init(void **context) { *context = 0; return -99; }
"""


@pytest.mark.parametrize("kind", ["--enable-new-dtags", "--disable-new-dtags"])
def test_a_driver_that_names_the_folder_of_its_libusb(new_driver, pair, tmp_path, kind):
    """RUNPATH or RPATH, and loaded by its path: some packages bring both libraries."""
    (tmp_path / "other.c").write_text(OTHER_USB)
    other = shared_library(tmp_path / "other.c", "libusb-1.0.so.0")
    library = stick_driver("new", flags=(f"-Wl,{kind}", f"-Wl,-rpath,{other.parent}"))
    assert library != new_driver
    with plugged(pair[0], fast=True) as sticks:
        lines, status, errors = run(sticks, library, [pair], calls=1)
    assert status == 0, errors
    assert equal_calls(lines) == [True]


def test_a_cache_folder_with_a_blank_in_its_name(pair, tmp_path, monkeypatch):
    """LD_PRELOAD cannot name it: the loader would complain, and the driver sleep as ever."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "Jo Doe:s"))
    code = "import ctypes; ctypes.CDLL(None).libusb_init; print(ctypes.CDLL('libusb-1.0.so.0'))"
    with plugged(fast=True) as sticks:
        assert " " in str(sticks.library)
        done = subprocess.run(
            [sys.executable, "-c", code], env=sticks, capture_output=True, text=True
        )
    assert done.returncode == 0
    assert done.stderr == ""


def test_a_program_that_is_linked_with_the_driver_sleeps_as_long_as_it_says(new_driver, tmp_path):
    """Only the driver's own sleeps are cut short, and not those of who calls it."""
    (tmp_path / "nap.c").write_text(
        "#include <unistd.h>\n"
        '__attribute__((visibility("default"))) int nap(void) {\n'
        "    int failed = usleep(300000);\n"
        "    return failed + 7; /* so that it comes back here */\n"
        "}\n"
    )
    program = shared_library(
        tmp_path / "nap.c",
        "libnap.so",
        flags=("-D_GNU_SOURCE", "-Wl,--no-as-needed", str(new_driver)),
    )
    code = (
        f"import ctypes, time; program = ctypes.CDLL({str(program)!r}); began = time.monotonic();"
        "program.nap(); print(time.monotonic() - began)"
    )
    with plugged(fast=True) as sticks:
        sticks["LD_LIBRARY_PATH"] += f":{new_driver.parent}"
        done = subprocess.run([sys.executable, "-c", code], env=sticks, capture_output=True)
    assert float(done.stdout) >= 0.3, done.stderr
