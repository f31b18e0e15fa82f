"""What a process of its own costs a call: the same model in this process and in a child.

A stick's driver lives in a child process. What that adds is two wake-ups and two copies of the
tensors; it is measured on MobileNet v2's (150,528 bytes in, 1001 out), with a model that does next
to nothing and with MobileNet v2 itself, both run by LiteRT on one thread.
"""

import sys
import time

import ai_edge_litert.schema_py_generated as schema
import numpy as np
from facts import SHARED, write

from atoll.runtime.driver.child import ChildDevice, DriverOptions
from atoll.runtime.simulator import litert_kernel
from atoll.tflite.graph import Model, Operator, Subgraph, Tensor
from atoll.tflite.reader import read_model
from atoll.tflite.writer import write_model

MOBILENET = SHARED / "models/v10/mobilenet_v2_1.0_224_quant.tflite"
IMAGE, SCORES = (1, 224, 224, 3), (1, 1001)
ROUNDS, CALLS = 25, 60
KERNELS = "AUTO"


def slicing():
    """A model with MobileNet v2's tensors that takes the first 1001 numbers of an image."""
    flat = (1, int(np.prod(IMAGE)))
    begin, size = np.int32([0, 0]), np.int32(SCORES)
    tensors = [
        Tensor("image", "UINT8", IMAGE),
        Tensor("flat", "UINT8", flat),
        Tensor("begin", "INT32", (2,), data=begin),
        Tensor("size", "INT32", (2,), data=size),
        Tensor("scores", "UINT8", SCORES),
    ]
    operators = [
        Operator("RESHAPE", [0], [1], options=schema.ReshapeOptionsT(np.int32(flat))),
        Operator("SLICE", [1, 2, 3], [4], options=schema.SliceOptionsT()),
    ]
    return Model([Subgraph("main", tensors, operators, [0], [4])])


def timed(kernel, image, scores):
    """The median of one round's calls, in milliseconds."""
    seconds = []
    for _ in range(CALLS):
        began = time.perf_counter()
        kernel([image], [scores])
        seconds.append(time.perf_counter() - began)
    return float(np.median(seconds)) * 1000


def measured(name, model, child):
    """A row for each way, and what the child adds."""
    graph, content = model.main, write_model(model)
    faces = [[graph.tensors[t] for t in face] for face in (graph.inputs, graph.outputs)]
    ways = {
        "in this process": litert_kernel(content, name, 1, KERNELS),
        "in a child": child.load_model(content, *faces, name, [KERNELS]),
    }
    image = np.random.default_rng(0).integers(0, 256, IMAGE, dtype=np.uint8)
    scores = {way: np.zeros(SCORES, np.uint8) for way in ways}
    rounds = {way: [] for way in ways}
    # Rounds are interleaved, so that a slow moment of the machine falls on both alike.
    for _ in range(ROUNDS):
        for way, kernel in ways.items():
            rounds[way].append(timed(kernel, image, scores[way]))
    here, there = (np.array(rounds[way]) for way in ways)
    assert np.array_equal(*scores.values())
    return [
        {
            "model": name,
            "way": way,
            "median_ms": round(float(np.median(values)), 4),
            "child_adds_ms": round(float(np.median(there - here)), 4) if values is there else "",
            "calls": ROUNDS * CALLS,
        }
        for way, values in (("in this process", here), ("in a child", there))
    ]


def main():
    with ChildDevice.shared("sim:0", DriverOptions(threads=1)) as child:
        rows = measured("first 1001 numbers", slicing(), child)
        if MOBILENET.exists():
            rows += measured("MobileNet v2", read_model(MOBILENET), child)
        else:
            print(f"without MobileNet v2: {MOBILENET} is not there", file=sys.stderr)
    write("child", rows)


if __name__ == "__main__":
    main()
