"""Programs in the place of Google's compiler, which is closed and not to be had.

They take its flags, print what it prints (from published logs), and make files, fail, or hang.
"""

from dataclasses import replace
from pathlib import Path

from atoll.edgetpu.partition import partition
from atoll.edgetpu.simfile import EDGETPU_OP, SIM_OP, to_sim
from atoll.tflite.build import GraphBuilder
from atoll.tflite.graph import Model
from atoll.tflite.writer import write_model

VERSION = "16.0.384591198"
LARGE = "Compilation failed due to large activation tensors in model."
ABORTS = "Internal compiler error. Aborting!"

# Reads its arguments as the program does: $out, $models, $tensors (-i), $segments (-n), $all.
_HEAD = """#!/bin/sh
all="$*"
out=.; models=; tensors=; segments=1
while [ $# -gt 0 ]; do
  case "$1" in
    -o) out="$2"; shift ;;
    -t|-m|-k) shift ;;
    -n) segments="$2"; shift ;;
    -i) tensors="$2"; shift ;;
    -s|-a|-d) ;;
    *) models="$models $1" ;;
  esac
  shift
done
set -- $models
stem="$(basename "$1" .tflite)"
"""

REPORT = """\
Edge TPU Compiler version 16.0.384591198
Started a compilation timeout timer of 180 seconds.

Model compiled successfully in 1524 ms.

Input model: {name}.tflite
Input size: 4.24MiB
Output model: out/{name}_edgetpu.tflite
Output size: 5.57MiB
On-chip memory used for caching model parameters: 4.21MiB
On-chip memory remaining for caching model parameters: 3.29MiB
Off-chip memory used for streaming uncached model parameters: 0.00B
Number of Edge TPU subgraphs: 1
Total number of operations: 267
Operation log: out/{name}_edgetpu.log
"""


def program(path: Path, script: str) -> Path:
    """A stand-in that runs a shell script behind the reading of its arguments."""
    path.write_text(_HEAD + script)
    path.chmod(0o755)
    return path


def say(text: str) -> str:
    """The lines of shell that print a text."""
    return f"cat <<'END'\n{text}\nEND\n"


def chain(operators: int, style="int8") -> Model:
    """A model of so many convolutions, one behind the other."""
    b = GraphBuilder(style, seed=1)
    x = b.input((1, 8, 8, 8))
    for _ in range(operators):
        x = b.conv2d(x, 8, 1, activation="RELU")
    return b.model(x)


def compiled(model: Model, operators: int) -> bytes:
    """A file as Google's compiler would make it with the first operators mapped, but for the code.

    The payload is ours: only where operators stay on the CPU is looked at.
    """
    made = to_sim(model, partition(model.main, stop=operators))
    ops = [
        replace(op, custom_name=EDGETPU_OP) if op.custom_name == SIM_OP else op
        for op in made.main.operators
    ]
    return write_model(replace(made, subgraphs=[replace(made.main, operators=ops)]))
