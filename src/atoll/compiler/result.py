"""What a compile made: the one thing that the text, the JSON document and the page are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from atoll.edgetpu.analysis import Analysis
    from atoll.edgetpu.latency.predict import Latency
    from atoll.edgetpu.verdict import Verdict


@dataclass(frozen=True)
class Sizes:
    """What a compiled model takes of the chip's memory for parameters, in bytes.

    Attributes:
        parameters: All of them.
        cached: Those that stay on the chip between calls, as they stand in the compiled file.
        onchip_memory: The memory that these take there, as Google's compiler prints it: narrow
            layers take more than they have.
        onchip_remaining: What is left there for other models.
        offchip: Those that are sent again at every call.
    """

    parameters: int
    cached: int
    onchip_memory: int
    onchip_remaining: int
    offchip: int


@dataclass(frozen=True)
class Changed:
    """A change that was made to a model before it was compiled.

    Attributes:
        name: The rewrite's name.
        what: What it does, in a sentence.
        count: How often it was made.
        exactness: How far an output may move: "identical", "one step" or "measured".
    """

    name: str
    what: str
    count: int
    exactness: str


@dataclass(frozen=True)
class Compiled:
    """A compiled model, or a segment of one.

    Attributes:
        input: The model.
        output: The compiled file.
        log: The file with the table of operators.
        backend: What made it: "sim" or "google".
        analysis: Where every operator runs, what fits the chip, how long a call would take.
        sizes: The chip's memory for parameters: Google's figures where it was the backend.
        subgraphs: Mapped parts.
        input_bytes: Size of the model.
        output_bytes: Size of the compiled file.
        compile_ms: Milliseconds that it took.
        segment: Which segment it is of how many; (0, 1) for a whole model.
        changes: What was changed in the model first.
        moved: How far its outputs moved by that, in a sentence; empty where nothing was changed.
        notes: What a person should know about it, a sentence each.
        compiler_version: The version that Google's compiler said it has; empty for the simulator.
    """

    input: Path
    output: Path
    log: Path
    backend: str
    analysis: Analysis
    sizes: Sizes
    subgraphs: int
    input_bytes: int
    output_bytes: int
    compile_ms: float
    segment: tuple[int, int] = (0, 1)
    changes: tuple[Changed, ...] = ()
    moved: str = ""
    notes: tuple[str, ...] = ()
    compiler_version: str = ""

    @property
    def verdicts(self) -> list[Verdict]:
        """Where every operator runs."""
        return self.analysis.verdicts

    @property
    def latency(self) -> dict[str, Latency]:
        """The predicted time of a call, by link."""
        return self.analysis.latency

    @property
    def ops_total(self) -> int:
        """Operators in all."""
        return self.analysis.ops_total

    @property
    def ops_tpu(self) -> int:
        """Operators that are mapped; with 0 the file runs on the CPU alone."""
        return self.analysis.ops_tpu

    @property
    def ops_cpu(self) -> int:
        """Operators that stay on the CPU."""
        return self.analysis.ops_cpu
