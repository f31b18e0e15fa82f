"""Two published sweeps of one size: five convolutions, and dense layers in a row."""

from dataclasses import dataclass

from atoll.tflite.build import GraphBuilder
from atoll.tflite.graph import Model


@dataclass(frozen=True)
class DenseSweep:
    """What all networks of a published sweep have in common.

    Attributes:
        source: How the name of its file ends.
        layers: Dense layers of N neurons, before one of ten.
        inputs: Numbers that go in.
    """

    source: str
    layers: int
    inputs: int


# As github.com/Jorgitou98/EdgeTPU-QuantRL-Evaluation, FC_MACs_memory_test.py, builds them; so much
# memory they take on and off the chip. The MACs in L5.csv count a layer of N x N too many.
DENSE_SWEEPS = (
    DenseSweep("L4-I64.csv", 4, 64),
    DenseSweep("L5.csv", 5, 48 * 48 * 3),
)


def conv5(filters: int, layers: int = 5) -> Model:
    """3x3 convolutions of as many filters each, five, on an image of 64x64x3; all biases 0."""
    b = GraphBuilder("int8")
    x = b.input((1, 64, 64, 3))
    for _ in range(layers):
        x = b.conv2d(x, filters, 3, zero_bias=True)
    return b.model(x)


def dense(neurons: int, layers: int, inputs: int) -> Model:
    """Dense layers of as many neurons each in a row, then one of ten."""
    b = GraphBuilder("int8")
    x = b.input((1, inputs))
    for _ in range(layers):
        x = b.dense(x, neurons)
    return b.model(b.dense(x, 10))
