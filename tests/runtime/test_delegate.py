"""Custom operators that run in Python: right values, and errors that reach the caller."""

import gc
import sys
import weakref

import numpy as np
import pytest

from atoll.errors import CompilerError, DeviceError, ModelError
from atoll.runtime.delegate import PythonDelegate, _Operators
from atoll.runtime.litert import open_litert
from atoll.tflite.graph import Model, Operator, Subgraph, Tensor
from atoll.tflite.types import TYPES
from atoll.tflite.writer import write_model


def chain(*payloads: bytes, name="mine", shape=(1, 4), dtype="FLOAT32") -> bytes:
    """A file with custom operators one behind the other."""
    count = len(payloads)
    tensors = [Tensor(f"t{i}", dtype, shape) for i in range(count + 1)]
    operators = [
        Operator("CUSTOM", [i], [i + 1], custom_name=name, custom_options=payload)
        for i, payload in enumerate(payloads)
    ]
    return write_model(Model([Subgraph("main", tensors, operators, [0], [count])]))


def opened(content, delegate):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content, experimental_delegates=[delegate])
    interpreter.allocate_tensors()
    return interpreter


def call(interpreter, array):
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], array)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def adding(_index, payload):
    """Adds the payload's number."""
    number = int(payload.decode() or 0)

    def kernel(inputs, outputs):
        outputs[0][...] = inputs[0] + number

    return kernel


def test_every_operator_runs_the_kernel_of_its_own_payload():
    """Two compiled parts in one file must not swap their weights."""
    delegate = PythonDelegate("mine", adding)
    interpreter = opened(chain(b"1", b"20", b"300"), delegate)
    assert delegate.claimed == 3
    array = np.float32([[1, 2, 3, 4]])
    for _ in range(3):
        assert np.array_equal(call(interpreter, array), array + 321)
    assert delegate.failure() is None


def test_other_custom_operators_are_left_alone():
    """Somebody else's operator must be reported as missing, not run by us."""
    delegate = PythonDelegate("mine", adding)
    with pytest.raises(RuntimeError, match="theirs"):
        opened(chain(b"1", name="theirs"), delegate)
    assert delegate.claimed == 0


def test_a_kernels_error_reaches_the_caller_with_its_words():
    """LiteRT alone says only that something failed."""

    def failing(_index, payload):
        def kernel(inputs, outputs):
            raise ZeroDivisionError("no such weight")

        return kernel

    delegate = PythonDelegate("mine", failing)
    interpreter = opened(chain(b""), delegate)
    with pytest.raises(RuntimeError):
        call(interpreter, np.zeros((1, 4), np.float32))
    failure = delegate.failure()
    assert isinstance(failure, DeviceError)
    assert "ZeroDivisionError: no such weight" in str(failure)
    assert isinstance(failure.__cause__, ZeroDivisionError)
    assert delegate.failure() is None


def test_our_own_errors_pass_as_they_are():
    """A damaged payload is a model error, with its own cure."""
    error = CompilerError("x", "a rule", received="y", fix="Do z")

    def refusing(_index, payload):
        raise error

    delegate = PythonDelegate("mine", refusing)
    with pytest.raises(RuntimeError):
        opened(chain(b"1"), delegate)
    assert delegate.failure() is error


def test_the_users_interrupt_is_no_failed_kernel():
    """Ctrl-C must end the program, not read as a broken model."""

    def interrupted(_index, payload):
        def kernel(inputs, outputs):
            raise KeyboardInterrupt

        return kernel

    delegate = PythonDelegate("mine", interrupted)
    interpreter = opened(chain(b""), delegate)
    with pytest.raises(RuntimeError):
        call(interpreter, np.zeros((1, 4), np.float32))
    with pytest.raises(KeyboardInterrupt):
        delegate.failure()


@pytest.mark.parametrize("dtype", [row.name for row in TYPES if row.dtype is not None])
def test_tensors_have_their_types_and_shapes(dtype):
    """A kernel that reads bytes for floats gives nonsense."""
    seen = []

    def looking(_index, payload):
        def kernel(inputs, outputs):
            seen.append([(a.dtype, a.shape) for a in (*inputs, *outputs)])
            outputs[0][...] = inputs[0]

        return kernel

    delegate = PythonDelegate("mine", looking)
    interpreter = opened(chain(b"", shape=(2, 3, 1), dtype=dtype), delegate)
    kind = np.dtype(interpreter.get_input_details()[0]["dtype"])
    array = np.arange(6).reshape(2, 3, 1).astype(kind)
    assert np.array_equal(call(interpreter, array), array)
    assert seen == [[(kind, (2, 3, 1))] * 2]


def test_memory_that_moves_is_followed():
    """LiteRT moves its tensors when an input is resized: an old view would read freed memory."""
    from ai_edge_litert.interpreter import Interpreter

    class Growing:
        """Takes any shape."""

        def output_shapes(self, taken):
            return taken

        def __call__(self, inputs, outputs):
            outputs[0][...] = inputs[0] + 5

    delegate = PythonDelegate("mine", lambda _index, _payload: Growing())
    interpreter = Interpreter(model_content=chain(b""), experimental_delegates=[delegate])
    interpreter.allocate_tensors()
    assert call(interpreter, np.zeros((1, 4), np.float32)).tolist() == [[5] * 4]
    interpreter.resize_tensor_input(0, (1, 4096))
    interpreter.allocate_tensors()
    array = np.arange(4096, dtype=np.float32)[None]
    assert np.array_equal(call(interpreter, array), array + 5)
    assert delegate.failure() is None


@pytest.mark.parametrize("shape", [[2, 4], [4, 1]])
def test_an_input_that_was_resized_is_refused(shape):
    """A compiled part is made for one shape; with another it would compute something else."""
    delegate = PythonDelegate("mine", adding)
    interpreter = opened(chain(b"1"), delegate)
    index = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(index, shape)
    with pytest.raises(RuntimeError):
        interpreter.allocate_tensors()
    failure = delegate.failure()
    assert isinstance(failure, ModelError)
    assert "takes an input of shape [1, 4]" in str(failure)
    assert f"resized to {shape}" in str(failure)
    interpreter.resize_tensor_input(index, [1, 4])
    interpreter.allocate_tensors()
    array = np.float32([[1, 2, 3, 4]])
    assert np.array_equal(call(interpreter, array), array + 1)


def test_nothing_keeps_a_model_in_memory():
    """A server that opens models must get their memory back at once."""
    gc.collect()
    gc.disable()
    try:
        delegate = PythonDelegate("mine", adding)
        interpreter = opened(chain(b"1"), delegate)
        call(interpreter, np.zeros((1, 4), np.float32))
        gone = weakref.ref(delegate)
        del interpreter, delegate
        assert gone() is None
    finally:
        gc.enable()


def test_a_call_that_was_interrupted_gives_no_old_answer(monkeypatch):
    """Ctrl-C in the moment when LiteRT calls: it hears nothing of it, and has the last outputs."""
    delegate = PythonDelegate("mine", adding)
    session = open_litert(chain(b"1", b"20"), "x", delegates=lambda _kernels: [delegate])
    array = np.float32([[1, 2, 3, 4]])
    assert np.array_equal(session.invoke([array])[0], array + 21)
    calls = []

    def interrupted(self, action, real=_Operators._guarded):
        calls.append(action)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(self, action)

    with monkeypatch.context() as patched:
        patched.setattr(_Operators, "_guarded", interrupted)
        patched.setattr(sys, "unraisablehook", lambda _: None)
        with pytest.raises(KeyboardInterrupt):
            session.invoke([array + 1])
    assert np.array_equal(session.invoke([array + 2])[0], array + 23)


def test_failures_do_not_add_up():
    """A stick that is gone for a day: LiteRT keeps a line of every failure, and tells them all."""

    def make(_index, _payload):
        def kernel(inputs, outputs):
            if inputs[0][0, 0]:
                raise RuntimeError("gone")
            outputs[0][...] = inputs[0] + 1

        return kernel

    delegate = PythonDelegate("mine", make)
    interpreter = opened(chain(b""), delegate)
    lengths = []
    for _ in range(20):
        with pytest.raises(RuntimeError) as caught:
            call(interpreter, np.float32([[1, 2, 3, 4]]))
        lengths.append(len(str(caught.value)))
        with pytest.raises(DeviceError, match="gone"):
            raise delegate.failure()
    assert lengths[-1] == lengths[1]
    assert np.array_equal(call(interpreter, np.zeros((1, 4), np.float32)), np.ones((1, 4)))
