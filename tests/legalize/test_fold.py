"""Sizes that a file leaves open, against those that LiteRT finds when it runs the file."""

from dataclasses import replace

import numpy as np
import pytest
from litert_files import opened

from atoll.legalize.batch import fix_batch
from atoll.legalize.draft import Draft
from atoll.legalize.fold import fold_constants
from atoll.legalize.job import legalize
from atoll.legalize.sizes import output_shapes
from atoll.tflite.build import GraphBuilder
from atoll.tflite.build_core import option
from atoll.tflite.graph import Tensor
from atoll.tflite.writer import write_model


def with_open_batch(build):
    """A graph whose batch is open, and whose sizes behind a computed shape are not known."""
    b = GraphBuilder("int8", seed=1)
    x = b.input((1, 8, 6, 4))
    outputs = build(b, x)
    model = b.model(outputs)
    for tensor in model.main.tensors:
        if not tensor.is_constant:
            tensor.shape_signature = (-1, *tensor.shape[1:])
    return model


def computed_reshape(b, x, sizes):
    """What TensorFlow 2.21 writes for a Keras Reshape: the batch is asked for when it runs."""
    (shape,) = b.op(
        "SHAPE", [x], [(len(b.shape(x)),)], option("Shape", outType=2), output_type="INT32"
    )
    ends = [b.constant(np.array([n], np.int32)) for n in (0, 1, 1)]
    (batch,) = b.op(
        "STRIDED_SLICE", [shape, *ends], [()], option("StridedSlice", shrinkAxisMask=1), version=1
    )
    for index in (shape, batch):
        b.tensors[index].quantization = None
    constants = [b.constant(np.array(n, np.int32)) for n in sizes]
    pack = option("Pack", valuesCount=len(sizes) + 1)
    (target,) = b.op("PACK", [batch, *constants], [(len(sizes) + 1,)], pack, version=1)
    (made,) = b.op("RESHAPE", [x, target], [(1, *sizes)], option("Reshape"))
    return made


def test_the_arithmetic_over_a_computed_shape_is_gone():
    """Google's compiler refuses a RESHAPE whose target is computed."""
    model = with_open_batch(lambda b, x: b.dense(computed_reshape(b, b.conv2d(x, 4, 1), (192,)), 5))
    done = legalize(model)
    assert [op.type for op in done.model.main.operators] == [
        "CONV_2D",
        "RESHAPE",
        "FULLY_CONNECTED",
    ]
    assert all(v.target == "tpu" for v in done.after)
    assert all(not t.shape_signature for t in done.model.main.tensors)
    assert done.comparison.max == 0


def _space_to_batch(b, x):
    block, zeros = b.constant(np.array([2, 2], np.int32)), b.constant(np.zeros((2, 2), np.int32))
    (y,) = b.op("SPACE_TO_BATCH_ND", [x, block, zeros], [(4, 4, 3, 4)], version=2)
    y = b.relu(y)
    return b.op("BATCH_TO_SPACE_ND", [y, block, zeros], [(1, 8, 6, 4)], version=2)[0]


def _pieces(b, x):
    axis = b.constant(np.array(3, np.int32))
    one, other = b.op(
        "SPLIT", [axis, x], [(1, 8, 6, 2)] * 2, option("Split", numSplits=2), version=2
    )
    (tall,) = b.op("EXPAND_DIMS", [one, b.constant(np.array(2, np.int32))], [(1, 8, 1, 6, 2)])
    (twice,) = b.op(
        "TILE", [tall, b.constant(np.array([1, 1, 2, 1, 1], np.int32))], [(1, 8, 2, 6, 2)]
    )
    turns = b.constant(np.array([0, 2, 1, 3], np.int32))
    (turned,) = b.op("TRANSPOSE", [other, turns], [(1, 6, 8, 2)], version=2)
    return [b.reshape(twice, (1, 16, 6, 2)), turned]


GRAPHS = {
    "reshape": lambda b, x: computed_reshape(b, x, (4, 2, 6, 4)),
    "windows": lambda b, x: b.max_pool(b.depthwise(b.conv2d(x, 5, 3, 2), 2, padding="VALID"), 2, 1),
    "batches": _space_to_batch,
    "pieces": _pieces,
    "joined": lambda b, x: b.concat([x, b.relu(x)]),
    "resized": lambda b, x: b.transpose_conv(b.resize(x, (16, 12)), 3, 3),
    "reduced": lambda b, x: b.mean(b.pad(x, [(0, 0), (1, 1), (0, 2), (0, 0)]), keepdims=True),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_sizes_are_those_that_litert_finds(name):
    """A wrong size would make a file that does not run, or another part of the image."""
    model = with_open_batch(GRAPHS[name])
    interpreter = opened(write_model(model))
    interpreter.allocate_tensors()
    interpreter.invoke()
    truth = {d["index"]: tuple(d["shape"]) for d in interpreter.get_tensor_details()}
    # As TensorFlow writes it: what is not known stands as 1.
    for tensor in model.main.tensors:
        if not tensor.is_constant:
            tensor.shape = (1, *tensor.shape[1:])
    draft = Draft(model.main, 14)
    assert fix_batch(draft) == ["input"]
    fold_constants(draft)
    checked = 0
    for op in draft.snapshot().operators:
        for index in op.outputs:
            assert draft.tensor(index).shape == truth[index], op.type
            assert not draft.tensor(index).shape_signature
            checked += 1
    assert checked


def test_other_open_sizes_are_left_open():
    """A model for images of any size would become one for images of one pixel."""
    model = with_open_batch(lambda b, x: b.conv2d(x, 4, 1))
    for tensor in model.main.tensors:
        if not tensor.is_constant:
            tensor.shape_signature = (-1, -1, -1, tensor.shape[3])
    done = legalize(model, verify=False)
    assert done.changes == []
    assert [op.type for op in done.model.main.operators] == ["CONV_2D"]
    assert done.model.main.tensors[done.model.main.inputs[0]].shape_signature == (-1, -1, -1, 4)


def test_nothing_is_folded_that_would_make_the_file_large():
    """A few bytes in a damaged file would ask for the memory of the machine."""
    b = GraphBuilder("int8")
    x = b.input((1, 4))
    size = b.constant(np.array([1 << 16, 1 << 14], np.int32))
    b.add_tensor(Tensor("huge", "INT32", (1 << 16, 1 << 14)))
    fill = b.op("FILL", [size, b.constant(np.array(1, np.int32))], [(1 << 16, 1 << 14)])[0]
    b.tensors[fill].type = "INT32"
    total = b.op("CAST", [fill], [(1 << 16, 1 << 14)])[0]
    draft = Draft(b.model([b.relu(x), total]).main, 14)
    assert fold_constants(draft) == []


def test_an_operator_without_a_rule_has_no_size():
    """A guess would be taken for the truth."""
    b = GraphBuilder("int8")
    x = b.input((1, 4))
    b.op("CUSTOM", [x], [(1, 4)], custom_name="Mine")
    draft = Draft(b.model(x).main, 14)
    assert output_shapes(draft, b.operators[0]) is None
    nonsense = replace(b.operators[0], type="TRANSPOSE", inputs=[x, b.constant([5])])
    assert output_shapes(Draft(b.model(x).main, 14), nonsense) is None


def test_a_filled_state_becomes_a_constant():
    """An unrolled GRU begins with a FILL of its zero point: it alone would stay on the CPU."""
    b = GraphBuilder()
    x = b.input((1, 8))
    held = b.quantization(-1.0, 1.0)
    value = b.constant(np.array(5, np.int8), held)
    (state,) = b.op("FILL", [b.constant(np.array([1, 8], np.int32)), value], [(1, 8)],
                    quantization=held, output_type="INT8")  # fmt: skip
    draft = Draft(b.model(b.add(x, state)).main, 14)
    fold_constants(draft)
    tensor = draft.tensor(state)
    assert tensor.data is not None
    assert (tensor.data == 5).all()
    assert tensor.quantization is held


def test_quantised_numbers_are_not_moved_to_another_scale():
    """The same integer would mean another number there."""
    b = GraphBuilder()
    value = b.constant(np.array(5, np.int8), b.quantization(-1.0, 1.0))
    (state,) = b.op("FILL", [b.constant(np.array([1, 8], np.int32)), value], [(1, 8)],
                    quantization=b.quantization(-2.0, 2.0), output_type="INT8")  # fmt: skip
    draft = Draft(b.model(b.add(b.input((1, 8)), state)).main, 14)
    fold_constants(draft)
    assert draft.tensor(state).data is None
