"""SqueezeNet 1.0 and 1.1."""

from dataclasses import dataclass
from functools import partial

from atoll.tflite.build import GraphBuilder
from atoll.tflite.build_core import Style
from atoll.tflite.graph import Model
from published.network import LOGITS, Network, image, probabilities, table

SOURCE = "arXiv:1602.07360, table 1; github.com/forresti/SqueezeNet, SqueezeNet_v1.0 and v1.1"

# Squeezed and expanded channels of the eight fire modules.
_FIRES = ((16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256))


@dataclass(frozen=True)
class _Form:
    """What tells the versions apart: the first convolution, and before which modules they pool."""

    filters: int
    kernel: int
    pooled: tuple[int, ...]


V1_0 = _Form(96, 7, (0, 3, 7))
V1_1 = _Form(64, 3, (0, 2, 4))


def squeezenet(form: _Form, size: int, style: Style = "int8") -> Model:
    """A classifier; Caffe rounds the size after a pooling up, and so does the padding here."""
    b = GraphBuilder(style)
    x = b.conv2d(image(b, size), form.filters, form.kernel, 2, "VALID", activation="RELU")
    for number, (squeezed, expanded) in enumerate(_FIRES):
        if number in form.pooled:
            x = b.max_pool(x, 3, 2, "SAME" if b.shape(x)[1] % 2 == 0 else "VALID")
        x = b.conv2d(x, squeezed, 1, activation="RELU")
        kernels = [b.conv2d(x, expanded, k, activation="RELU") for k in (1, 3)]
        x = b.concat(kernels)
    x = b.conv2d(x, 1000, 1, activation="RELU", output_range=(0.0, LOGITS[1]))
    return probabilities(b, b.mean(x))


def _row(name: str, form: _Form, size: int, parameters: float, macs: float) -> Network:
    build = partial(squeezenet, form, size)
    return Network(name, build, (1, size, size, 3), "int8", SOURCE, parameters, macs)


# Parameters: its repository's README. MACs: torchvision's squeezenet1_0 and squeezenet1_1.
NETWORKS = table(
    _row("squeezenet_1.0_224", V1_0, 224, 1.25, 819),
    _row("squeezenet_1.1_224", V1_1, 224, 1.24, 349),
)
