"""pycoral.utils.edgetpu: calls with raw memory, of every kind that programs have."""

import ctypes
import gc
import os
import sys
import types
import weakref

import numpy as np
import pytest
from coral_models import CLASSES, SIDE, classifier
from pixel_models import pixel_model

from atoll.compat import handles
from atoll.compat.pycoral.utils import edgetpu
from atoll.tflite.writer import write_model

SIZE = SIDE * SIDE * 3
ROW = np.random.default_rng(3).integers(0, 256, SIZE + 8).astype(np.uint8)


@pytest.fixture
def interpreter(compiled):
    made = edgetpu.make_interpreter(compiled)
    made.allocate_tensors()
    return made


def output(interpreter):
    return interpreter.tensor(interpreter.get_output_details()[0]["index"])()


@pytest.fixture
def wanted(interpreter):
    """What the model says to the row."""
    interpreter.set_tensor(
        interpreter.get_input_details()[0]["index"], ROW[:SIZE].reshape(1, SIDE, SIDE, 3)
    )
    interpreter.invoke()
    return output(interpreter).copy()


KINDS = {
    "array": lambda row: row,
    "bytes": lambda row: row.tobytes(),
    "pointer and size": lambda row: (row.ctypes.data_as(ctypes.c_void_p), row.size),
    "array with gaps": lambda row: np.repeat(row, 2)[::2],
}


@pytest.mark.parametrize("more", [0, 8])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_input_gives_the_same(interpreter, wanted, kind, more):
    """Cameras and GStreamer give memory, not arrays; a frame may have padding behind it."""
    held = output(interpreter)
    edgetpu.run_inference(interpreter, KINDS[kind](ROW[: SIZE + more]))
    # Held while it is called: the original's native call looked at no views, nor does this.
    assert np.array_equal(held, wanted)


@pytest.mark.parametrize("kind", KINDS)
def test_too_small_an_input_is_told_with_both_sizes(interpreter, kind):
    """The original's words; programs show them."""
    with pytest.raises(ValueError, match=rf"^input size={SIZE - 1}, expected={SIZE}\.$"):
        edgetpu.run_inference(interpreter, KINDS[kind](ROW[: SIZE - 1]))


def test_an_input_of_another_shape_is_measured_by_its_first_axis(interpreter):
    """As in the original: an image must be flattened first, and the error says so."""
    with pytest.raises(ValueError, match=f"input size=1, expected={SIZE}"):
        edgetpu.run_inference(interpreter, ROW[:SIZE].reshape(1, SIDE, SIDE, 3))


@pytest.mark.parametrize("odd", [None, "text", [1, 2, 3], 7, (1, 2), (ROW, SIZE), bytearray(SIZE)])
def test_anything_else_is_no_input(interpreter, odd):
    """A TypeError, as it was."""
    with pytest.raises(TypeError, match=r"^input data type is not supported\.$"):
        edgetpu.run_inference(interpreter, odd)


def test_nothing_is_read_behind_the_input():
    """The original read four bytes a number of an input of floats, whatever it was given."""
    interpreter = edgetpu.make_interpreter(write_model(pixel_model("FLOAT32", None)))
    interpreter.allocate_tensors()
    numbers = np.linspace(0, 1, 48, dtype=np.float32)
    for given in (numbers, numbers.tobytes(), (numbers.ctypes.data_as(ctypes.c_void_p), 48)):
        edgetpu.run_inference(interpreter, given)
        assert np.array_equal(output(interpreter).ravel(), numbers)
        output(interpreter).fill(0)
    with pytest.raises(ValueError, match="input size=12, expected=48"):
        edgetpu.run_inference(interpreter, np.zeros(48, np.uint8))
    with pytest.raises(RuntimeError, match=r"Input buffer \(48\) has fewer entries .* \(192\)"):
        edgetpu.run_inference(interpreter, bytes(48))


def test_a_null_pointer_is_refused(interpreter):
    """It would end the process."""
    with pytest.raises(ValueError, match="null pointer"):
        edgetpu.run_inference(interpreter, (ctypes.c_void_p(), SIZE))


def test_calls_by_handle(interpreter, wanted):
    """What run_inference calls, programs call too."""
    handle = interpreter._native_handle()
    row = ROW[:SIZE]
    edgetpu.invoke_with_membuffer(handle, row.ctypes.data, SIZE)
    assert np.array_equal(output(interpreter), wanted)
    edgetpu.invoke_with_bytes(handle, row.tobytes())
    assert np.array_equal(output(interpreter), wanted)
    with pytest.raises(RuntimeError, match=rf"^Input buffer \(9\) has fewer entries.*\({SIZE}\)"):
        edgetpu.invoke_with_membuffer(handle, row.ctypes.data, 9)
    assert edgetpu.supports_dmabuf(handle) is False


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="memory files are Linux's")
def test_a_frame_behind_a_descriptor_is_copied(interpreter, wanted):
    """dma-bufs come as descriptors; a memory file is mapped in the same way."""
    descriptor = os.memfd_create("frame")
    handle = interpreter._native_handle()
    try:
        os.write(descriptor, ROW[:SIZE].tobytes())
        edgetpu.invoke_with_dmabuffer(handle, descriptor, SIZE)
        assert np.array_equal(output(interpreter), wanted)
        os.truncate(descriptor, 10)
        for broken in (descriptor, -1):
            with pytest.raises(RuntimeError, match="InvokeWithDmaBuffer failed: "):
                edgetpu.invoke_with_dmabuffer(handle, broken, SIZE)
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("call", ["invoke_with_membuffer", "invoke_with_dmabuffer"])
def test_a_model_that_is_not_ready_says_so(compiled, call):
    """allocate_tensors was forgotten."""
    interpreter = edgetpu.make_interpreter(compiled)
    with pytest.raises(RuntimeError, match="Invoke called on model that is not ready"):
        getattr(edgetpu, call)(interpreter._native_handle(), ROW.ctypes.data, SIZE)


def test_a_handle_of_something_else_is_refused(compiled):
    """A number that is no interpreter's must not be called."""
    with pytest.raises(RuntimeError, match="7 is not the handle of an Interpreter"):
        edgetpu.invoke_with_bytes(7, bytes(SIZE))
    interpreter = edgetpu.make_interpreter(compiled)
    handle, gone = interpreter._native_handle(), weakref.ref(interpreter)
    del interpreter
    gc.collect()
    assert gone() is None
    assert handle not in handles._interpreters


def test_frames_of_gstreamer_are_mapped_and_let_go(interpreter, wanted, monkeypatch):
    """A camera's pipeline stops where its frames are not given back."""
    maps = []

    class Buffer:
        def __init__(self, content):
            self.content = content

        def map(self, flags):
            maps.append(flags)
            return bool(self.content), types.SimpleNamespace(data=self.content)

        def unmap(self, _info):
            maps.append("unmapped")

    gst = types.SimpleNamespace(Buffer=Buffer, MapFlags=types.SimpleNamespace(READ="read"))
    monkeypatch.setitem(sys.modules, "gi.repository.Gst", gst)
    edgetpu.run_inference(interpreter, Buffer(ROW.tobytes()))
    assert np.array_equal(output(interpreter), wanted)
    with pytest.raises(ValueError, match="input size=9"):
        edgetpu.run_inference(interpreter, Buffer(b"123456789"))
    assert maps == ["read", "unmapped"] * 2
    with pytest.raises(RuntimeError, match="gst_buffer_map failed"):
        edgetpu.run_inference(interpreter, Buffer(b""))


@pytest.mark.parametrize("device", [None, "", ":0", ":3", "usb", "usb:0", "pci", "pci:3"])
def test_devices_are_named_as_they_were(compiled, device):
    """Scripts have them on their command line."""
    interpreter = edgetpu.make_interpreter(compiled, device)
    interpreter.allocate_tensors()
    assert interpreter.get_output_details()[0]["shape"].tolist() == [1, CLASSES]


def test_what_is_asked_of_the_driver():
    """Programs count devices, print the version, and ask for more words."""
    listed = edgetpu.list_edge_tpus()
    assert [set(device) for device in listed] == [{"type", "path"}] * 4
    assert len({device["path"] for device in listed}) == 4
    assert edgetpu.get_runtime_version().endswith("RuntimeVersion(14)")
    assert edgetpu.set_verbosity(10) is True
    assert edgetpu.set_verbosity(11) is False


def test_a_delegate_is_taken_before_a_device(compiled):
    """As in the original: the device is not even looked at then."""
    delegate = edgetpu.load_edgetpu_delegate()
    assert edgetpu.make_interpreter(compiled, "usb:99", delegate=delegate)
    content = write_model(classifier())
    assert edgetpu.make_interpreter(content, delegate=delegate)
