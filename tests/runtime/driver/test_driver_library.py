"""The driver's library: each way in which it cannot be used is one line with its cure."""

import pytest
from compiled_files.faults import content_of, sound
from stand_in_drivers import echo_driver, echo_usb

from atoll import Interpreter
from atoll.errors import DeviceError, ModelError
from atoll.runtime.driver.direct import direct_delegate
from atoll.runtime.driver.library import DriverLibrary, _not_loaded, check_version, library_path
from atoll.runtime.driver.options import DriverOptions


def refusal(call):
    with pytest.raises(DeviceError) as caught:
        call()
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_the_library_asked_for_comes_before_the_variable(tmp_path, monkeypatch):
    """Whoever names a library means it."""
    one, two = tmp_path / "one.so", tmp_path / "two.so"
    one.touch()
    two.touch()
    monkeypatch.setenv("ATOLL_LIBEDGETPU", str(two))
    assert library_path(one) == str(one)
    with pytest.raises(DeviceError, match="made for this machine"):
        library_path(None)  # an empty file is for no machine


def test_the_variable_comes_before_the_system(old_driver, monkeypatch):
    """A stand-in, or a build of one's own, is named there."""
    monkeypatch.setenv("ATOLL_LIBEDGETPU", str(old_driver))
    assert library_path(None) == str(old_driver)


def test_a_library_is_found_from_wherever_the_program_goes(tmp_path, monkeypatch):
    """The loader searches its own folders for a name alone, and not this one."""
    (tmp_path / "direct.so").touch()
    monkeypatch.chdir(tmp_path)
    assert library_path("direct.so") == str(tmp_path / "direct.so")
    assert library_path("./direct.so") == str(tmp_path / "direct.so")


def test_a_library_that_is_not_there(monkeypatch, tmp_path):
    """The first error of everybody: it is not installed, or misspelled."""
    monkeypatch.setenv("ATOLL_LIBEDGETPU", "/no/such.so")
    assert "ATOLL_LIBEDGETPU=/no/such.so" in refusal(lambda: library_path(None))
    text = refusal(lambda: library_path(tmp_path / "none.so"))
    assert "must be installed" in text
    assert "libedgetpu1-std" in text


def test_libraries_that_cannot_be_loaded(tmp_path):
    """Half a download, a file for another machine, and one of another kind."""
    broken = tmp_path / "libedgetpu.so.1"
    broken.write_bytes(b"no library at all")
    assert "made for this machine" in refusal(lambda: DriverLibrary(str(broken)))
    assert "must be installed" in refusal(lambda: DriverLibrary(str(tmp_path / "none.so")))


def test_a_missing_libusb_is_named_with_its_cure(tmp_path):
    """The loader names only libusb, and not who wants it."""
    usb = tmp_path / "libusb-1.0.so.0"
    usb.write_bytes(echo_usb().read_bytes())
    library = echo_driver("old", usb=usb)
    usb.unlink()
    text = refusal(lambda: DriverLibrary(str(library)))
    assert text.startswith(f"{library}: ")
    assert "apt install libusb-1.0-0" in text


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("libabsl_flags.so.20220623: cannot open shared object file: No such file or directory",
         "needs libabsl_flags.so.20220623"),
        ("libusb-1.0.so.0: cannot open shared object file: No such file or directory",
         "apt install libusb-1.0-0"),
        ("/lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.38' not found (required by /x/y.so)",
         "no newer than this one"),
        ("/x/libusb-test/y.so: wrong ELF class: ELFCLASS32", "made for this machine"),
        ("/x/y.so: cannot open shared object file: No such file or directory",
         "must be installed"),
        ("/x/y.so: something else", "must be loadable"),
    ],
)  # fmt: skip
def test_what_the_loader_says_has_a_cure(words, told):
    """It names what it misses, and not what wants it; of the last it knows no cure at all."""
    text = str(_not_loaded("/x/y.so", words))
    assert text.startswith("/x/y.so: ")
    assert told in text


def test_a_type_that_a_driver_does_not_know_is_no_sign_of_its_age(old_driver, faulty):
    """A build that lacks a type would be called too old, and its owner sent for another."""
    library = DriverLibrary(str(old_driver))
    said = "Internal: Unsupported data type in custom op handler: {}Node number 1 (X) failed."
    assert isinstance(library.refusal("part", said.format(10)), ModelError)
    for number in (0, -1, 1_234_567):
        assert "too old" in str(library.refusal("part", said.format(number)))


def test_a_library_of_another_kind(old_driver):
    """A typing error in ATOLL_LIBEDGETPU may name any library there is."""
    other = echo_usb()
    assert "without tflite_plugin_create_delegate" in refusal(lambda: DriverLibrary(str(other)))


@pytest.mark.parametrize(
    "version",
    [
        "BuildLabel(COMPILER=5.4.0 20160609,DATE=redacted,TIME=redacted,CL_NUMBER=291256449), "
        "RuntimeVersion(13)",
        "BuildLabel(COMPILER=6.3.0 20170516,DATE=redacted,TIME=redacted,CL_NUMBER=267685300), "
        "RuntimeVersion(12)",
        "BuildLabel(N/A), RuntimeVersion(10)",
    ],
)
def test_drivers_of_old_are_refused_by_name(version):
    """They take LiteRT's tensors for shorter than they are: no answer of theirs is to be had."""
    text = refusal(lambda: check_version("/usr/lib/libedgetpu.so.1", version))
    assert text.startswith("/usr/lib/libedgetpu.so.1: this libedgetpu is too old")
    assert version in text
    assert "16.0" in text


@pytest.mark.parametrize(
    "version",
    [
        "BuildLabel(COMPILER=6.3.0 20170516,DATE=redacted,TIME=redacted), RuntimeVersion(14)",
        "BuildLabel(COMPILER=6.3.0 20170516,DATE=redacted,TIME=redacted), RuntimeVersion(13)",
        "BuildLabel(COMPILER=14.2.0,DATE=Feb 22 2026,TIME=09:51:57), RuntimeVersion(14)",
        "BuildLabel(N/A), RuntimeVersion(15)",
        "",
    ],
)
def test_drivers_that_work_are_taken(version):
    """Published builds of November 2020 and July 2021, and ones that people made since."""
    check_version("x", version)


def test_what_the_library_says(old_driver, faulty):
    """Its version decides which files it runs, and its list which devices there are."""
    library = DriverLibrary(str(old_driver))
    assert library.runtime == 14
    assert "COMPILER=6.3.0" in library.version
    assert [(each.kind, each.path[-3:]) for each in library.attached()] == [
        ("usb", "1-1"),
        ("usb", "1-2"),
    ]
    faulty("none")


def test_a_device_that_is_not_there_is_explained(old_driver, faulty):
    """The driver gives no reason: what the system and the driver see is told instead."""
    options = DriverOptions(library=old_driver)
    text = refusal(lambda: direct_delegate("usb:7", options))
    assert "2 on USB" in text
    assert "0 on" not in refusal(lambda: direct_delegate("pci:0", options))
    faulty("none")
    assert "the driver sees no device" in refusal(lambda: direct_delegate("edgetpu", options))
    faulty("reason")
    assert "a reason of two lines" in refusal(lambda: direct_delegate("usb:0", options))


def test_options_go_to_the_driver_with_a_numbered_device(old_driver, faulty, capfd):
    """Without a number the driver ignores them, and a stick runs at another clock than asked."""
    faulty("options=0")
    options = DriverOptions(library=old_driver, extra={"Performance": "Low"})
    direct_delegate("edgetpu", options).close()
    said = capfd.readouterr().err
    assert "option device=usb:0" in said
    assert "option Performance=Low" in said


def test_direct_mode_says_what_it_lacks(old_driver, faulty):
    """Its user must know that surplus answers pass."""
    from ai_edge_litert import interpreter

    delegate = direct_delegate("usb:0", DriverOptions(library=old_driver))
    assert "surplus bytes" in delegate.notes[0]
    content = content_of(sound())
    interpreter.Interpreter(model_content=content, experimental_delegates=[delegate])


@pytest.mark.parametrize("name", ["usb:0", "edgetpu"])
def test_direct_mode_refuses_what_a_stick_does_not_run(old_driver, faulty, tmp_path, name):
    """Only after it is open is it known what "edgetpu" is: on PCI Express an LSTM runs."""
    file = sound()
    file.programs[0].determined = False
    path = tmp_path / "lstm_edgetpu.tflite"
    path.write_bytes(content_of(file))
    with pytest.raises(ModelError, match="Use an Edge TPU on PCI Express"):
        Interpreter(path, name, direct=True, library=old_driver)
