"""What is asked of the compiler: edgetpu_compiler's own flags with its meanings, and ours."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from atoll.edgetpu.rules import NEWEST_RUNTIME, OLDEST_RUNTIME
from atoll.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Backend = Literal["auto", "sim", "google"]
# Which changes are made first so that more maps: none, those that move no output, or all. "auto" is
# "none" for the simulator, whose cut is then that of the file as it is, as edgetpu_compiler would
# make it; for Google's compiler, which refuses whole files, it is "identical".
Legalize = Literal["auto", "none", "identical", "all"]

DEFAULT_TIMEOUT_S = 180
_MOST_SEGMENTS = 64


@dataclass(frozen=True)
class Request:
    """What is asked of the compiler.

    Attributes:
        backend: "sim" writes X_sim.tflite for the simulator; "google" runs Google's compiler,
            which writes X_edgetpu.tflite; "auto" takes Google's where there is one.
        min_runtime: The oldest runtime version that must run the model, 10 to 14.
        intermediate_tensors: A list of tensor names a model; what follows them stays on the CPU.
            Empty for none.
        segments: How many files that run one after another, each on an Edge TPU of its own.
        search_delegate: Whether to leave out the last operators where a compile fails.
        search_step: How many of them at a try.
        multiple_subgraphs: Whether more than one part may be mapped.
        timeout_s: Seconds that a compile may take.
        legalize: Which changes are made first.
    """

    backend: Backend = "auto"
    min_runtime: int = NEWEST_RUNTIME
    intermediate_tensors: tuple[tuple[str, ...], ...] = ()
    segments: int = 1
    search_delegate: bool = False
    search_step: int = 1
    multiple_subgraphs: bool = False
    timeout_s: int = DEFAULT_TIMEOUT_S
    legalize: Legalize = "auto"

    def tensors_of(self, number: int) -> tuple[str, ...]:
        """The intermediate tensors of one model."""
        return self.intermediate_tensors[number] if self.intermediate_tensors else ()


def parse_intermediate_tensors(text: str, models: int) -> tuple[tuple[str, ...], ...]:
    """Reads the value of `--intermediate_tensors`.

    Args:
        text: Names separated by commas; with several models, a list a model, separated by colons.
        models: How many models there are.

    Returns:
        The names, a list a model; nothing for an empty text.

    Raises:
        UsageError: There are not as many lists as models.
    """
    if not text:
        return ()
    # A single model's tensor names may hold colons themselves: "Identity:0".
    lists = [text] if models == 1 else text.split(":")
    if len(lists) != models:
        raise UsageError(
            "--intermediate_tensors",
            "with several models it takes a list a model, separated by colons",
            received=f"{len(lists)} lists for {models} models",
            fix="Compile the models one by one, or name the tensors of each",
        )
    return tuple(tuple(name for name in entry.split(",") if name) for entry in lists)


def check_request(request: Request, paths: Sequence[Path]) -> None:
    """Refuses what has no meaning.

    Args:
        request: What is asked.
        paths: The models.

    Raises:
        UsageError: A flag's value means nothing, or two models would be written to one place.
    """
    known = get_args(Backend)
    if request.backend not in known:
        raise UsageError(
            "backend",
            f"it must be {', '.join(known[:-1])} or {known[-1]}",
            received=request.backend,
            fix="Leave it out for auto",
        )
    for name, value, lowest, highest in (
        ("--min_runtime_version", request.min_runtime, OLDEST_RUNTIME, NEWEST_RUNTIME),
        ("--num_segments", request.segments, 1, _MOST_SEGMENTS),
        ("--delegate_search_step", request.search_step, 1, None),
        ("--timeout_sec", request.timeout_s, 1, None),
    ):
        if value < lowest or (highest is not None and value > highest):
            raise UsageError(
                name,
                f"it must be {lowest} " + ("or more" if highest is None else f"to {highest}"),
                received=value,
                fix="Leave it out for the default",
            )
    if not paths:
        raise UsageError("compile", "it needs a model", received="none", fix="Name a .tflite file")
    twice = [stem for stem, count in Counter(path.stem for path in paths).items() if count > 1]
    if twice:
        raise UsageError(
            "models",
            "models that are compiled together must have different names",
            received=f"{twice[0]}.tflite twice",
            fix="Rename one, or compile them into different folders",
        )
