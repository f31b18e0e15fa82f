"""`atoll compile` against Vela, Arm's compiler for another accelerator: whole processes, one run.

Then large networks, and how the time grows with the number of operators. Both programs start from
bytecode, as an installation has it.
"""

import compileall
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import facts
from published import NETWORKS

import atoll
from atoll.tflite.build import GraphBuilder
from atoll.tflite.reader import read_model
from atoll.tflite.writer import write_model

# Of two programs in turn, so that a slow moment of the machine falls on both alike.
PAIRS = 9
RUNS = 3
BIN = Path(sys.executable).parent
MODELS = {
    "mobilenet_v2": facts.SHARED / "models/v13/tf2_mobilenet_v2_1.0_224_ptq.tflite",
    "deeplabv3": facts.SHARED / "models/v13/deeplabv3_mnv2_dm05_pascal_quant.tflite",
}
LARGE = ("resnet50_v1_224", "inception_resnet_v2_299")
LENGTHS = (500, 1000, 2000, 5000)


@dataclass(frozen=True)
class Took:
    """What a process took.

    Attributes:
        wall_s: Seconds from its start to its end.
        cpu_s: Seconds of processors, its own and the system's for it.
    """

    wall_s: float
    cpu_s: float


def _run(command: list[str | Path]) -> Took:
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{command[0]} exits with {process.returncode}")
    return Took(wall, used.ru_utime + used.ru_stime)


def _atoll(path: Path, out: Path) -> Took:
    return _run([BIN / "atoll", "compile", path, "-o", out, "--backend", "sim"])


def _vela(path: Path, out: Path) -> Took:
    return _run([BIN / "vela", path, "--output-dir", out])


def _median(runs: list[Took]) -> Took:
    return Took(
        statistics.median(run.wall_s for run in runs), statistics.median(run.cpu_s for run in runs)
    )


def _chain(operators: int) -> bytes:
    b = GraphBuilder("int8", seed=5)
    x = b.input((1, 16, 16, 8))
    while len(b.operators) < operators:
        y = b.conv2d(x, 8, 1, activation="RELU")
        x = b.add(x, y) if len(b.operators) % 3 else y
    return write_model(b.model(x))


def main() -> None:
    compileall.compile_dir(Path(atoll.__file__).parent, quiet=2)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        for name, path in MODELS.items():
            if not path.exists():
                print(f"{name}: {path.name} is not here, left out")
                continue
            # The first of each reads its program from the disk.
            pairs = [(_atoll(path, out), _vela(path, out)) for _ in range(PAIRS + 1)][1:]
            ours, theirs = (_median(list(column)) for column in zip(*pairs, strict=True))
            rows.append(_row(name, path, ours, theirs))
        written = {name: lambda name=name: write_model(NETWORKS[name].build()) for name in LARGE}
        written |= {f"chain_{n}": lambda n=n: _chain(n) for n in LENGTHS}
        for name, content in written.items():
            path = out / f"{name}.tflite"
            path.write_bytes(content())
            rows.append(_row(name, path, _median([_atoll(path, out) for _ in range(RUNS)])))
    facts.write("compile", rows)


def _row(name: str, path: Path, ours: Took, theirs: Took | None = None) -> dict:
    operators = len(read_model(path).main.operators)
    return {
        "model": name,
        "model_bytes": path.stat().st_size,
        "operators": operators,
        "atoll_s": round(ours.wall_s, 3),
        "atoll_cpu_s": round(ours.cpu_s, 3),
        "atoll_ms_an_operator": round(ours.wall_s / operators * 1e3, 2),
        "vela_s": "" if theirs is None else round(theirs.wall_s, 3),
        "vela_cpu_s": "" if theirs is None else round(theirs.cpu_s, 3),
        "ratio": "" if theirs is None else round(ours.wall_s / theirs.wall_s, 2),
        "cpu_ratio": "" if theirs is None else round(ours.cpu_s / theirs.cpu_s, 2),
    }


if __name__ == "__main__":
    main()
