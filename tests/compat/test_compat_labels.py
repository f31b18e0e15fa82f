"""Label files, as both libraries read them."""

import pytest

from atoll.compat.edgetpu.utils import dataset_utils
from atoll.compat.pycoral.utils import dataset


def test_all_forms_of_a_line(tmp_path):
    """Wrong names for right classes are worse than none."""
    path = tmp_path / "labels.txt"
    path.write_text("0 cat\n2:hot dog\n  7   Ara macao (Scarlet Macaw)\nplain\n\n12\n")
    common = {0: "cat", 2: "hot dog", 7: "Ara macao (Scarlet Macaw)", 3: "plain", 4: "", 5: "12"}
    assert dataset.read_label_file(str(path)) == common
    assert dataset_utils.read_label_file(str(path)) == common
    path.write_text("great white shark\nsalle à manger: grande\n", encoding="utf-8")
    assert dataset.read_label_file(path) == {0: "great white shark", 1: "salle à manger: grande"}
    assert dataset_utils.ReadLabelFile(path) == {0: "great", 1: "salle"}


def test_a_file_that_is_not_there_is_pythons_own_error():
    """Scripts catch it."""
    with pytest.raises(FileNotFoundError):
        dataset.read_label_file("nothing.txt")
