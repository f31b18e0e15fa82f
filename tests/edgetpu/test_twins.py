"""A compiled file's twin is found by its name, where Google's published files have it."""

from pathlib import Path

import pytest

from atoll.edgetpu.twins import find_twin, twin_names

NAMES = {
    "a_edgetpu.tflite": ["a.tflite"],
    "m/a_edgetpu.tflite": ["m/a.tflite"],
    "a_cocompiled_with_b_edgetpu.tflite": [
        "a_cocompiled_with_b.tflite",
        "a.tflite",
        "../a.tflite",
    ],
    "m/a_segment_0_of_2_edgetpu.tflite": [
        "m/a_segment_0_of_2.tflite",
        "m/a.tflite",
        "a.tflite",
    ],
    "/m/p/a_segment_1_of_2_edgetpu.tflite": [
        "/m/p/a_segment_1_of_2.tflite",
        "/m/p/a.tflite",
        "/m/a.tflite",
    ],
    "a.tflite": [],
}


@pytest.mark.parametrize("compiled", NAMES)
def test_names_lead_to_twins(compiled):
    """Segments and co-compiled files are found where google-coral/test_data has them."""
    assert [str(path) for path in twin_names(Path(compiled))] == NAMES[compiled]


def test_the_folder_above_counts_for_parts_of_models_alone(tmp_path):
    """A model of the same name in another folder is no twin of a file that is a whole model."""
    (tmp_path / "pipeline").mkdir()
    (tmp_path / "a.tflite").touch()
    segment = tmp_path / "pipeline" / "a_segment_0_of_2_edgetpu.tflite"
    assert find_twin(segment) == tmp_path / "a.tflite"
    assert find_twin(segment.with_name("a_edgetpu.tflite")) is None
    (tmp_path / "pipeline" / "a.tflite").touch()
    assert find_twin(segment) == tmp_path / "pipeline" / "a.tflite"
