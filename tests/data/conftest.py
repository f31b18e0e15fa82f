"""Small data sets made on the spot."""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from PIL import Image

# A busy machine is no error.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

MakeTree = Callable[[Mapping[str, int | bytes]], Path]


def picture(name: str, size: tuple[int, int] = (24, 16)) -> Image.Image:
    """A photo that looks like no other name's."""
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8])
    low = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8)
    return Image.fromarray(low).resize(size, Image.Resampling.BICUBIC)


@pytest.fixture
def make_tree(tmp_path: Path) -> MakeTree:
    """Writes a data set: `{"cats": 3}` is a folder of three photos, `{"a.txt": b"x"}` a file."""

    def make(tree: Mapping[str, int | bytes]) -> Path:
        root = tmp_path / "dataset"
        for name, content in tree.items():
            path = root / name
            if isinstance(content, bytes):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
                continue
            path.mkdir(parents=True, exist_ok=True)
            for number in range(content):
                picture(f"{name}/{number}").save(path / f"{number:03}.png", compress_level=1)
        return root

    return make
