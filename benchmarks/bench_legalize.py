"""Whole networks as TensorFlow converts them, legalised: what maps, and how far outputs move.

The six backbones, MobileNetV3-Large, EfficientNet-B0, a detector and a U-Net, at random weights:
what they answer is worth nothing, how far the answers move is.
"""

import sys
import time
from pathlib import Path

import facts

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from legalize.whole_networks import NETWORKS, convert, distances

from atoll.legalize.job import legalize


def _row(name: str) -> dict:
    converted = convert(name)
    start = time.perf_counter()
    done = legalize(converted.model, samples=converted.samples)
    seconds = time.perf_counter() - start
    before, after = distances(converted, done)
    moved = done.comparison
    return {
        "network": name,
        "operators_before": len(done.before),
        "mapped_before": sum(v.target == "tpu" for v in done.before),
        "operators_after": len(done.after),
        "mapped_after": sum(v.target == "tpu" for v in done.after),
        "on_cpu_after": "; ".join(v.type for v in done.after if v.target == "cpu"),
        "moved_mean_steps": round(moved.mean, 4),
        "moved_max_steps": round(moved.max, 2),
        "same_top1": "" if moved.top1 is None else round(moved.top1, 4),
        "from_float_before": round(before, 5),
        "from_float_after": round(after, 5),
        "seconds": round(seconds, 2),
    }


if __name__ == "__main__":
    facts.write("legalize", [_row(name) for name in NETWORKS])
