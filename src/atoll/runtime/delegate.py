"""A LiteRT delegate written in Python: it runs custom operators with Python kernels."""

from __future__ import annotations

import ctypes as c
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from atoll.errors import AtollError, DeviceError, ModelError
from atoll.runtime import litert_structs as lite
from atoll.tflite.types import BY_NAME

# Fills the outputs from the inputs: arrays over LiteRT's own memory, valid during the call.
Kernel = Callable[[Sequence[np.ndarray], Sequence[np.ndarray]], None]
# Makes the kernel of one operator, given its place among those of its name and its payload. Where
# the file does not say the shapes of its outputs, the kernel has a method that does:
# output_shapes(input_shapes).
KernelFactory = Callable[[int, bytes], Kernel]
Shape = tuple[int, ...]

_MOST_DIMENSIONS = 8
# What LiteRT calls an operator that was taken over.
_NAME = "AtollPythonDelegate"

# TfLiteContext.ReportError, which takes further arguments, by the format: they are left alone.
_NOTHING = c.CFUNCTYPE(None, c.c_void_p, c.c_void_p)(lambda _context, _format: None)


class PythonDelegate:
    """Claims every custom operator of one name, and gives each a kernel of its own.

    Pass it to one LiteRT Interpreter in `experimental_delegates`, and keep it until after that is
    gone. LiteRT turns whatever goes wrong in here into a RuntimeError with no reason: catch that,
    and raise what `failure` gives.

    Args:
        name: The custom operators' name.
        make_kernel: Makes the kernel of one of them.

    Raises:
        DeviceError: This machine's C structures are not those that LiteRT has.
    """

    def __init__(self, name: str, make_kernel: KernelFactory) -> None:
        for struct, (size, expected) in lite.SIZES.items():
            if size != expected:
                raise _unknown_layout(f"{struct} of {size} bytes, where {expected} are known")
        self._operators = _Operators(name, make_kernel)
        # The structures keep what C code points to; nothing in them points back at this object,
        # so that a model's memory is free as soon as nobody holds it.
        registration = lite.Registration(
            init=lite.INIT(self._operators.on_init),
            prepare=lite.CALL(self._operators.on_prepare_node),
            invoke=lite.CALL(self._operators.on_invoke),
            custom_name=_NAME.encode(),
            version=1,
        )
        self._native = lite.NativeDelegate(
            prepare=lite.CALL(partial(self._operators.on_prepare, registration)),
            flags=lite.ALLOW_DYNAMIC_TENSORS,
        )

    @property
    def claimed(self) -> int:
        """How many operators it runs."""
        return len(self._operators.claimed)

    def begin(self) -> None:
        """A call begins."""
        self._operators.ran = 0
        self._operators.unmute()

    def finished(self) -> bool:
        """Whether all operators of the main subgraph ran since the call began.

        A signal's handler that raises in the moment when C code calls is heard by nobody, and for
        LiteRT the operator has run: its outputs are those of the call before.
        """
        return self._operators.ran >= (self._operators.of_main or 0)

    def failure(self) -> AtollError | None:
        """The error to raise for what last went wrong in here; None where nothing did.

        It is given once.

        Raises:
            BaseException: What is no error, such as the user's Ctrl-C.
        """
        error, self._operators.error = self._operators.error, None
        if error is None or isinstance(error, AtollError):
            return error
        if not isinstance(error, Exception):
            raise error
        failure = DeviceError(
            self._operators.name,
            "its kernel failed",
            received=f"{type(error).__name__}: {error}",
            fix="Compile the model again",
        )
        failure.__cause__ = error
        return failure

    def refusal(self, _source: object, said: str) -> None:
        """What LiteRT says is never of this one's making: it keeps its own errors.

        Raises:
            KeyboardInterrupt: LiteRT saw it fail, and it has no error: a signal's handler raised
                before it could keep it.
        """
        if _NAME in said.rpartition("Node number")[2]:
            raise KeyboardInterrupt

    def _get_native_delegate_pointer(self) -> int:
        """LiteRT's Interpreter asks its delegates for this."""
        return c.addressof(self._native)


class _Operators:
    """The operators that were taken over, and what C code calls for them.

    Attributes:
        name: Their name.
        claimed: One entry an operator.
        of_main: How many of them are of the main subgraph; None until that is known.
        ran: How many ran since that was last set to 0.
        error: What last went wrong.
    """

    def __init__(self, name: str, make_kernel: KernelFactory) -> None:
        self.name = name
        self.claimed: list[_Claimed] = []
        self.of_main: int | None = None
        self.ran = 0
        self.error: BaseException | None = None
        self._make_kernel = make_kernel
        self._by_node: dict[int, int] = {}
        self._muted: tuple[c.c_void_p, int | None] | None = None

    def on_prepare(self, registration: lite.Registration, context: int, delegate: int) -> int:
        return self._guarded(lambda: self._claim(registration, context, delegate))

    def on_init(self, _context: int, buffer: int, _length: int) -> int:
        params = lite.DelegateParams.from_address(buffer)
        # A handle of 0 would mean failure.
        return 1 + self._by_node[lite.integers(params.nodes_to_replace)[0]]

    def on_prepare_node(self, context: int, node: int) -> int:
        return self._guarded(lambda: self._resize(context, node))

    def on_invoke(self, context: int, node: int) -> int:
        self.unmute()
        status = self._guarded(lambda: self._run(context, node))
        if status != lite.OK:
            self._mute(context)
        return status

    def unmute(self) -> None:
        """Has LiteRT note again what fails."""
        if self._muted is not None:
            place, function = self._muted
            place.value, self._muted = function, None

    def _mute(self, context: int) -> None:
        """Keeps LiteRT from noting that this call fails.

        It would add a line to all that it ever noted of this model, and give that out with every
        failure: a device that is gone for a day would fill the memory with it.
        """
        place = c.c_void_p.from_address(context + lite.Context.report_error.offset)
        self._muted = place, place.value
        place.value = c.cast(_NOTHING, c.c_void_p).value

    def _guarded(self, action: Callable[[], None]) -> int:
        """Runs what C code called for: an exception must not cross into it."""
        try:
            action()
        except BaseException as error:
            self.error = error
            return lite.ERROR
        return lite.OK

    def _claim(self, registration: lite.Registration, address: int, delegate: int) -> None:
        context = lite.Context.from_address(address)
        plan = c.POINTER(lite.IntArray)()
        context.get_execution_plan(address, c.byref(plan))
        # A copy, as the plan changes with every replacement. Each operator by itself, so that
        # each keeps a kernel and tensors of its own.
        for index in list(lite.integers(plan)):
            node = self._own_node(context, address, index)
            if node is None:
                continue
            self._by_node[index] = len(self.claimed)
            self.claimed.append(self._taken(context, node))
            nodes = lite.int_array([index])
            status = context.replace_node_subsets(
                address, registration, c.addressof(nodes), delegate
            )
            if status != lite.OK:
                raise RuntimeError(f"LiteRT kept operator {index} (status {status})")
        if self.of_main is None:  # the main subgraph comes first
            self.of_main = len(self.claimed)

    def _own_node(self, context: lite.Context, address: int, index: int) -> Any:
        """A node of the graph, where it has our name."""
        node, registration = c.POINTER(lite.Node)(), c.POINTER(lite.Registration)()
        context.get_node_and_registration(address, index, c.byref(node), c.byref(registration))
        return node.contents if registration.contents.custom_name == self.name.encode() else None

    def _taken(self, context: lite.Context, node: Any) -> _Claimed:
        inputs, outputs = lite.integers(node.inputs), lite.integers(node.outputs)
        payload = c.string_at(node.custom_initial_data, node.custom_initial_data_size)
        kernel = self._make_kernel(len(self.claimed), payload)
        for index in inputs if hasattr(kernel, "output_shapes") else (*inputs, *outputs):
            _check_layout(context, index)
        return _Claimed(
            kernel,
            [_Window(index) for index in inputs],
            [_Window(index) for index in outputs],
            [_shape(context, index) for index in inputs],
        )

    def _resize(self, address: int, node: int) -> None:
        """Gives outputs the shapes that the kernel says, where it says any."""
        claimed = self._of(node)
        context = lite.Context.from_address(address)
        taken = [_shape(context, window.index) for window in claimed.inputs]
        shapes = getattr(claimed.kernel, "output_shapes", None)
        if shapes is None:
            if taken != claimed.shapes:
                raise self._resized(claimed.shapes, taken)
            return
        for window, wanted in zip(claimed.outputs, shapes(taken), strict=True):
            if _shape(context, window.index) != wanted:
                tensor = c.addressof(context.tensors[window.index])
                status = context.resize_tensor(address, tensor, lite.owned_int_array(wanted))
                if status != lite.OK:
                    raise RuntimeError(f"LiteRT did not resize tensor {window.index} to {wanted}")

    def _resized(self, wanted: Sequence[Shape], taken: Sequence[Shape]) -> ModelError:
        old, new = next(pair for pair in zip(wanted, taken, strict=True) if pair[0] != pair[1])
        return ModelError(
            self.name,
            f"it takes an input of shape {list(old)}, for which it was compiled",
            received=f"an input that was resized to {list(new)}",
            fix="Leave the input's shape as it is",
        )

    def _of(self, node: int) -> _Claimed:
        handle = c.c_void_p.from_address(node + lite.Node.user_data.offset).value
        if handle is None:
            raise _unknown_layout("an operator with no kernel")
        return self.claimed[handle - 1]

    def _run(self, context: int, node: int) -> None:
        claimed = self._of(node)
        table = c.c_void_p.from_address(context + lite.Context.tensors.offset).value
        if table is None:
            raise _unknown_layout("no tensors")
        claimed.kernel(
            [window.array(table) for window in claimed.inputs],
            [window.array(table) for window in claimed.outputs],
        )
        self.ran += 1


class _Window:
    """A tensor of LiteRT's as an array over its memory, made anew only when that has moved."""

    def __init__(self, index: int) -> None:
        self.index = index
        self._offset = index * c.sizeof(lite.LiteTensor)
        self._table = 0
        self._data = c.c_void_p()
        self._bytes = c.c_size_t()
        self._seen: tuple[int | None, int] = (None, 0)
        self._array = np.empty(0, np.uint8)

    def array(self, table: int) -> np.ndarray:
        """The array, given the address of LiteRT's table of tensors."""
        if table != self._table:
            self._table = table
            base = table + self._offset
            self._data = c.c_void_p.from_address(base + lite.LiteTensor.data.offset)
            self._bytes = c.c_size_t.from_address(base + lite.LiteTensor.bytes.offset)
        seen = (self._data.value, self._bytes.value)
        if seen != self._seen:
            self._seen = seen
            self._array = _array(lite.LiteTensor.from_address(table + self._offset))
        return self._array


@dataclass
class _Claimed:
    """One operator that was taken over.

    Attributes:
        kernel: What it does.
        inputs: What it takes.
        outputs: What it gives.
        shapes: The inputs' shapes, as the model has them.
    """

    kernel: Kernel
    inputs: list[_Window]
    outputs: list[_Window]
    shapes: list[Shape]


def _shape(context: lite.Context, index: int) -> Shape:
    return tuple(lite.integers(context.tensors[index].dims))


def _array(tensor: lite.LiteTensor) -> np.ndarray:
    dtype = BY_NAME[lite.TYPE_NAMES[tensor.type]].dtype
    raw = (c.c_char * tensor.bytes).from_address(tensor.data)
    return np.frombuffer(raw, dtype).reshape(lite.integers(tensor.dims))


def _check_layout(context: lite.Context, index: int) -> None:
    """Proves on a tensor that LiteRT's structures are those known here, before they are used."""
    if not 0 <= index < context.tensors_size:
        raise _unknown_layout(f"tensor {index} of {context.tensors_size}")
    tensor = context.tensors[index]
    kind = BY_NAME.get(lite.TYPE_NAMES.get(tensor.type, ""))
    if kind is None or kind.dtype is None or not tensor.dims:
        raise _unknown_layout(f"a tensor of type {tensor.type}")
    rank = tensor.dims.contents.size
    shape = lite.integers(tensor.dims) if 0 <= rank <= _MOST_DIMENSIONS else None
    if shape is None or kind.storage_bytes(shape) != tensor.bytes:
        raise _unknown_layout(f"a tensor of {kind.name} {shape} with {tensor.bytes} bytes")


def _unknown_layout(received: str) -> DeviceError:
    return DeviceError(
        "LiteRT",
        "its data structures must be those that this version of Atoll knows",
        received=received,
        fix=lite.INSTALL_KNOWN,
    )
