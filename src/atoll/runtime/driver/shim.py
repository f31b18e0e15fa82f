"""The driver's delegate, adapted to today's LiteRT.

A delegate hands LiteRT a TfLiteRegistration by value. It had 64 bytes when libedgetpu was built
(TensorFlow 2.5), and has 88 today; LiteRT takes what lies behind the 64, the caller's own stack,
for pointers and flags, and may call them. So, while the driver prepares, the function that it hands
its registration to is ours. It passes on a copy that is as long as LiteRT reads, and zero behind
what the driver filled in.

How long is the driver's? Nothing in a library tells, and builds of 64, 72, 80 and 88 bytes are
about. But the added members mean something only in two ways. A registration with an `invoke` of its
own is complete in its first 64 bytes, and zero says of the rest what is always true: no other form
of the operator, no asynchronous kernel, no output in the place of an input. One without `invoke`
can only be meant in the new form, `registration_external`, which is the member at 64; then that is
kept, and what lies behind is zero as well. So no byte is used of which it is not known that the
driver wrote it.
"""

from __future__ import annotations

import ctypes as c
import threading
from typing import TYPE_CHECKING, Any

from atoll.errors import DeviceError
from atoll.runtime import litert_structs as lite

if TYPE_CHECKING:
    from atoll.errors import AtollError
    from atoll.runtime.driver.library import DriverLibrary


class Passed(c.Structure):
    """A TfLiteRegistration as it arrives: 64 bytes that the driver filled in, and 24 unknown."""

    _fields_ = (
        ("init", c.c_void_p),
        ("free", c.c_void_p),
        ("prepare", c.c_void_p),
        ("invoke", c.c_void_p),
        ("profiling_string", c.c_void_p),
        ("builtin_code", c.c_int32),
        ("custom_name", c.c_void_p),
        ("version", c.c_int),
        ("registration_external", c.c_void_p),
        ("async_kernel", c.c_void_p),
        ("inplace_operator", c.c_uint64),
    )


_CLASSIC_BYTES = Passed.registration_external.offset
_EXTERNAL_BYTES = Passed.async_kernel.offset
# TfLiteDelegate had 48 bytes when the driver was built, without the last member.
_DELEGATE_BYTES = lite.NativeDelegate.opaque_builder.offset

_FREE = c.CFUNCTYPE(None, c.c_void_p, c.c_void_p)
_REPLACE = c.CFUNCTYPE(c.c_int, c.c_void_p, Passed, c.c_void_p, c.c_void_p)


def widened(passed: Passed) -> lite.Registration:
    """A registration of today's length, of what is known to be the driver's own.

    Args:
        passed: What the driver handed over.

    Returns:
        A copy, zero behind it.
    """
    registration = lite.Registration()
    known = _CLASSIC_BYTES if passed.invoke else _EXTERNAL_BYTES
    c.memmove(c.addressof(registration), c.addressof(passed), known)
    return registration


class ShimmedDelegate:
    """A driver's delegate for LiteRT's `experimental_delegates`.

    It must outlive the interpreters that it is given to. LiteRT's Interpreter sees to that by
    itself, as it keeps its delegates until it is gone; `close` waits for the last of them.

    Args:
        library: The driver.
        native: The delegate that it made. It is this object's from now on.
        device: The device's name, for messages.

    Attributes:
        device: The same.
        notes: What a user should know, a sentence each.

    Raises:
        DeviceError: This machine's C structures are not those that LiteRT has.
    """

    def __init__(self, library: DriverLibrary, native: int, device: str) -> None:
        for struct, (size, expected) in lite.SIZES.items():
            if size != expected:
                raise DeviceError(
                    "LiteRT",
                    "the Edge TPU's driver works with its 64-bit data structures",
                    received=f"{struct} of {size} bytes, where {expected} are known",
                    fix="Use a 64-bit Python",
                )
        self.device = device
        self.notes: list[str] = []
        self._life = _Life(library, native)
        inner = lite.NativeDelegate()
        c.memmove(c.addressof(inner), native, _DELEGATE_BYTES)
        self._native = lite.NativeDelegate(
            data=inner.data, prepare=lite.CALL(self._life.prepare), flags=inner.flags
        )
        self._life.outer = c.addressof(self._native)
        self._life.inner_prepare = inner.prepare

    def begin(self) -> None:
        """A call begins: the driver runs it by itself."""

    def finished(self) -> bool:
        """Whether the call was run: LiteRT learns of it where it was not."""
        return True

    def failure(self) -> AtollError | None:
        """The error to raise for what last went wrong in here; None where nothing did."""
        error, self._life.error = self._life.error, None
        if error is None:
            return None
        failure = DeviceError(
            self.device,
            "the adapter between LiteRT and the driver failed",
            received=f"{type(error).__name__}: {error}",
            fix=lite.INSTALL_KNOWN,
        )
        failure.__cause__ = error
        return failure

    def refusal(self, source: object, said: str) -> AtollError:
        """The error to raise where LiteRT fails to make a model ready with this delegate.

        Args:
            source: What to call the model.
            said: What LiteRT says.
        """
        return self.failure() or self._life.library.refusal(source, said)

    def close(self) -> None:
        """Gives the device back: now, or when the last interpreter that uses it is gone."""
        self._life.close()

    @property
    def closed(self) -> bool:
        """Whether the driver's delegate has ended."""
        return self._life.native is None

    def _get_native_delegate_pointer(self) -> int:
        """LiteRT's Interpreter asks its delegates for this."""
        return c.addressof(self._native)

    def __del__(self) -> None:
        # Nothing refers to it: the interpreters that did are gone.
        life = getattr(self, "_life", None)
        if life is not None:
            life.close()


class _Life:
    """What C code calls, and how long the driver's delegate lives.

    Nothing in here refers to the ShimmedDelegate: its memory is free as soon as nobody holds it.
    """

    def __init__(self, library: DriverLibrary, native: int) -> None:
        self.native: int | None = native
        self.outer = 0
        self.inner_prepare: Any = None
        self.error: Exception | None = None
        self.library = library
        self._operators = 0
        self._closing = False
        self._lock = threading.RLock()
        # The registrations point at these as long as an interpreter lives.
        self._kept: dict[tuple[int, int], tuple[Any, Any]] = {}

    def prepare(self, context: int, _delegate: int) -> int:
        """Has the driver take its operators, with its registration widened on the way."""
        slot = c.c_void_p.from_address(context + lite.Context.replace_node_subsets.offset)
        original = slot.value
        if original is None or self.native is None:
            return lite.ERROR
        real = lite.REPLACE(original)

        def replace(address: int, passed: Passed, nodes: int, _inner: int) -> int:
            try:
                status: int = real(address, self._counted(passed), nodes, self.outer)
            except Exception as error:  # it must not cross C code
                self.error = error
                return lite.ERROR
            return status

        ours = _REPLACE(replace)
        slot.value = c.cast(ours, c.c_void_p).value
        try:
            status: int = self.inner_prepare(context, self.native)
        finally:
            slot.value = original
        return status

    def close(self) -> None:
        with self._lock:
            self._closing = True
            if self._operators == 0:
                self._end()

    def _counted(self, passed: Passed) -> lite.Registration:
        """A widened registration whose operators are counted as they come and go."""
        registration = widened(passed)
        if passed.init and passed.free:
            functions = passed.init, passed.free
            if functions not in self._kept:
                self._kept[functions] = self._counting(*functions)
            registration.init, free = self._kept[functions]
            registration.free = c.cast(free, c.c_void_p)
        return registration

    def _counting(self, init_at: int, free_at: int) -> tuple[Any, Any]:
        """The driver's functions that make and free an operator, with a count around them."""
        init, free = lite.INIT(init_at), _FREE(free_at)

        def on_init(context: int, buffer: int, length: int) -> int | None:
            made: int | None = init(context, buffer, length)
            if made:
                with self._lock:
                    self._operators += 1
            return made

        def on_free(context: int, made: int) -> None:
            free(context, made)
            with self._lock:
                self._operators -= 1
                if self._closing and self._operators == 0:
                    self._end()

        return lite.INIT(on_init), _FREE(on_free)

    def _end(self) -> None:
        native, self.native = self.native, None
        if native is not None:
            self.library.destroy(native)
