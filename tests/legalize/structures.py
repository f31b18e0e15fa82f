"""Small graphs, one or more for each structural rewrite, that the chip refuses as they are."""

from __future__ import annotations

import numpy as np

from atoll.tflite.build import GraphBuilder
from atoll.tflite.build_core import option

CASES = {}


def case(*names, runtime=14):
    """Registers a graph that these rewrites mend."""

    def register(function):
        CASES[function.__name__] = (function, names, runtime)
        return function

    return register


def start(shape=(1, 8, 8, 4), style="int8"):
    """A graph with an input and a convolution, so that what follows is in the mapped part."""
    b = GraphBuilder(style, seed=1)
    x = b.input((1, shape[1], shape[2], 3)) if len(shape) == 4 else b.input(shape)
    if len(shape) == 4:
        x = b.conv2d(x, shape[3], kernel=3)
    return b, x


def ints(b, *values):
    return b.constant(np.array(values, np.int32))


@case("as-reshape", runtime=12)
def squeeze():
    b, x = start((1, 8, 8, 1))
    return b.model(b.op("SQUEEZE", [x], [(1, 8, 8)], option("Squeeze", squeezeDims=[3]))[0])


@case("as-reshape", runtime=12)
def expand_dims():
    b, x = start()
    y = b.op("EXPAND_DIMS", [x, ints(b, 0)], [(1, 1, 8, 8, 4)], option("ExpandDims"))[0]
    return b.model(b.relu(y))


@case("reshape-chain")
def reshape_in_five_dimensions():
    b, x = start()
    return b.model(b.relu(b.reshape(b.reshape(x, (1, 4, 2, 8, 4)), (1, 8, 8, 4))))


@case("transpose-pair")
def transposes_of_five_dimensions_that_cancel():
    b, x = start()
    y = b.op("TRANSPOSE", [x, ints(b, 0, 3, 1, 2)], [(1, 4, 8, 8)], version=2)[0]
    y = b.op("TRANSPOSE", [y, ints(b, 0, 2, 3, 1)], [(1, 8, 8, 4)], version=2)[0]
    return b.model(b.relu(y))


@case("transpose-around")
def layout_of_pytorch():
    """Channels first around what is computed element by element, and joined."""
    b, x = start((1, 6, 6, 4))
    there, back = ints(b, 0, 3, 1, 2), ints(b, 0, 2, 3, 1)
    y = b.op("TRANSPOSE", [x, there], [(1, 4, 6, 6)], version=2)[0]
    slope = b.random_constant((4, 1, 1))
    y = b.add(b.relu(y), b.op("TRANSPOSE", [b.relu(x), there], [(1, 4, 6, 6)], version=2)[0])
    y = b.mul(y, slope)
    y = b.concat([y, y], axis=1)
    return b.model(b.relu(b.op("TRANSPOSE", [y, back], [(1, 6, 6, 8)], version=2)[0]))


@case("flat-shape", "slice", "transpose-merged")
def head_of_a_detector():
    """Boxes in five dimensions, as YOLOv3 and its kin take them apart."""
    b, x = start((1, 4, 4, 21))
    y = b.reshape(x, (1, 4, 4, 3, 7))
    y = b.op("TRANSPOSE", [y, ints(b, 0, 3, 1, 2, 4)], [(1, 3, 4, 4, 7)], version=4)[0]
    y = b.logistic(y)
    parts = []
    for begin, size in ((0, 2), (2, 2), (4, 3)):
        places = ints(b, 0, 0, 0, 0, begin), ints(b, 1, 3, 4, 4, size)
        part = b.op("SLICE", [y, *places], [(1, 3, 4, 4, size)], option("Slice"), version=2)[0]
        parts.append(b.reshape(part, (1, 48, size)))
    return b.model(parts)


@case("flat-shape")
def softmax_in_five_dimensions():
    b, x = start((1, 4, 4, 12))
    y = b.softmax(b.reshape(x, (1, 4, 4, 3, 4)))
    return b.model(b.relu(b.reshape(y, (1, 4, 4, 12))))


@case("unpack")
def unpack_of_five_dimensions():
    b, x = start((1, 4, 4, 12))
    y = b.reshape(x, (1, 4, 4, 4, 3))
    options = option("Unpack", num=3, axis=4)
    parts = b.op("UNPACK", [y], [(1, 4, 4, 4)] * 3, options, version=2)
    return b.model([b.relu(part) for part in parts])


@case("transpose-ones", runtime=12)
def transpose_that_moves_a_one():
    b, x = start((1, 8, 1, 4))
    y = b.op("TRANSPOSE", [x, ints(b, 0, 2, 1, 3)], [(1, 1, 8, 4)], version=2)[0]
    return b.model(b.relu(y))


@case("transpose-merged")
def channel_shuffle():
    b, x = start((1, 8, 8, 12))
    y = b.reshape(x, (1, 8, 8, 3, 4))
    y = b.op("TRANSPOSE", [y, ints(b, 0, 1, 2, 4, 3)], [(1, 8, 8, 4, 3)], version=4)[0]
    return b.model(b.relu(b.reshape(y, (1, 8, 8, 12))))


@case("transpose-slices")
def pixel_shuffle():
    b, x = start((1, 8, 6, 12))
    y = b.reshape(x, (1, 8, 6, 2, 2, 3))
    y = b.op("TRANSPOSE", [y, ints(b, 0, 1, 3, 2, 4, 5)], [(1, 8, 2, 6, 2, 3)], version=5)[0]
    return b.model(b.relu(b.reshape(y, (1, 16, 12, 3))))


@case("transpose-slices")
def pixel_shuffle_of_pytorch():
    """PyTorch counts a block's places behind the channels."""
    b, x = start((1, 8, 6, 12))
    y = b.reshape(x, (1, 8, 6, 3, 2, 2))
    y = b.op("TRANSPOSE", [y, ints(b, 0, 1, 4, 2, 5, 3)], [(1, 8, 2, 6, 2, 3)], version=5)[0]
    return b.model(b.relu(b.reshape(y, (1, 16, 12, 3))))


@case("transpose-steps")
def windows_of_attention():
    b, x = start((1, 80, 36, 4))
    y = b.reshape(x, (2, 40, 36, 4))
    y = b.op("TRANSPOSE", [y, ints(b, 0, 2, 1, 3)], [(2, 36, 40, 4)], version=2)[0]
    return b.model(b.relu(b.reshape(y, (1, 72, 40, 4))))


@case("wide-integers")
def borders_of_64_bits():
    b, x = start()
    borders = b.constant(np.array([(0, 0), (1, 2), (3, 0), (0, 0)], np.int32))
    b.tensors[borders].data = b.tensors[borders].data.astype(np.int64)
    b.tensors[borders].type = "INT64"
    return b.model(b.relu(b.op("PAD", [x, borders], [(1, 11, 11, 4)], option("Pad"))[0]))


@case("depth-to-space")
def depth_to_space():
    b, x = start((1, 4, 6, 18))
    options = option("DepthToSpace", blockSize=3)
    return b.model(b.relu(b.op("DEPTH_TO_SPACE", [x], [(1, 12, 18, 2)], options, version=2)[0]))


@case("dense")
def dense_over_rows():
    b, x = start((1, 6, 5, 8))
    y = b.reshape(x, (30, 8))
    return b.model(b.relu(b.dense(y, 5)))


@case("dense")
def dense_over_an_image():
    b, x = start((1, 6, 5, 8))
    weights = np.random.default_rng(0).integers(-127, 128, (7, 8), np.int8)
    y = b.op(
        "FULLY_CONNECTED",
        [x, b.constant(weights, b.quantization(-0.5, 0.5)), -1],
        [(1, 6, 5, 7)],
        option("FullyConnected", keepNumDims=True, fusedActivationFunction=1),
        version=5,
    )[0]
    weights_tensor = b.tensors[b.operators[-1].inputs[1]]
    weights_tensor.quantization.zero_point[:] = 0
    return b.model(y)


@case("product")
def product_with_weights():
    b, x = start((1, 6, 5, 8))
    y = b.reshape(x, (1, 30, 8))
    weights = np.random.default_rng(0).integers(-127, 128, (1, 8, 6), np.int8)
    w = b.constant(weights, b.quantization(-0.5, 0.5))
    b.tensors[w].quantization.zero_point[:] = 0
    y = b.op("BATCH_MATMUL", [y, w], [(1, 30, 6)], option("BatchMatMul"), version=2)[0]
    return b.model(b.relu(y))


@case("grouped")
def grouped_convolution():
    b, x = start((1, 8, 8, 6))
    y = b.conv2d(x, 9, kernel=3, activation="RELU")
    op = b.operators[-1]
    weights = b.tensors[op.inputs[1]]
    weights.data = np.ascontiguousarray(weights.data[..., :2])
    weights.shape = weights.data.shape
    op.version = 6
    return b.model(y)


@case("grouped-depthwise")
def grouped_convolution_of_single_channels():
    b, x = start((1, 8, 8, 6))
    y = b.conv2d(x, 12, kernel=3, stride=2, activation="RELU")
    op = b.operators[-1]
    weights = b.tensors[op.inputs[1]]
    weights.data = np.ascontiguousarray(weights.data[..., :1])
    weights.shape = weights.data.shape
    op.version = 6
    return b.model(y)


@case("atrous")
def atrous_same():
    return _atrous((2, 2, 2, 2), (8, 8))


@case("atrous")
def atrous_valid():
    return _atrous((0, 0, 0, 0), (4, 4))


@case("atrous")
def atrous_with_an_uneven_border():
    return _atrous((2, 0, 1, 1), (6, 6))


def _atrous(paddings, size):
    b, x = start((1, 8, 8, 4))
    top, bottom, left, right = paddings
    inner = ((8 + top + bottom) // 2, (8 + left + right) // 2)
    block, borders = ints(b, 2, 2), b.constant(np.array(paddings, np.int32).reshape(2, 2))
    y = b.op("SPACE_TO_BATCH_ND", [x, block, borders], [(4, *inner, 4)], version=2)[0]
    y = b.conv2d(y, 5, kernel=3, padding="VALID")
    crops = b.constant(np.zeros((2, 2), np.int32))
    y = b.op("BATCH_TO_SPACE_ND", [y, block, crops], [(1, *size, 5)], version=2)[0]
    return b.model(b.relu(y))


@case("dilation-same")
def dilation_along_a_line():
    b, x = start()
    return b.model(b.conv2d(x, 4, kernel=(3, 1), dilation=(2, 1)))


@case("dilation-written")
def unequal_dilation():
    b, x = start((1, 12, 12, 4))
    return b.model(b.conv2d(x, 4, kernel=3, dilation=(3, 1)))


@case("pad-zero")
def pad_with_the_zero_point():
    b, x = start()
    zero = b.tensors[x].quantization.zero_point.astype(np.int8)
    value = b.constant(zero, b.tensors[x].quantization)
    borders = b.constant(np.array([(0, 0), (1, 2), (3, 0), (0, 0)], np.int32))
    return b.model(b.relu(b.op("PADV2", [x, borders, value], [(1, 11, 11, 4)], version=2)[0]))


@case("pad-pool")
def pad_before_a_pool():
    b, x = start((1, 9, 9, 4))
    value = b.constant(np.array([-128], np.int8), b.tensors[x].quantization)
    borders = b.constant(np.array([(0, 0), (1, 1), (1, 1), (0, 0)], np.int32))
    y = b.op("PADV2", [x, borders, value], [(1, 11, 11, 4)], version=2)[0]
    return b.model(b.max_pool(y, 3, 2))


@case("pad-shift")
def pad_with_another_value():
    b, x = start()
    value = b.constant(np.array([-101], np.int8), b.tensors[x].quantization)
    borders = b.constant(np.array([(0, 0), (1, 2), (3, 0), (0, 0)], np.int32))
    return b.model(b.relu(b.op("PADV2", [x, borders, value], [(1, 11, 11, 4)], version=2)[0]))


@case("mirror-pad")
def mirror_pad():
    b, x = start((1, 8, 8, 4))
    borders = b.constant(np.array([(0, 0), (3, 1), (2, 2), (0, 0)], np.int32))
    options = option("MirrorPad", mode=0)
    return b.model(
        b.relu(b.op("MIRROR_PAD", [x, borders], [(1, 12, 12, 4)], options, version=2)[0])
    )


@case("mirror-pad")
def symmetric_pad():
    b, x = start((1, 8, 8, 4))
    borders = b.constant(np.array([(0, 0), (1, 1), (0, 2), (0, 0)], np.int32))
    options = option("MirrorPad", mode=1)
    return b.model(
        b.relu(b.op("MIRROR_PAD", [x, borders], [(1, 10, 10, 4)], options, version=2)[0])
    )


@case("fused-activation")
def fused_pool():
    b, x = start()
    y = b.average_pool(x, 2, 2)
    b.operators[-1].options.fusedActivationFunction = 3
    return b.model(y)


@case("mean-steps")
def mean_over_a_large_plane():
    b, x = start((1, 192, 160, 2))
    return b.model(b.mean(x))


@case("reduction-pool", runtime=13)
def maximum_over_a_plane():
    b, x = start()
    options = option("Reducer", keepDims=False)
    return b.model(b.op("REDUCE_MAX", [x, ints(b, 1, 2)], [(1, 4)], options, version=2)[0])


@case("mean-channels")
def mean_over_channels():
    b, x = start((1, 8, 8, 6))
    return b.model(b.mean(x, axes=[3], keepdims=True))


@case("tile-resize", "nearest-merged")
def upsampling_of_keras():
    b, x = start((1, 6, 5, 4))
    y = b.op("EXPAND_DIMS", [x, ints(b, 2)], [(1, 6, 1, 5, 4)], option("ExpandDims"))[0]
    y = b.op("TILE", [y, ints(b, 1, 1, 2, 1, 1)], [(1, 6, 2, 5, 4)], version=3)[0]
    y = b.reshape(y, (1, 12, 5, 4))
    y = b.op("EXPAND_DIMS", [y, ints(b, 3)], [(1, 12, 5, 1, 4)], option("ExpandDims"))[0]
    y = b.op("TILE", [y, ints(b, 1, 1, 1, 2, 1)], [(1, 12, 5, 2, 4)], version=3)[0]
    return b.model(b.relu(b.reshape(y, (1, 12, 10, 4))))


@case("mean-channels")
def mean_over_channels_of_unsigned_numbers():
    b, x = start((1, 8, 8, 6), "uint8")
    return b.model(b.mean(x, axes=[3], keepdims=True))


@case("resize-point")
def image_of_one_point():
    b, x = start((1, 1, 1, 4))
    return b.model(b.relu(b.resize(x, (5, 9))))


@case("bilinear-phases")
def bilinear_by_four():
    b, x = start((1, 6, 5, 4))
    return b.model(b.resize(x, (24, 15), half_pixel_centers=True))


@case("bilinear-phases")
def bilinear_by_four_from_the_corner():
    b, x = start((1, 6, 5, 4))
    return b.model(b.resize(x, (6, 20)))


@case("bilinear-phases")
def bilinear_of_unsigned_numbers():
    b, x = start((1, 6, 5, 4), "uint8")
    return b.model(b.resize(x, (18, 15), half_pixel_centers=True))


@case("tile")
def tile_of_an_image():
    b, x = start((1, 6, 5, 4))
    return b.model(b.relu(b.op("TILE", [x, ints(b, 1, 2, 3, 1)], [(1, 12, 15, 4)], version=2)[0]))


@case("pack", runtime=12)
def pack():
    b, x = start((1, 6, 5, 4))
    y = b.relu(x, "RELU")
    b.tensors[y].quantization = b.tensors[x].quantization
    options = option("Pack", valuesCount=2, axis=3)
    y = b.op("PACK", [x, y], [(1, 6, 5, 2, 4)], options, version=2)[0]
    return b.model(b.relu(b.reshape(y, (1, 6, 5, 8))))


@case("concatenation-flat")
def concatenation_of_five_dimensions():
    b, x = start((1, 6, 6, 4))
    y = b.reshape(x, (1, 3, 2, 6, 4))
    z = b.reshape(b.conv2d(x, 4, 1), (1, 3, 2, 6, 4))
    b.tensors[z].quantization = b.tensors[b.operators[-1].inputs[0]].quantization = b.tensors[
        x
    ].quantization
    y = b.concat([y, z], axis=2)
    return b.model(b.relu(b.reshape(y, (1, 12, 6, 4))))


@case("split")
def uneven_split():
    b, x = start((1, 6, 6, 7))
    parts = b.op(
        "SPLIT_V",
        [x, ints(b, 2, 4, 1), ints(b, -1)],
        [(1, 6, 6, 2), (1, 6, 6, 4), (1, 6, 6, 1)],
        option("SplitV", numSplits=3),
        version=2,
    )
    return b.model([b.relu(part) for part in parts])


@case("unpack")
def unpack():
    b, x = start((1, 6, 3, 4))
    parts = b.op("UNPACK", [x], [(1, 6, 4)] * 3, option("Unpack", num=3, axis=2), version=2)
    return b.model([b.relu(part) for part in parts])


@case("gather")
def gather():
    b, x = start((1, 6, 6, 7))
    options = option("Gather", axis=3)
    y = b.op("GATHER", [x, ints(b, 5, 6, 0, 2, 3)], [(1, 6, 6, 5)], options, version=2)[0]
    return b.model(b.relu(y))


@case("slice")
def slice_with_an_ellipsis():
    b, x = start((1, 6, 6, 7))
    options = option("StridedSlice", ellipsisMask=1, endMask=2)
    inputs = [x, ints(b, 0, 3), ints(b, 0, 0), ints(b, 1, 1)]
    return b.model(b.relu(b.op("STRIDED_SLICE", inputs, [(1, 6, 6, 4)], options, version=2)[0]))


@case("slice")
def slice_with_a_new_axis():
    b, x = start((1, 6, 6, 7))
    options = option("StridedSlice", newAxisMask=1, shrinkAxisMask=4, endMask=8 + 16, beginMask=2)
    inputs = [x, ints(b, 0, 0, 2, -4, 1), ints(b, 0, 1, 3, 0, 0), ints(b, 1, 1, 1, 1, 1)]
    return b.model(b.relu(b.op("STRIDED_SLICE", inputs, [(1, 1, 4, 6)], options, version=2)[0]))


@case("slice-pool")
def focus():
    """The four phases of an image, as YOLOv5 begins."""
    b, x = start((1, 8, 8, 4))
    parts = []
    for row in (0, 1):
        for column in (0, 1):
            inputs = [x, ints(b, 0, row, column, 0), ints(b, 1, 8, 8, 4), ints(b, 1, 2, 2, 1)]
            parts += b.op(
                "STRIDED_SLICE", inputs, [(1, 4, 4, 4)], option("StridedSlice"), version=2
            )
    return b.model(b.relu(b.concat(parts)))


@case("slice-columns")
def every_third_channel():
    b, x = start((1, 8, 8, 7))
    inputs = [x, ints(b, 0, 0, 0, 1), ints(b, 1, 8, 8, 7), ints(b, 1, 1, 1, 3)]
    y = b.op("STRIDED_SLICE", inputs, [(1, 8, 8, 2)], option("StridedSlice"), version=2)[0]
    return b.model(b.relu(y))


@case("older-version")
def newer_version():
    b, x = start()
    y = b.conv2d(x, 4, kernel=3)
    b.operators[-1].version = 8
    return b.model(y)


@case("requantize")
def float_between():
    b, x = start()
    return b.model(b.relu(b.quantize(b.dequantize(x), -2.0, 3.0)))
