"""What several tests need: where the reference material lies, when it is there at all."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference models and photos beside the checkout."""
    folder = Path(os.environ.get("ATOLL_SHARED", ROOT.parent / "shared"))
    if not (folder / "models").is_dir():
        pytest.skip(f"the reference material is not beside the checkout ({folder})")
    return folder
