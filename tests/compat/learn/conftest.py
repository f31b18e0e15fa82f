"""The models to learn on, plain and compiled, each as a program finds them: as files."""

import pytest
from compiled_files import write_pair
from learning_models import extractor, imprintable

from atoll.tflite.reader import read_model
from atoll.tflite.writer import write_model


@pytest.fixture(scope="session")
def extractor_path(tmp_path_factory):
    """A compiled extractor; its twin lies beside it."""
    return write_pair(tmp_path_factory.mktemp("extractor"), extractor(), "extractor")


@pytest.fixture(scope="session", params=["plain", "compiled"])
def model_path(request, extractor_path):
    """A model for the imprinting engines: the last layers stand behind the compiled part."""
    compiled = request.param == "compiled"
    base = read_model(extractor_path) if compiled else extractor()
    path = extractor_path.with_name(f"l2norm{'_edgetpu' if compiled else ''}.tflite")
    path.write_bytes(write_model(imprintable(base)))
    if compiled:
        path.with_name("l2norm.tflite").write_bytes(write_model(imprintable(extractor())))
    return str(path)
