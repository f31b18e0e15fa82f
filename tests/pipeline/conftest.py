"""What several tests of pipelines need."""

import pytest
from chain_models import written
from cut_models import chain, cut, written_model


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """A folder with the models of `chain_models`."""
    return written(tmp_path_factory.mktemp("chain"))


@pytest.fixture(scope="session")
def segments(tmp_path_factory):
    """The files of `cut_models.chain` in three segments."""
    folder = tmp_path_factory.mktemp("segments")
    return cut(written_model(chain(), folder), 3, folder / "out")
