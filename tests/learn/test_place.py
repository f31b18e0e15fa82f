"""Where a model is cut: a wrong tensor still gives a model that runs, and knows nothing."""

from dataclasses import replace

import pytest
from small_bases import (
    BASES,
    backbone,
    float_model,
    keras_like,
    mobilenet_like,
    plane_model,
    squeezenet_like,
    vgg_like,
)

from atoll.errors import ModelError, UsageError
from atoll.learn.place import find_embedding
from atoll.tflite.build import GraphBuilder
from atoll.tflite.build_core import option
from atoll.tflite.graph import Quantization
from atoll.tflite.reader import read_model


def maker(model, place):
    graph = model.main
    return graph.operators[graph.producers()[place.tensor]].type


@pytest.mark.parametrize(
    ("model", "size", "made_by"),
    [
        (mobilenet_like(), 32, "AVERAGE_POOL_2D"),
        (mobilenet_like("int8"), 32, "AVERAGE_POOL_2D"),
        (keras_like(), 32, "MEAN"),
        (vgg_like(), 40, "FULLY_CONNECTED"),
        (squeezenet_like(), 32, "CONV_2D"),
        (float_model(), 32, "MEAN"),
    ],
)
def test_what_the_last_dense_layer_looks_at(model, size, made_by):
    """The embedding is what the classes are told apart by, in every shape that classifiers have."""
    place = find_embedding(model, "m")
    assert (place.size, maker(model, place)) == (size, made_by)
    dense = model.main.operators[place.dense]
    assert dense.inputs[0] == place.tensor
    assert dense.type in ("CONV_2D", "FULLY_CONNECTED")


def test_a_model_that_gives_scores_and_no_probabilities():
    """Many are converted without the softmax: that must not make scores an embedding."""
    model = keras_like("uint8")
    graph = model.main
    scores = replace(graph, operators=graph.operators[:-1], outputs=graph.operators[-1].inputs)
    place = find_embedding(replace(model, subgraphs=[scores]), "m")
    assert place == find_embedding(model, "m")


def test_an_extractor_gives_its_embedding():
    """With no dense layer behind the pooling there is nothing to cut off."""
    model = BASES["extractor"]()
    place = find_embedding(model, "m")
    assert [place.tensor] == model.main.outputs
    assert place.dense is None


@pytest.mark.parametrize("behind", [(), ("DEQUANTIZE",)])
def test_a_normalised_embedding_is_taken_before_its_normalisation(behind):
    """Face networks end in one; LiteRT stores what it gives in coarse steps."""
    b = GraphBuilder("uint8", seed=1)
    pooled = b.average_pool(backbone(b), 6)
    held = Quantization(b.quantization(-1, 1).scale, b.quantization(-1, 1).zero_point)
    (x,) = b.op(
        "L2_NORMALIZATION", [pooled], [b.shape(pooled)], option("L2Norm"), quantization=held
    )
    for _ in behind:
        x = b.dequantize(x)
    place = find_embedding(b.model(x), "m")
    assert place.tensor == pooled
    assert place.dense is None


def test_published_models_are_cut_at_their_pooling(shared):
    """The rule is held against models that this project did not make."""
    found = {}
    for path in sorted((shared / "models").glob("v1*/*mobilenet_*.tflite")):
        model = read_model(path)
        if len(model.main.operators) > 1 and "ssd" not in path.name:
            try:
                found[path.name] = maker(model, find_embedding(model, path))
            except ModelError:
                assert "deeplab" in path.name or "posenet" in path.name
    assert len(found) >= 7
    assert set(found.values()) <= {"AVERAGE_POOL_2D", "MEAN"}


def test_a_tensor_can_be_named():
    """Where the rule is wrong, the user is right."""
    model = mobilenet_like()
    plane = model.main.tensors[model.main.operators[1].outputs[0]]
    place = find_embedding(model, "m", plane.name)
    assert (place.name, place.size, place.dense) == (plane.name, 32, None)
    with pytest.raises(UsageError, match="Near: ") as caught:
        find_embedding(model, "m", plane.name[:-1])
    assert plane.name in str(caught.value)


def two_outputs():
    b = GraphBuilder("int8", seed=1)
    x = backbone(b)
    return b.model([b.conv2d(x, 4, kernel=1), b.conv2d(x, 8, kernel=1)])


def two_branches():
    b = GraphBuilder("int8", seed=1)
    x = b.mean(backbone(b))
    return b.model(b.softmax(b.add(b.dense(x, 4), b.dense(x, 4))))


def no_scale():
    model = mobilenet_like()
    graph = model.main
    index = graph.operators[2].outputs[0]
    held = graph.tensors[index].quantization
    graph.tensors[index] = replace(
        graph.tensors[index], quantization=Quantization(held.scale * 0, held.zero_point)
    )
    return model


def several_photos():
    model = mobilenet_like()
    index = model.main.operators[2].outputs[0]
    model.main.tensors[index] = replace(model.main.tensors[index], shape=(4, 1, 1, 32))
    return model


@pytest.mark.parametrize("make", [two_outputs, two_branches, no_scale, several_photos, plane_model])
def test_what_has_no_embedding_is_said_so(make):
    """A detector, say: one line with what stands in the way and how to name a tensor."""
    with pytest.raises(ModelError, match="--embedding") as caught:
        find_embedding(make(), "m.tflite")
    assert "m.tflite" in str(caught.value)
    assert "\n" not in str(caught.value)
