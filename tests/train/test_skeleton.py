"""Weights find their layer by the network's shape alone: a wrong pair makes a wrong network."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras_networks import tflite

from atoll.framework import keras
from atoll.tflite.reader import read_model
from atoll.train.skeleton import Bone, match, of_keras, of_tflite


def conv(*inputs, kernel=3):
    return Bone("conv", (kernel, kernel, 8, 8, 1, 1, 1, 1), inputs, None)


def node(kind, *inputs):
    return Bone(kind, (), inputs, None)


IMAGE = node("input")


def shuffled(bones, seed):
    """The same nodes in another order that still puts feeders first, and where each one went."""
    rng = random.Random(seed)
    order, left = [], set(range(len(bones)))
    while left:
        ready = sorted(i for i in left if not left.intersection(bones[i].inputs))
        order.append(rng.choice(ready))
        left.discard(order[-1])
    place = {old: new for new, old in enumerate(order)}
    moved = []
    for old in order:
        bone = bones[old]
        inputs = [place[i] for i in bone.inputs]
        if bone.kind == "merge":
            rng.shuffle(inputs)
        moved.append(Bone(bone.kind, bone.shape, tuple(inputs), None))
    return moved, place


def consistent(source, target, found):
    """Whether the pairs are one to one, alike, and fed alike: what makes weights land right."""
    if sorted(found) != [*range(len(target))] or len(set(found.values())) != len(target):
        return False
    for t, s in found.items():
        ours, theirs = target[t], source[s]
        fed = [found[i] for i in ours.inputs]
        given_ = list(theirs.inputs)
        if ours.kind == "merge":
            fed, given_ = sorted(fed), sorted(given_)
        if (ours.kind, ours.shape, fed) != (theirs.kind, theirs.shape, given_):
            return False
    return True


@st.composite
def skeletons(draw):
    """Random networks: few kernel shapes, so that many nodes look alike."""
    bones = [IMAGE]
    for _ in range(draw(st.integers(1, 14))):
        earlier = st.integers(0, len(bones) - 1)
        kind = draw(st.sampled_from(["conv", "conv", "conv", "pool", "merge", "concat"]))
        if kind in ("merge", "concat"):
            feeders = draw(st.lists(earlier, min_size=2, max_size=3))
            if kind == "merge":
                feeders = [*dict.fromkeys(feeders)]
            if len(set(feeders)) > 1:
                bones.append(node(kind, *feeders))
        elif kind == "pool":
            bones.append(node("pool", draw(earlier)))
        else:
            bones.append(conv(draw(earlier), kernel=draw(st.sampled_from([1, 1, 3]))))
    return bones


@settings(deadline=None, max_examples=200)
@given(skeletons(), st.integers(0, 2**32))
def test_a_network_is_found_in_any_order_of_its_layers(bones, seed):
    """TensorFlow's converter and Keras sort the branches of an Inception block differently."""
    source, _ = shuffled(bones, seed)
    found = match(source, bones)
    assert found is not None
    assert consistent(source, bones, found)


@settings(deadline=None, max_examples=100)
@given(skeletons(), st.integers(0, 2**32), st.data())
def test_another_kernel_is_another_network(bones, seed, data):
    """Weights of another shape must be refused here, not by numpy."""
    convolutions = [i for i, bone in enumerate(bones) if bone.kind == "conv"]
    if not convolutions:
        return
    source, _ = shuffled(bones, seed)
    changed = list(bones)
    which = data.draw(st.sampled_from(convolutions))
    changed[which] = conv(*bones[which].inputs, kernel=5)
    assert match(source, changed) is None


@settings(deadline=None, max_examples=100)
@given(skeletons(), st.integers(0, 2**32))
def test_what_comes_behind_the_network_is_left_out(bones, seed):
    """A classifier's head, or a detector's many."""
    head = len(bones)
    longer = [
        *bones,
        Bone("dense", (8, 5), (head - 1,), None),
        conv(head - 1, kernel=7),
        conv(head + 1, kernel=7),
    ]
    source, _ = shuffled(longer, seed)
    found = match(source, bones)
    assert found is not None
    assert consistent(source, bones, found)


def test_branches_that_are_alike_are_paired_branch_by_branch():
    """Two equal branches may be exchanged, but never the first half of one with the other's."""
    bones = [IMAGE, conv(0), conv(0), conv(1), conv(2), node("merge", 3, 4)]
    source = [IMAGE, conv(0), conv(0), conv(2), conv(1), node("merge", 4, 3)]
    found = match(source, bones)
    assert consistent(source, bones, found)
    assert source[found[3]].inputs == (found[1],)
    assert source[found[4]].inputs == (found[2],)


def test_the_order_of_a_concatenation_counts():
    """What follows reads its channels by their place."""
    bones = [IMAGE, conv(0, kernel=1), conv(0), node("concat", 1, 2), conv(3)]
    other = [IMAGE, conv(0), conv(0, kernel=1), node("concat", 1, 2), conv(3)]
    same = [IMAGE, conv(0), conv(0, kernel=1), node("concat", 2, 1), conv(3)]
    assert match(other, bones) is None
    assert match(same, bones) == {0: 0, 1: 2, 2: 1, 3: 3, 4: 4}


def test_equal_branches_of_a_concatenation_are_told_apart_by_their_place():
    """Nothing but the place says which of two equal convolutions is which."""
    bones = [IMAGE, conv(0), conv(0), node("concat", 1, 2), conv(3)]
    swapped = [IMAGE, conv(0), conv(0), node("concat", 2, 1), conv(3)]
    assert match(swapped, bones) == {0: 0, 1: 2, 2: 1, 3: 3, 4: 4}


def test_the_order_of_a_sum_does_not_count():
    bones = [IMAGE, conv(0, kernel=1), conv(0), node("merge", 1, 2)]
    other = [IMAGE, conv(0), conv(0, kernel=1), node("merge", 1, 2)]
    assert match(other, bones) == {0: 0, 1: 2, 2: 1, 3: 3}


@pytest.mark.parametrize(
    "source",
    [
        [IMAGE],
        [IMAGE, conv(0)],
        [IMAGE, conv(0), conv(1), conv(2)],
        [IMAGE, conv(0), conv(0), node("concat", 1, 2)],
        [IMAGE, conv(0), conv(0), node("merge", 0, 1)],
        [],
    ],
)
def test_other_networks_are_refused(source):
    """A chain is no pair of branches, and a sum no concatenation."""
    bones = [IMAGE, conv(0), conv(0), node("merge", 1, 2)]
    assert match(source, bones) is None


@pytest.fixture(scope="module")
def network():
    """A small network with every kind of joint."""
    layers = keras().layers
    keras().utils.set_random_seed(1)
    image = keras().Input((16, 16, 3))
    x = layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(image)
    x = layers.BatchNormalization()(x)
    x = layers.ReLU(6.0)(x)
    short = x
    x = layers.DepthwiseConv2D(3, padding="same")(x)
    x = layers.Conv2D(8, 1)(x)
    x = layers.Add()([short, x])
    one = layers.Conv2D(4, 3, padding="same")(x)
    two = layers.Conv2D(4, 3, padding="same")(x)
    three = layers.MaxPooling2D(3, strides=1, padding="same")(x)
    x = layers.Concatenate()([one, three, two])
    x = layers.AveragePooling2D(2)(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras().Model(image, layers.Dense(5, activation="softmax")(x))


def test_both_formats_have_the_same_bones(network):
    """The converter's graph and Keras's must be read alike, each kind of layer."""
    graph = read_model(tflite(network)).main
    theirs, ours = of_tflite(graph), of_keras(network)
    found = match(theirs, ours)
    assert found is not None
    assert consistent(theirs, ours, found)
    kinds = [bone.kind for bone in ours]
    assert sorted(set(kinds)) == [
        "concat", "conv", "dense", "depthwise", "input", "merge", "pool"
    ]  # fmt: skip
    for t, bone in enumerate(ours):
        if bone.kind == "conv":
            op = graph.operators[theirs[found[t]].layer]
            kernel = graph.tensors[op.inputs[1]].data.transpose(1, 2, 3, 0)
            if not any(
                isinstance(reader.operation, keras().layers.BatchNormalization)
                for reader in bone.layer._outbound_nodes
            ):
                assert np.array_equal(kernel, np.asarray(bone.layer.kernel))


def test_the_head_is_not_part_of_the_backbone(network):
    """A model with a head is recognised as the network without one."""
    theirs = of_tflite(read_model(tflite(network)).main)
    backbone = keras().Model(network.input, network.layers[-3].output)
    assert match(theirs, of_keras(backbone)) is not None
