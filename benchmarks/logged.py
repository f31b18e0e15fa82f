"""Networks that somebody compiled with Google's compiler and published the log of, written anew.

Weights are random: which memory the parameters take depends on shapes, and on biases not being 0.
"""

from collections.abc import Callable
from functools import partial

from published import NETWORKS, mobilenet
from published.inception_large import Chain
from published.network import image, probabilities

from atoll.tflite.build import GraphBuilder
from atoll.tflite.graph import Model

_DENSE_UNITS = 128
_FACES = 128


def person_classifier(model: Model, classes: int = 5) -> Model:
    """A Keras application with a new top: the mean, 128 units, a softmax of few classes.

    Source: github.com/goruck/smart-zoneminder, person-class/train.py (all are built alike).
    """
    graph = model.main
    top = next(
        (i for i, op in enumerate(graph.operators) if op.type in ("MEAN", "RESHAPE")),
        len(graph.operators),
    )
    b = GraphBuilder("int8")
    b.tensors, b.inputs = graph.tensors, graph.inputs
    b.operators = graph.operators[:top]
    features = graph.operators[top].inputs[0]
    x = b.dense(b.mean(features), _DENSE_UNITS, activation="RELU")
    return probabilities(b, b.dense(x, classes))


def mobilenet_v2_person() -> Model:
    """MobileNet v2 as Keras gives it, with that top."""
    b = GraphBuilder("int8")
    x, _ = mobilenet.v2_blocks(b, image(b, 224), keras=True)[-1]
    x = b.conv2d(x, 1280, 1, activation="RELU6")
    return probabilities(b, b.dense(b.dense(b.mean(x), _DENSE_UNITS, activation="RELU"), 5))


def facenet(size: int = 160) -> Model:
    """Inception-ResNet v1 with 128 numbers a face.

    Source: arXiv:1602.07261, figures 10 to 14; github.com/davidsandberg/facenet and its Keras form.
    """
    b = GraphBuilder("int8")
    x = b.conv2d(b.input((1, size, size, 3)), 32, 3, 2, "VALID", activation="RELU")
    x = b.conv2d(x, 32, 3, 1, "VALID", activation="RELU")
    x = b.max_pool(b.conv2d(x, 64, 3, activation="RELU"), 3, 2)
    x = b.conv2d(x, 80, 1, 1, "VALID", activation="RELU")
    x = b.conv2d(x, 192, 3, 1, "VALID", activation="RELU")
    x = b.conv2d(x, 256, 3, 2, "VALID", activation="RELU")
    for _ in range(5):
        x = _residual(b, x, (((32, 1),), ((32, 1), (32, 3)), ((32, 1), (32, 3), (32, 3))))
    x = _reduced(b, x, (((384, 3, 2),), ((192, 1), (192, 3), (256, 3, 2))))
    for _ in range(10):
        x = _residual(b, x, (((128, 1),), ((128, 1), (128, (1, 7)), (128, (7, 1)))))
    x = _reduced(
        b,
        x,
        (
            ((256, 1), (384, 3, 2)),
            ((256, 1), (256, 3, 2)),
            ((256, 1), (256, 3), (256, 3, 2)),
        ),
    )
    for number in range(6):
        branches = (((192, 1),), ((192, 1), (192, (1, 3)), (192, (3, 1))))
        x = _residual(b, x, branches, active=number < 5)
    return b.model(b.dense(b.mean(x), _FACES))


def _chain(b: GraphBuilder, x: int, chain: Chain) -> int:
    for filters, kernel, *stride in chain:
        step = stride[0] if stride else 1
        padding = "VALID" if step == 2 else "SAME"
        x = b.conv2d(x, filters, kernel, step, padding, activation="RELU")
    return x


def _residual(b: GraphBuilder, x: int, branches: tuple[Chain, ...], active: bool = True) -> int:
    mixed = b.concat([_chain(b, x, branch) for branch in branches])
    up = b.conv2d(mixed, b.shape(x)[3], 1, output_range=(-1.0, 1.0))
    return b.add(x, up, "RELU" if active else None)


def _reduced(b: GraphBuilder, x: int, branches: tuple[Chain, ...]) -> int:
    return b.concat([*(_chain(b, x, branch) for branch in branches), b.max_pool(x, 3, 2)])


def square(width: int) -> Model:
    """One dense layer without a bias, as many numbers out as in.

    Source: the measurements of LibrEdgeTPU.
    """
    b = GraphBuilder("int8")
    return b.model(b.dense(b.input((1, width)), width, zero_bias=True, per_channel=True))


def dense_sweep(neurons: int, layers: int, inputs: int) -> Model:
    """Dense layers of as many neurons, then one of ten; one scale a layer and no biases."""
    b = GraphBuilder("int8")
    x = b.input((1, inputs))
    for _ in range(layers):
        x = b.dense(x, neurons, zero_bias=True, per_channel=False)
    return b.model(b.dense(x, 10, zero_bias=True, per_channel=False))


def first_of_yolov3_tiny() -> Model:
    """What of YOLOv3-tiny is mapped: the first convolution, before a LEAKY_RELU."""
    b = GraphBuilder("int8")
    x = b.quantize(b.input((1, 416, 416, 3), "UINT8"))
    return b.model(b.conv2d(x, 16, 3))


def mobilenet_v3_small_and_convolution(size: int = 224, filters: int = 128) -> Model:
    """MobileNet v3 small in Keras's minimalistic form, and a convolution over its whole plane.

    Source: google-coral/edgetpu issue 572; arXiv:1905.02244, table 2; Keras applications
    mobilenet_v3.py. Its on-chip bytes are those of layers without a bias, as in a new model.
    """
    b = GraphBuilder("int8")

    def convolved(x: int, filters: int, kernel: int | tuple[int, int], stride: int = 1) -> int:
        padding = "VALID" if kernel == b.plane(x) else "SAME"
        return b.conv2d(x, filters, kernel, stride, padding, activation="RELU", zero_bias=True)

    x = convolved(b.input((1, size, size, 3)), 16, 3, 2)
    for wide, channels, stride in _V3_SMALL:
        y = convolved(x, wide, 1) if wide != b.shape(x)[3] else x
        y = b.depthwise(y, 3, stride, activation="RELU", zero_bias=True)
        y = b.conv2d(y, channels, 1, zero_bias=True)
        x = b.add(x, y) if stride == 1 and b.shape(x)[3] == channels else y
    x = convolved(x, 576, 1)
    return b.model(convolved(x, filters, b.plane(x)))


# What a block expands to, its channels and its stride.
_V3_SMALL = (
    (16, 16, 2),
    (72, 24, 2),
    (88, 24, 1),
    (96, 40, 2),
    (240, 40, 1),
    (240, 40, 1),
    (120, 48, 1),
    (144, 48, 1),
    (288, 96, 2),
    (576, 96, 1),
    (576, 96, 1),
)


def logged() -> dict[str, Callable[[], Model]]:
    """The networks by how their row of the table of logs begins."""
    return {
        "MobileNetV2 person": mobilenet_v2_person,
        "ResNet50 person": lambda: person_classifier(NETWORKS["resnet50_v1_224"].build()),
        "VGG16 person": lambda: person_classifier(NETWORKS["vgg16"].build()),
        "InceptionResNetV2 person": lambda: person_classifier(
            NETWORKS["inception_resnet_v2_299"].build()
        ),
        "MobileNetV3Small+conv": mobilenet_v3_small_and_convolution,
        "facenet_keras": facenet,
        "yolov3-tiny": first_of_yolov3_tiny,
        "Dense 256x256": partial(square, 256),
        "Dense 8192x8192": partial(square, 8192),
    }
