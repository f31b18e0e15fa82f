"""tflite_runtime.interpreter: LiteRT's, with the Edge TPU's delegate."""

import gc
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import interpreter as litert
from coral_models import NAMED_OUTPUT, classifier, windows

from atoll.compat.hardware import DEVICE_VARIABLE
from atoll.compat.tflite_runtime.interpreter import (
    Delegate,
    Interpreter,
    InterpreterWithCustomOps,
    OpResolverType,
    load_delegate,
)
from atoll.edgetpu.simfile import compile_for_sim
from atoll.tflite.reader import read_model
from atoll.tflite.writer import write_model

LIBRARY = "libedgetpu.so.1"


def answer(interpreter, seed=0):
    """What a model says to random numbers."""
    interpreter.allocate_tensors()
    (takes,), (gives, *_) = interpreter.get_input_details(), interpreter.get_output_details()
    numbers = np.random.default_rng(seed).integers(0, 256, takes["shape"])
    interpreter.set_tensor(takes["index"], numbers.astype(takes["dtype"]))
    interpreter.invoke()
    return interpreter.get_tensor(gives["index"])


def on_edgetpu(**model):
    return Interpreter(**model, experimental_delegates=[load_delegate(LIBRARY)])


@pytest.mark.parametrize(
    "library",
    [
        LIBRARY,
        "libedgetpu.so.1.0",
        "libedgetpu.so",
        "/usr/lib/x86_64-linux-gnu/libedgetpu.so.1",
        "libedgetpu.1.dylib",
        "libedgetpu.1.0.dylib",
        "edgetpu.dll",
        r"C:\Windows\System32\edgetpu.dll",
    ],
)
def test_the_driver_is_known_by_all_its_names(library, compiled, plain):
    """Frigate, pycoral and the tutorials each write another one."""
    delegate = load_delegate(library, {"device": "usb"})
    assert isinstance(delegate, Delegate)
    interpreter = Interpreter(compiled, experimental_delegates=[delegate])
    assert np.array_equal(answer(interpreter), answer(Interpreter(plain)))


def test_one_delegate_serves_several_models(compiled, plain):
    """Programs load the driver once, and open models with it one after the other."""
    delegate = load_delegate(LIBRARY)
    wanted = answer(Interpreter(plain))
    interpreters = [Interpreter(compiled, experimental_delegates=[delegate]) for _ in range(3)]
    del delegate
    gc.collect()
    assert all(np.array_equal(answer(each), wanted) for each in interpreters)
    # What is not compiled runs on the processor, delegate or not.
    assert np.array_equal(answer(on_edgetpu(model_path=plain)), wanted)


@pytest.mark.parametrize("device", ["usb:5", ":4", "pci:9", "foo", "usb:", "usb:-1", "USB"])
def test_a_device_that_is_not_there_fails_as_it_did(device):
    """Programs catch this very error to fall back to the processor."""
    with pytest.raises(ValueError, match=f"^Failed to load delegate from {LIBRARY}\n.+") as caught:
        load_delegate(LIBRARY, {"device": device})
    assert device in str(caught.value)


def test_without_a_stick_and_without_software_it_fails_as_it_did(monkeypatch):
    """Whoever wants the chip alone must not get numbers from somewhere else."""
    monkeypatch.setenv(DEVICE_VARIABLE, "edgetpu")
    monkeypatch.setattr("atoll.host.found.found_devices", list)
    with pytest.raises(ValueError, match=r"No Edge TPU is plugged in\. Run: atoll doctor"):
        load_delegate(LIBRARY)


def test_another_library_is_loaded_as_it_is():
    """A delegate of someone else's is none of ours."""
    with pytest.raises(OSError, match=r"other\.so: cannot open shared object file"):
        load_delegate("other.so")


def test_a_compiled_model_without_a_delegate_fails_as_it_did(compiled):
    """The first mistake of everybody; answers on the net look for these words."""
    with pytest.raises(RuntimeError, match="unresolved custom op: edgetpu-custom-op"):
        Interpreter(compiled).allocate_tensors()


def test_refusals_have_the_words_that_programs_look_for(tmp_path):
    """LiteRT words them anew; the original tests look for the old ones."""
    with pytest.raises(ValueError, match=r"^Could not open 'nothing\.tflite'\.$"):
        on_edgetpu(model_path="nothing.tflite")
    junk = tmp_path / "junk.tflite"
    junk.write_bytes(b"x" * 100)
    with pytest.raises(ValueError, match=r"^Model provided has model identifier 'xxxx', should"):
        on_edgetpu(model_path=str(junk))
    with pytest.raises(ValueError, match="`model_path` or `model_content` must be specified"):
        on_edgetpu()
    with pytest.raises(ValueError, match="Can't both provide"):
        on_edgetpu(model_path=str(junk), model_content=b"x")
    with pytest.raises(RuntimeError, match="Invoke called on model that is not ready"):
        Interpreter(model_content=write_model(classifier())).invoke()


def test_a_compiled_model_whose_twin_is_missing_says_so(compiled, tmp_path):
    """In software nothing else can run it, and the user must learn what to do."""
    alone = tmp_path / "alone_edgetpu.tflite"
    alone.write_bytes(Path(compiled).read_bytes())
    with pytest.raises(RuntimeError, match=r"no alone\.tflite beside it.*--twin"):
        on_edgetpu(model_path=str(alone))


def test_views_of_memory_still_forbid_a_call(compiled):
    """Or a view would show numbers of another call, or memory that is gone."""
    interpreter = on_edgetpu(model_path=compiled)
    interpreter.allocate_tensors()
    view = interpreter.tensor(interpreter.get_output_details()[0]["index"])()
    with pytest.raises(RuntimeError, match="at least 1 reference to internal data"):
        interpreter.invoke()
    del view
    interpreter.invoke()


def test_what_was_compiled_for_the_simulator_runs_too(plain):
    """X_sim.tflite is what people without Google's compiler have."""
    content = write_model(compile_for_sim(read_model(Path(plain).read_bytes())))
    assert np.array_equal(answer(on_edgetpu(model_content=content)), answer(Interpreter(plain)))


def test_a_model_that_xnnpack_gives_up_runs_on_other_kernels(shared):
    """tflite_runtime had no XNNPACK, and ran an old DeepLab."""
    folder = shared / "models/v10"
    compiled = on_edgetpu(model_path=folder / "deeplabv3_mnv2_dm05_pascal_quant_edgetpu.tflite")
    plain = Interpreter(folder / "deeplabv3_mnv2_dm05_pascal_quant.tflite")
    assert np.array_equal(answer(compiled), answer(plain))


def test_a_batch_is_kept_where_kernels_change():
    """resize_tensor_input comes before allocate_tensors."""
    interpreter = Interpreter(model_content=write_model(classifier()))
    index = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(index, [2, 16, 16, 3])
    interpreter._reopen()  # as where XNNPACK gives up
    interpreter.allocate_tensors()
    assert interpreter.get_input_details()[0]["shape"].tolist() == [2, 16, 16, 3]


def test_signatures_are_called_by_name():
    """Models of TensorFlow 2 have them."""
    model = windows([(1, 4), (1, 2)], signature=NAMED_OUTPUT)
    interpreter = Interpreter(model_content=write_model(model))
    assert interpreter.get_signature_list() == {
        "serving_default": {"inputs": ["image"], "outputs": NAMED_OUTPUT}
    }
    image = np.arange(192, dtype=np.float32).reshape(1, 8, 8, 3)
    outputs = interpreter.get_signature_runner()(image=image)
    assert outputs["output_0"].tolist() == [[0, 1, 2, 3]]
    assert outputs["output_1"].tolist() == [[4, 5]]


def test_kernels_that_were_chosen_are_the_only_ones():
    """Whoever asks for reference kernels wants no others."""
    reference = OpResolverType.BUILTIN_REF
    content = write_model(classifier())
    interpreter = Interpreter(model_content=content, experimental_op_resolver_type=reference)
    assert interpreter._left == []
    assert answer(interpreter).shape == (1, 10)
    with pytest.raises(ValueError, match="num_threads should >= 1"):
        Interpreter(model_content=content, num_threads=0)
    assert answer(InterpreterWithCustomOps(model_content=content, num_threads=2)).shape == (1, 10)


def test_the_delegate_is_for_this_interpreter(compiled):
    """LiteRT's own cannot be told which model it is for: a clear error, and no crash."""
    with pytest.raises(RuntimeError, match="pass it to the Interpreter of tflite_runtime"):
        litert.Interpreter(compiled, experimental_delegates=[load_delegate(LIBRARY)])


def test_a_failure_of_the_device_is_told(compiled, monkeypatch):
    """LiteRT says only that a node failed."""
    interpreter = on_edgetpu(model_path=compiled)
    interpreter.allocate_tensors()
    (delegate,) = interpreter._own
    claimed = delegate._operators.claimed[0]
    monkeypatch.setattr(claimed, "kernel", lambda _taken, _made: 1 / 0)
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        interpreter.invoke()
