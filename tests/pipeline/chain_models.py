"""Models that see what a few lines of numpy see: bright cells, and colours."""

import numpy as np
from PIL import Image

from atoll.pipeline import Classify, Detect
from atoll.tflite.build import GraphBuilder
from atoll.tflite.writer import write_model

SIDE, CELLS = 32, 4


def _pixels_input(b):
    """An image whose numbers are 0 to 1."""
    index = b.input((1, SIDE, SIDE, 3), "UINT8", low=0.0, high=1.0)
    assert b.tensors[index].quantization.zero_point[0] == 0
    return index


def cell_detector() -> bytes:
    """Four outputs as those of an SSD: a box a cell of a 4x4 grid, its score its brightness.

    Cells in the left half are of class 0, those in the right half of class 1.
    """
    b = GraphBuilder("uint8")
    side = SIDE // CELLS
    mean = b.mean(b.average_pool(_pixels_input(b), side, side), axes=(3,))
    scores = b.dequantize(b.reshape(mean, (1, CELLS * CELLS)))
    rows, columns = np.divmod(np.arange(CELLS * CELLS), CELLS)
    edges = np.stack([rows, columns, rows + 1, columns + 1], axis=1) / CELLS
    boxes = b.constant(edges[None].astype(np.float32), name="boxes")
    classes = b.constant((columns[None] >= CELLS // 2).astype(np.float32), name="classes")
    count = b.constant(np.float32([CELLS * CELLS]), name="count")
    return write_model(b.model([boxes, classes, scores, count]))


def colour_classifier() -> bytes:
    """The mean of each channel as the scores of three classes."""
    b = GraphBuilder("uint8")
    return write_model(b.model(b.mean(_pixels_input(b))))


COLOURS = ["red", "green", "blue"]
SIDES = ["left", "right"]


def photo(cells, size=(SIDE, SIDE)):
    """A black photo with coloured cells: {(row, column): colour}."""
    image = Image.new("RGB", size)
    wide, high = size[0] // CELLS, size[1] // CELLS
    for (row, column), colour in cells.items():
        image.paste(colour, (column * wide, row * high, (column + 1) * wide, (row + 1) * high))
    return image


def written(folder):
    """Both models, as files in a folder."""
    (folder / "cells.tflite").write_bytes(cell_detector())
    (folder / "colours.tflite").write_bytes(colour_classifier())
    return folder


def detect(files, **how):
    """A step that finds bright cells."""
    return Detect(files / "cells.tflite", **({"labels": SIDES, "threshold": 0.3} | how))


def classify(files, **how):
    """A step that names the colour."""
    return Classify(files / "colours.tflite", **({"labels": COLOURS, "most": 1} | how))


def edges(box):
    """A box as a tuple."""
    return box.left, box.top, box.right, box.bottom


def cell_box(row, column, width, height):
    """Where a cell of a photo of this size is."""
    return (
        column * width / CELLS,
        row * height / CELLS,
        (column + 1) * width / CELLS,
        (row + 1) * height / CELLS,
    )
