"""`atoll compile` against Vela, Arm's compiler for another accelerator: whole processes, one run.

Then how the time grows with the number of operators.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import facts
from published import NETWORKS

from atoll.tflite.build import GraphBuilder
from atoll.tflite.writer import write_model

RUNS = 5
BIN = Path(sys.executable).parent
MODELS = {
    "mobilenet_v2": facts.SHARED / "models/v13/tf2_mobilenet_v2_1.0_224_ptq.tflite",
    "deeplabv3": facts.SHARED / "models/v13/deeplabv3_mnv2_dm05_pascal_quant.tflite",
}
LARGE = ("resnet50_v1", "inception_resnet_v2")
LENGTHS = (500, 1000, 2000, 5000)


def _seconds(command: list[str | Path]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


def _atoll(path: Path, out: Path) -> float:
    return _seconds([BIN / "atoll", "compile", path, "-o", out, "--backend", "sim"])


def _vela(path: Path, out: Path) -> float:
    return _seconds([BIN / "vela", path, "--output-dir", out])


def _chain(operators: int) -> bytes:
    b = GraphBuilder("int8", seed=5)
    x = b.input((1, 16, 16, 8))
    while len(b.operators) < operators:
        y = b.conv2d(x, 8, 1, activation="RELU")
        x = b.add(x, y) if len(b.operators) % 3 else y
    return write_model(b.model(x))


def main() -> None:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        for name, path in MODELS.items():
            if not path.exists():
                print(f"{name}: {path.name} is not here, left out")
                continue
            pairs = [(_atoll(path, out), _vela(path, out)) for _ in range(RUNS)]
            atoll, vela = (statistics.median(column) for column in zip(*pairs, strict=True))
            rows.append(_row(name, path, atoll, vela))
        for name in LARGE:
            path = out / f"{name}.tflite"
            path.write_bytes(write_model(NETWORKS[name].build()))
            rows.append(_row(name, path, statistics.median(_atoll(path, out) for _ in range(3))))
        for length in LENGTHS:
            path = out / f"chain_{length}.tflite"
            path.write_bytes(_chain(length))
            seconds = statistics.median(_atoll(path, out) for _ in range(3))
            rows.append(_row(f"chain of {length} operators", path, seconds))
    facts.write("compile", rows)


def _row(name: str, path: Path, atoll: float, vela: float | None = None) -> dict:
    return {
        "model": name,
        "model_bytes": path.stat().st_size,
        "atoll_s": round(atoll, 2),
        "vela_s": "" if vela is None else round(vela, 2),
        "ratio": "" if vela is None else round(atoll / vela, 2),
    }


if __name__ == "__main__":
    main()
