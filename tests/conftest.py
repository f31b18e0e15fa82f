"""What several tests need: where the reference material lies, when it is there at all."""

import os
from pathlib import Path

import pytest
from cli_runner import atoll
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference models and photos beside the checkout."""
    folder = Path(os.environ.get("ATOLL_SHARED", ROOT.parent / "shared"))
    if not (folder / "models").is_dir():
        pytest.skip(f"the reference material is not beside the checkout ({folder})")
    return folder


@pytest.fixture(scope="session")
def digits(tmp_path_factory) -> Path:
    """A data set of real photos: 480 handwritten digits of four classes, a folder a class."""
    from sklearn.datasets import load_digits

    folder = tmp_path_factory.mktemp("digits")
    images, labels = load_digits(n_class=4, return_X_y=True)
    for number, (pixels, label) in enumerate(zip(images[:480], labels[:480], strict=True)):
        path = folder / "photos" / f"digit {label}" / f"{number:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        grey = Image.fromarray((pixels.reshape(8, 8) * 15.9).astype("uint8"))
        grey.resize((24, 24), Image.Resampling.BICUBIC).save(path)
    return folder / "photos"


@pytest.fixture(scope="session")
def built(digits, tmp_path_factory) -> Path:
    """A finished RUN of those digits, made by the command."""
    run = tmp_path_factory.mktemp("built") / "run"
    process = atoll("build", digits, "-o", run, "--epochs", "8")
    assert process.returncode == 0, process.stderr
    return run
