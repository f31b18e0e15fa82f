"""What the tests of arithmetic rewrites share: one operator as a model, rewritten, and run."""

from __future__ import annotations

import numpy as np

from atoll.edgetpu.rules import breach
from atoll.legalize.draft import Draft
from atoll.legalize.engine import Engine
from atoll.legalize.rewrites import activations, arithmetic, curves, gates, softmaxes
from atoll.runtime.litert import open_litert
from atoll.tflite.edit import with_main
from atoll.tflite.graph import Model, Operator, Quantization, Subgraph, Tensor
from atoll.tflite.writer import write_model

ROWS = (*activations.ROWS, *arithmetic.ROWS, *softmaxes.ROWS, *gates.ROWS, *curves.ROWS)
# Every value of 8 bits, once.
PLANE = (1, 4, 8, 8)
LITERT = "BUILTIN_WITHOUT_DEFAULT_DELEGATES"
# XNNPACK takes over what it can: another implementation of the same operators.
XNNPACK = "AUTO"


def grid(scale, zero_point) -> Quantization:
    return Quantization(np.array([scale], np.float32), np.array([zero_point], np.int64))


def spanning(low, high, type="INT8") -> Quantization:
    """The grid from one number to another, 0 among them."""
    low, high = min(low, 0.0), max(high, 0.0, low + 1e-9)
    scale = (high - low) / 255
    lowest = -128 if type == "INT8" else 0
    return grid(scale, lowest + int(np.clip(round(-low / scale), 0, 255)))


def reals(held: Quantization, type="INT8") -> np.ndarray:
    """All numbers of a grid."""
    lowest = -128 if type == "INT8" else 0
    return held.scale[0].astype(np.float64) * (
        np.arange(lowest, lowest + 256) - int(held.zero_point[0])
    )


def activation(name, shape, held, type="INT8") -> Tensor:
    return Tensor(name, type, tuple(shape), quantization=held)


def constant(data, held=None) -> Tensor:
    data = np.asarray(data)
    return Tensor("constant", data.dtype.name.upper(), data.shape, quantization=held, data=data)


def one_operator(kind, inputs, output, options=None) -> Model:
    """A model of one operator; those inputs that are no constants are the model's."""
    tensors = [*inputs, output]
    given = [i for i, tensor in enumerate(inputs) if not tensor.is_constant]
    op = Operator(kind, list(range(len(inputs))), [len(inputs)], options=options)
    return Model([Subgraph("main", tensors, [op], given, [len(inputs)])])


def rewritten(model, runtime=14, verifier=None):
    """The model after all rows of arithmetic that help, and the rows' names."""
    draft = Draft(model.main, runtime)
    engine = Engine(draft, ROWS, verifier)
    engine.run()
    return with_main(model, draft.snapshot()), [change.name for change in engine.applied]


def unmapped(model, runtime=14) -> list[str]:
    """The operators that the chip does not take."""
    return [op.type for op in model.main.operators if breach(model.main, op, runtime) is not None]


def every_value(type="INT8", shape=PLANE) -> np.ndarray:
    lowest = -128 if type == "INT8" else 0
    return (np.arange(np.prod(shape)) % 256 + lowest).astype(type.lower()).reshape(shape)


def shuffled(count, type="INT8", shape=PLANE, seed=0) -> list[np.ndarray]:
    """Arrays that each hold every value, in orders of their own."""
    rng = np.random.default_rng(seed)
    return [rng.permutation(every_value(type, shape).ravel()).reshape(shape) for _ in range(count)]


def called(model, *arrays, kernels=LITERT) -> np.ndarray:
    litert = open_litert(write_model(model), "test", threads=1, kernels=[kernels]).litert
    for detail, array in zip(litert.get_input_details(), arrays, strict=True):
        litert.set_tensor(detail["index"], array)
    litert.invoke()
    return litert.get_tensor(litert.get_output_details()[0]["index"]).astype(np.int64)


def apart(model, changed, *arrays, kernels=LITERT) -> np.ndarray:
    """How many steps two models are apart, an element each; the first runs on LiteRT's kernels."""
    return abs(called(model, *arrays) - called(changed, *arrays, kernels=kernels))
