"""200,000 damaged models through the whole front: no crash, no hang, bounded memory.

Each worker is a process of its own, with a limit on its memory, so that a crash of native code or
a flood of memory is seen and told apart. The same seed gives the same files.
"""

import multiprocessing as mp
import os
import random
import resource
import time
import traceback
from collections import Counter

from facts import RESULTS, write
from fuzzing import corpus, damage, survey

FILES = int(os.environ.get("ATOLL_FUZZ_FILES", "200000"))
SEED = int(os.environ.get("ATOLL_FUZZ_SEED", "2026"))
BATCH = 500
# One file in so many is taken through the slower parts too: the legaliser and the page.
WHOLE = 5
# Of the processor: the clock on the wall runs on while others have it.
LONGEST_S = 2.0
MEMORY = 4 << 30
FAILURES = RESULTS.parent / "fuzz_failures"


def _limited() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def _batch(first: int) -> tuple[Counter, float, int]:
    """Runs one batch; returns its outcomes, its slowest file and the process's peak memory."""
    files, outcomes, slowest = corpus(), Counter(), 0.0
    for number in range(first, min(first + BATCH, FILES)):
        rng = random.Random(SEED * 1_000_003 + number)
        data = damage(rng.choice(files), rng)
        start = time.process_time()
        try:
            outcome = survey(data, whole=number % WHOLE == 0)
        except Exception as error:
            outcome = f"fault: {type(error).__name__}"
            FAILURES.mkdir(exist_ok=True)
            (FAILURES / f"{number}.tflite").write_bytes(data)
            (FAILURES / f"{number}.txt").write_text(traceback.format_exc())
        spent = time.process_time() - start
        if spent > LONGEST_S:
            outcome = "hang"
            FAILURES.mkdir(exist_ok=True)
            (FAILURES / f"{number}.tflite").write_bytes(data)
        slowest = max(slowest, spent)
        outcomes[outcome] += 1
    return outcomes, slowest, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> None:
    start = time.perf_counter()
    outcomes, slowest, memory = Counter(), 0.0, 0
    with mp.get_context("spawn").Pool(len(os.sched_getaffinity(0)), initializer=_limited) as pool:
        for batch, longest, peak in pool.imap_unordered(_batch, range(0, FILES, BATCH)):
            outcomes += batch
            slowest, memory = max(slowest, longest), max(memory, peak)
    files = sum(outcomes.values())
    faults = sum(n for what, n in outcomes.items() if what.startswith(("fault", "hang")))
    write(
        "fuzz",
        [
            {
                "files": files,
                "seed": SEED,
                "faults": faults,
                "slowest_cpu_s": round(slowest, 3),
                "peak_memory_mb": memory // 1024,
                "ms_a_file": round(1e3 * (time.perf_counter() - start) / files, 2),
                "outcomes": "; ".join(f"{what} {n}" for what, n in sorted(outcomes.items())),
            }
        ],
    )
    if faults:
        raise SystemExit(f"{faults} faults; the files are in {FAILURES}")


if __name__ == "__main__":
    main()
