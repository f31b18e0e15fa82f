"""What a published network is, and the pieces that several of them share."""

from collections.abc import Callable
from dataclasses import dataclass

from atoll.tflite.build import GraphBuilder
from atoll.tflite.build_core import Style
from atoll.tflite.graph import Model, Quantization

# What scores before a softmax span: wide enough that probabilities are not all alike.
LOGITS = (-16.0, 16.0)


@dataclass(frozen=True)
class Network:
    """An architecture with a published latency, written anew with random weights.

    Attributes:
        name: What the table calls it.
        build: Makes the model.
        input: Shape of the input, with the batch.
        style: "uint8", as TensorFlow 1 trained and converted it; "int8", as TensorFlow 2 converts.
        source: Where the architecture is written down.
        parameters: Millions of them, as published; None where nobody says.
        macs: Millions of multiplications a call, as published; None where nobody says.
        file_mb: MB of Coral's own file, where its model pages give them; for most rows they are
            those of the compiled file.
    """

    name: str
    build: Callable[[], Model]
    input: tuple[int, ...]
    style: Style
    source: str
    parameters: float | None = None
    macs: float | None = None
    file_mb: float | None = None


def table(*networks: Network) -> dict[str, Network]:
    """Networks by their names."""
    return {network.name: network for network in networks}


def image(b: GraphBuilder, height: int, width: int | None = None) -> int:
    """An image of unsigned bytes as the input; signed graphs convert it first."""
    shape = (1, height, width or height, 3)
    if b.style == "uint8":
        return b.input(shape)
    return b.quantize(b.input(shape, "UINT8"))


def unsigned(b: GraphBuilder, x: int) -> int:
    """An output as unsigned bytes; signed graphs convert it last."""
    if b.style == "uint8":
        return x
    signed = b.tensors[x].quantization
    assert signed is not None, "only quantised outputs have unsigned bytes"
    shifted = Quantization(signed.scale, signed.zero_point + 128)
    return b.op(
        "QUANTIZE", [x], [b.shape(x)], quantization=shifted, output_type="UINT8", version=1
    )[0]


def probabilities(b: GraphBuilder, logits: int) -> Model:
    """The model that ends in a softmax over these."""
    return b.model(unsigned(b, b.softmax(logits)))


def slim_head(b: GraphBuilder, x: int, classes: int = 1001) -> Model:
    """TF-slim's head: pooled over the plane, a 1x1 convolution to the classes, squeezed."""
    x = b.average_pool(x, b.plane(x))
    logits = b.conv2d(x, classes, 1, output_range=LOGITS)
    return probabilities(b, b.reshape(logits, (1, classes)))


def tf2_head(b: GraphBuilder, x: int, classes: int = 1001) -> Model:
    """The head of TensorFlow 2's model garden: the mean over the plane, a 1x1 convolution."""
    logits = b.conv2d(b.mean(x, keepdims=True), classes, 1, output_range=LOGITS)
    return probabilities(b, b.reshape(logits, (1, classes)))


def keras_head(b: GraphBuilder, x: int, classes: int = 1000) -> Model:
    """Keras's head: the mean over the plane, a dense layer."""
    return probabilities(b, b.dense(b.mean(x), classes, output_range=LOGITS))


def normalised(b: GraphBuilder, x: int, activation: str | None = "RELU") -> int:
    """A batch normalisation that no convolution before it takes up: a MUL and an ADD a channel."""
    channels = (b.shape(x)[3],)
    scaled = b.mul(x, b.random_constant(channels, 0.0, 1.8))
    return b.add(scaled, b.random_constant(channels, -0.3, 0.3), activation)


def padded(b: GraphBuilder, x: int, before: int, after: int) -> int:
    """Zeros around the plane, as Keras's ZeroPadding2D puts them."""
    return b.pad(x, [(0, 0), (before, after), (before, after), (0, 0)])
