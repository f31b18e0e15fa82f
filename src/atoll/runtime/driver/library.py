"""The driver's library, libedgetpu: found, loaded, and refused where nothing can make it work."""

from __future__ import annotations

import ctypes as c
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from atoll.errors import DeviceError, ModelError
from atoll.host.library import VARIABLE, find_library, named_library
from atoll.host.library_build import read_version
from atoll.runtime import litert_structs as lite

if TYPE_CHECKING:
    from pathlib import Path

    from atoll.errors import AtollError

_CREATE, _DESTROY = "tflite_plugin_create_delegate", "tflite_plugin_destroy_delegate"
_INSTALL = (
    "Install libedgetpu1-std (https://coral.ai/software), or name the library in the environment "
    f"variable {VARIABLE}"
)
_UPDATE = "Install libedgetpu1-std 16.0 (runtime 14) or a later build"

# What LiteRT adds to a driver's words, with nothing between.
_WHERE = re.compile(r"\.?\s*Node number \d+ \([^)]*\) failed to \w+\.?")
# What a driver says that reads LiteRT's tensors at the wrong places: a number that is no type's.
_ASTRAY = re.compile(r"Unsupported data type in custom op handler: (-?\d+)")

_ERROR_HANDLER = c.CFUNCTYPE(None, c.c_char_p)
_KINDS = {0: "pci", 1: "usb"}


class _Record(c.Structure):
    """struct edgetpu_device (edgetpu_c.h)."""

    _fields_ = (("type", c.c_int), ("path", c.c_char_p))


@dataclass(frozen=True)
class Attached:
    """A device that the driver sees.

    Attributes:
        kind: "usb" or "pci".
        path: Where it is, in the driver's words.
    """

    kind: str
    path: str


class DriverLibrary:
    """A libedgetpu that is loaded, and that LiteRT can work with.

    Args:
        path: The library.

    Attributes:
        path: The same.
        version: What it says of itself; empty where it says nothing.
        runtime: The runtime's version, such as 14; None where it does not say.

    Raises:
        DeviceError: It cannot be loaded, is no Edge TPU driver, or is too old.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            self._native = c.CDLL(path)
        except OSError as error:
            raise _not_loaded(path, str(error)) from None
        for name in (_CREATE, _DESTROY):
            if not hasattr(self._native, name):
                raise DeviceError(
                    path,
                    "it must be the Edge TPU's driver",
                    received=f"a library without {name}",
                    fix=_INSTALL,
                )
        self.version = self._text("edgetpu_version")
        self.runtime = read_version(self.version).runtime
        check_version(path, self.version)
        self._reasons: list[str] = []
        # The library keeps no pointer to it after the call, but may have threads of its own.
        self._handler = _ERROR_HANDLER(self._on_error)
        create: Any = self._native[_CREATE]
        create.restype = c.c_void_p
        create.argtypes = (c.c_void_p, c.c_void_p, c.c_size_t, _ERROR_HANDLER)
        destroy: Any = self._native[_DESTROY]
        destroy.restype, destroy.argtypes = None, (c.c_void_p,)
        self._create, self._destroy = create, destroy

    def create(self, options: dict[str, str]) -> int | None:
        """Opens a device and makes a delegate for it.

        Args:
            options: The driver's options: "device" and others.

        Returns:
            The address of the delegate; None where the driver gave none.
        """
        self._reasons.clear()
        keys = (c.c_char_p * len(options))(*(key.encode() for key in options))
        values = (c.c_char_p * len(options))(*(value.encode() for value in options.values()))
        address: int | None = self._create(keys, values, len(options), self._handler)
        return address or None

    def destroy(self, delegate: int) -> None:
        """Ends a delegate; with the last of a device, the device is closed."""
        self._destroy(delegate)

    @property
    def reason(self) -> str:
        """Why the last delegate was not made, in the driver's words; most often empty."""
        return " ".join(" ".join(self._reasons).split())

    def refusal(self, source: object, said: str) -> AtollError:
        """The error to raise where LiteRT fails to make a model ready with this driver.

        Args:
            source: What to call the model.
            said: What LiteRT says, and the driver within it.

        Returns:
            The error: of the library's, where it reads tensors at the wrong places; for the types
            of a checked file are types that every driver takes.
        """
        astray = _ASTRAY.search(said)
        if astray is not None and int(astray.group(1)) not in lite.TYPE_NAMES:
            taken = f"which takes {astray.group(1)} for the type of a tensor"
            return too_old(self.path, f"{self.version or 'no version'}, {taken}")
        return ModelError(
            source,
            "the Edge TPU's driver must take it",
            received=words_of(said),
            fix="Compile the model again, for this runtime",
        )

    def attached(self) -> list[Attached] | None:
        """The devices that the driver sees, in its order; None where it cannot be asked."""
        if not hasattr(self._native, "edgetpu_list_devices"):
            return None
        ask = self._native.edgetpu_list_devices
        ask.restype, ask.argtypes = c.POINTER(_Record), (c.POINTER(c.c_size_t),)
        count = c.c_size_t()
        records = ask(c.byref(count))
        found = [
            Attached(_KINDS.get(records[i].type, "other"), _decoded(records[i].path))
            for i in range(count.value if records else 0)
        ]
        if records and hasattr(self._native, "edgetpu_free_devices"):
            self._native.edgetpu_free_devices.argtypes = (c.c_void_p,)
            self._native.edgetpu_free_devices(records)
        return found

    def set_verbosity(self, level: int) -> None:
        """How much the driver tells on standard error."""
        if hasattr(self._native, "edgetpu_verbosity"):
            self._native.edgetpu_verbosity(c.c_int(level))

    def _text(self, name: str) -> str:
        if not hasattr(self._native, name):
            return ""
        function = self._native[name]
        function.restype = c.c_char_p
        return " ".join(_decoded(function()).split())

    def _on_error(self, message: bytes | None) -> None:
        self._reasons.append(_decoded(message))


def words_of(said: str) -> str:
    """A driver's words, without what LiteRT adds to them."""
    return _WHERE.sub("", said).strip(" .\n") or "no reason"


def library_path(asked: str | Path | None) -> str:
    """Finds the driver's library: the one asked for, $ATOLL_LIBEDGETPU's, or the system's.

    Args:
        asked: A library that the caller names: its path, or its name in the loader's folders.

    Returns:
        Its path, from the root on: the loader would search its own folders for a mere name.

    Raises:
        DeviceError: There is none, or it is built for another machine.
    """
    if asked is not None:
        path = named_library(os.fspath(asked))
        if path is None:
            raise _missing(str(asked), "no such file")
        return os.fspath(path)
    found = find_library()
    if found is None:
        named = os.environ.get(VARIABLE)
        raise _missing("libedgetpu", f"{VARIABLE}={named}, no such file" if named else "none")
    if not found.fits:
        machine = f"built for {found.machine}" if found.machine else "no library"
        raise _other_machine(str(found.path), machine)
    return os.fspath(found.path)


def check_version(path: str, version: str) -> None:
    """Refuses a library that reads LiteRT's tensors at the wrong places (`LibraryBuild.too_old`).

    It finds no tensor but the first; no adapter cures that.

    Args:
        path: The library.
        version: What it says of itself.

    Raises:
        DeviceError: It is too old.
    """
    if read_version(version).too_old:
        raise too_old(path, version)


def too_old(path: str, received: str) -> DeviceError:
    """The error for a library from before the spring of 2020."""
    return DeviceError(
        path,
        "this libedgetpu is too old for today's LiteRT, whose tensors it takes for shorter than "
        "they are",
        received=received,
        fix=_UPDATE,
    )


def _decoded(text: bytes | None) -> str:
    return (text or b"").decode(errors="replace")


def _missing(thing: str, received: str) -> DeviceError:
    return DeviceError(
        thing, "the Edge TPU's driver must be installed", received=received, fix=_INSTALL
    )


def _other_machine(path: str, received: str) -> DeviceError:
    return DeviceError(
        path,
        "the Edge TPU's driver must be made for this machine",
        received=received,
        fix=_INSTALL,
    )


def _not_loaded(path: str, words: str) -> DeviceError:
    """The error for what the system's loader said, by a table of its words."""
    absent = _ABSENT.match(words)
    if absent is not None and absent.group(1) != path:
        return _needs(path, absent.group(1), words)
    for word, make in _LOADER_WORDS:
        if word in words:
            return make(path, words)
    return DeviceError(path, "the Edge TPU's driver must be loadable", received=words, fix=_INSTALL)


def _needs(path: str, name: str, words: str) -> DeviceError:
    """The error for a library that the driver needs, and that is not there."""
    if name.startswith("libusb"):
        rule, fix = "libusb", "Install it (Debian: apt install libusb-1.0-0)"
    else:
        rule, fix = name, f"Install the package that brings it, or another build: {_INSTALL}"
    return DeviceError(path, f"the Edge TPU's driver needs {rule}", received=words, fix=fix)


def _too_new(path: str, words: str) -> DeviceError:
    return DeviceError(
        path,
        "the Edge TPU's driver must be made for a system no newer than this one",
        received=words,
        fix="Install a build for this system's age: Google's own wants little",
    )


# What the loader says of a file that is not there: of the library, or of one that it needs.
_ABSENT = re.compile(r"(\S+): cannot open shared object file: No such file")
# The first that fits counts.
_LOADER_WORDS = (
    ("wrong ELF class", _other_machine),
    ("invalid ELF header", _other_machine),
    ("file too short", _other_machine),
    ("GLIBC", _too_new),
    ("CXXABI", _too_new),
    ("No such file or directory", _missing),
)
