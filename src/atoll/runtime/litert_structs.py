"""LiteRT's C structures, as far as a delegate needs them.

Source: tensorflow/lite/core/c/common.h (TFLite schema 3, LiteRT 2.x). The sizes are those of a
64-bit build; `atoll.runtime.delegate` checks the layout once more against the model at run time.
"""

from __future__ import annotations

import ctypes as c
from typing import Any

# What to do where LiteRT's structures turn out to be others than these.
INSTALL_KNOWN = "Install a LiteRT that is known to work: pip install 'ai-edge-litert==2.3.0'"

POINTER = c.c_void_p
OK, ERROR = 0, 1

# TfLiteType: LiteRT numbers its types otherwise than the file does.
TYPE_NAMES = {
    1: "FLOAT32",
    2: "INT32",
    3: "UINT8",
    4: "INT64",
    5: "STRING",
    6: "BOOL",
    7: "INT16",
    8: "COMPLEX64",
    9: "INT8",
    10: "FLOAT16",
    11: "FLOAT64",
    12: "COMPLEX128",
    13: "UINT64",
    14: "RESOURCE",
    15: "VARIANT",
    16: "UINT32",
    17: "UINT16",
    18: "INT4",
    19: "BFLOAT16",
}

# TfLiteDelegateFlags: the delegate also takes graphs with tensors of dynamic size.
ALLOW_DYNAMIC_TENSORS = 1


class IntArray(c.Structure):
    """TfLiteIntArray: a length, and as many integers behind it."""

    _fields_ = (("size", c.c_int), ("data", c.c_int * 0))


INIT = c.CFUNCTYPE(POINTER, POINTER, POINTER, c.c_size_t)
CALL = c.CFUNCTYPE(c.c_int, POINTER, POINTER)


class Registration(c.Structure):
    """TfLiteRegistration, passed by value: 88 bytes, and more of nothing behind them.

    A LiteRT with a longer one would read what lies behind ours; so there is room, and it is zero.
    """

    _fields_ = (
        ("init", INIT),
        ("free", POINTER),
        ("prepare", CALL),
        ("invoke", CALL),
        ("profiling_string", POINTER),
        ("builtin_code", c.c_int32),
        ("custom_name", c.c_char_p),
        ("version", c.c_int),
        ("registration_external", POINTER),
        ("async_kernel", POINTER),
        ("inplace_operator", c.c_uint64),
        ("room", c.c_uint64 * 5),
    )


class Node(c.Structure):
    """TfLiteNode."""

    _fields_ = (
        ("inputs", c.POINTER(IntArray)),
        ("outputs", c.POINTER(IntArray)),
        ("intermediates", c.POINTER(IntArray)),
        ("temporaries", c.POINTER(IntArray)),
        ("user_data", POINTER),
        ("builtin_data", POINTER),
        ("custom_initial_data", POINTER),
        ("custom_initial_data_size", c.c_int),
        ("delegate", POINTER),
        ("might_have_side_effect", c.c_bool),
    )


class LiteTensor(c.Structure):
    """TfLiteTensor."""

    _fields_ = (
        ("type", c.c_int),
        ("data", POINTER),
        ("dims", c.POINTER(IntArray)),
        ("scale", c.c_float),
        ("zero_point", c.c_int32),
        ("allocation_type", c.c_int),
        ("bytes", c.c_size_t),
        ("rest", c.c_char * 64),
    )


class DelegateParams(c.Structure):
    """TfLiteDelegateParams."""

    _fields_ = (
        ("delegate", POINTER),
        ("nodes_to_replace", c.POINTER(IntArray)),
        ("input_tensors", c.POINTER(IntArray)),
        ("output_tensors", c.POINTER(IntArray)),
    )


GET_PLAN = c.CFUNCTYPE(c.c_int, POINTER, c.POINTER(c.POINTER(IntArray)))
GET_NODE = c.CFUNCTYPE(
    c.c_int, POINTER, c.c_int, c.POINTER(c.POINTER(Node)), c.POINTER(c.POINTER(Registration))
)
RESIZE = c.CFUNCTYPE(c.c_int, POINTER, POINTER, POINTER)
REPLACE = c.CFUNCTYPE(c.c_int, POINTER, Registration, POINTER, POINTER)


class Context(c.Structure):
    """TfLiteContext, up to the last member that is used."""

    _fields_ = (
        ("tensors_size", c.c_size_t),
        ("get_execution_plan", GET_PLAN),
        ("tensors", c.POINTER(LiteTensor)),
        ("impl", POINTER),
        ("resize_tensor", RESIZE),
        ("report_error", POINTER),
        ("add_tensors", POINTER),
        ("get_node_and_registration", GET_NODE),
        ("replace_node_subsets", REPLACE),
    )


class NativeDelegate(c.Structure):
    """TfLiteDelegate."""

    _fields_ = (
        ("data", POINTER),
        ("prepare", CALL),
        ("copy_from_buffer_handle", POINTER),
        ("copy_to_buffer_handle", POINTER),
        ("free_buffer_handle", POINTER),
        ("flags", c.c_int64),
        ("opaque_builder", POINTER),
    )


# Bytes that LiteRT 2 has on a 64-bit machine.
SIZES = {
    "TfLiteRegistration": (Registration.room.offset, 88),
    "TfLiteNode": (c.sizeof(Node), 80),
    "TfLiteTensor": (c.sizeof(LiteTensor), 112),
    "TfLiteDelegate": (c.sizeof(NativeDelegate), 56),
}


def integers(array: Any) -> list[int]:
    """The content of a pointer to an IntArray."""
    size = array.contents.size
    start = c.addressof(array.contents) + IntArray.data.offset
    return list((c.c_int * size).from_address(start))


def int_array(values: list[int]) -> Any:
    """A new IntArray in memory of its own."""
    return (c.c_int * (len(values) + 1))(len(values), *values)


def owned_int_array(values: tuple[int, ...]) -> int:
    """The address of a new IntArray that LiteRT frees: it is taken from C's own memory."""
    content = int_array(list(values))
    allocate = c.CDLL(None).malloc
    allocate.restype, allocate.argtypes = POINTER, (c.c_size_t,)
    address: int = allocate(c.sizeof(content))
    c.memmove(address, content, c.sizeof(content))
    return address
