"""Small models that are right by construction, and photos for them."""

import numpy as np
import pytest
from PIL import Image
from pixel_models import pixel_file
from vision_models import colour_detector, colour_segmenter, constant_file


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    """A detector and a segmenter of colours, their labels, and photos."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "detector.tflite").write_bytes(colour_detector())
    (folder / "segmenter.tflite").write_bytes(colour_segmenter())
    (folder / "labels.txt").write_text("0:red\n1:green\n2:blue\n")
    photo = np.zeros((100, 200, 3), np.uint8)
    photo[50:75, 100:125] = (255, 0, 0)
    Image.fromarray(photo).save(folder / "red.png")
    Image.new("RGB", (50, 50)).save(folder / "black.png")
    points = np.linspace(0.1, 0.9, 17)
    triples = np.float32(np.column_stack([points, points, np.full(17, 0.9)]))
    constant_file(folder / "movenet.tflite", {"o": triples.reshape(1, 1, 17, 3)})
    pixel_file(folder / "classifier.tflite")
    return folder
