"""What Atoll's interpreter adds to a call of the bare LiteRT interpreter, on MobileNet v2 224."""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter as LiteRT
from facts import SHARED, write

from atoll.compiler.job import compile_model
from atoll.runtime.interpreter import Interpreter

SOURCE = SHARED / "models/v10/mobilenet_v2_1.0_224_quant.tflite"
GOOGLES = SOURCE.with_name(f"{SOURCE.stem}_edgetpu.tflite")
ROUNDS, CALLS = 15, 40


def timed(call):
    """The median of one round's calls, in milliseconds."""
    seconds = []
    for _ in range(CALLS):
        began = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - began)
    return float(np.median(seconds)) * 1000


def main():
    if not SOURCE.exists():
        print(f"skipped: {SOURCE} is not there", file=sys.stderr)
        return
    image = np.random.default_rng(0).integers(0, 256, (1, 224, 224, 3), dtype=np.uint8)
    bare = LiteRT(str(SOURCE), num_threads=2)
    bare.allocate_tensors()
    given, taken = bare.get_input_details()[0]["index"], bare.get_output_details()[0]["index"]

    def call_bare():
        bare.set_tensor(given, image)
        bare.invoke()
        bare.get_tensor(taken)

    with tempfile.TemporaryDirectory() as folder:
        compiled = compile_model(SOURCE, Path(folder))
        with (
            Interpreter(SOURCE, device="cpu", threads=2) as cpu,
            Interpreter(compiled.output, device="sim", threads=2) as sim,
            Interpreter(GOOGLES, device="sim", threads=2) as twin,
        ):
            calls = {
                "bare LiteRT": call_bare,
                "atoll cpu": lambda: cpu.invoke(image),
                "atoll sim": lambda: sim.invoke(image),
                "atoll sim, Google's file": lambda: twin.invoke(image),
                "atoll cpu, named": lambda: cpu.run(image, quantized=True),
            }
            # Rounds are interleaved, so that a slow moment of the machine falls on all alike.
            rounds = {name: [] for name in calls}
            for _ in range(ROUNDS):
                for name, call in calls.items():
                    rounds[name].append(timed(call))
    base = np.array(rounds["bare LiteRT"])
    write(
        "runtime_overhead",
        [
            {
                "who": name,
                "median_ms": round(float(np.median(values)), 4),
                "ratio_to_bare": round(float(np.median(np.array(values) / base)), 4),
                "calls": ROUNDS * CALLS,
            }
            for name, values in rounds.items()
        ],
    )


if __name__ == "__main__":
    main()
