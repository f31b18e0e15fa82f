"""Runs of Google's compiler: each in a folder of its own, and again where it failed by chance."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from atoll.compiler.googlelog import TIMED_OUT, why_failed
from atoll.compiler.program import run_once
from atoll.files import output_error
from atoll.tflite.writer import write_model

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from atoll.compiler.googlelog import Failure
    from atoll.compiler.program import Program
    from atoll.compiler.request import Request
    from atoll.progress import Progress
    from atoll.tflite.graph import Model

# It fails by chance now and then (google-coral/edgetpu issues 173 and 211: the same file, the third
# time it compiles): so often the same is tried.
TRIES = 3

_OUT = "out"


@dataclass(frozen=True)
class Attempt:
    """What came of trying to compile some files.

    Attributes:
        text: What it printed.
        files: What it wrote, by name.
        failure: How it failed; None where it did not.
        said: Its own words for that.
        tries: How often it was tried.
    """

    text: str
    files: Mapping[str, bytes] = field(default_factory=dict)
    failure: Failure | None = None
    said: str = ""
    tries: int = 1


def flags_of(request: Request) -> list[str]:
    """The flags of Google's compiler for what is asked.

    Its -d and -k are not among them: `rescue` leaves operators out, in fewer runs than its steps.

    Args:
        request: What is asked.

    Returns:
        Its flags; the form of the list of tensors is as google-coral/edgetpu issue 778 tells it.
    """
    flags = ["-m", str(request.min_runtime)]
    if request.segments > 1:
        flags += ["-n", str(request.segments)]
    if request.multiple_subgraphs:
        flags += ["-a"]
    if any(request.intermediate_tensors):
        flags += ["-i", ":".join(",".join(names) for names in request.intermediate_tensors)]
    return flags


class Bench:
    """Runs the program, each time in a folder of its own.

    Args:
        program: The program.
        request: What is asked.
        progress: Who is told of trying again.
    """

    def __init__(self, program: Program, request: Request, progress: Progress) -> None:
        self.program = program
        self.timeout_s = request.timeout_s
        self.progress = progress

    def compile(self, models: Mapping[str, Model], flags: Sequence[str], tries: int) -> Attempt:
        """Compiles models together; again, where it may have failed by chance.

        Args:
            models: The models, by the names that their files get.
            flags: Its flags.
            tries: How often to try at most.

        Returns:
            What came of it.

        Raises:
            CompilerError: It cannot be started.
            OutputError: There is no room to work in.
        """
        contents = {name: write_model(model) for name, model in models.items()}
        attempt = Attempt("")
        for count in range(1, tries + 1):
            attempt = self._once(contents, flags, count)
            if attempt.failure is None or not attempt.failure.again:
                break
            if count < tries:
                self.progress.note(
                    f"Google's compiler failed ({attempt.said}). The same is tried again, "
                    f"{count} of {tries - 1}."
                )
        return attempt

    def _once(self, contents: Mapping[str, bytes], flags: Sequence[str], count: int) -> Attempt:
        try:
            with tempfile.TemporaryDirectory(prefix="atoll-") as name:
                folder = Path(name).resolve()
                (folder / _OUT).mkdir()
                for model, content in contents.items():
                    (folder / model).write_bytes(content)
                # A name that begins with a dash would be taken for a flag.
                models = [f"./{model}" if model.startswith("-") else model for model in contents]
                arguments = ["-s", "-o", _OUT, "-t", str(self.timeout_s), *flags, *models]
                run = run_once(self.program, arguments, folder, self.timeout_s)
                written = [path for path in (folder / _OUT).iterdir() if path.is_file()]
                made = {path.name: path.read_bytes() for path in written}
        except OSError as error:
            raise output_error(Path(tempfile.gettempdir()), error) from error
        if run.timed_out:
            said = f"no answer within {self.timeout_s} s"
            return Attempt(run.text, failure=TIMED_OUT, said=said, tries=count)
        wanted = {f"{Path(model).stem}_edgetpu.tflite" for model in contents}
        complete = wanted <= made.keys() or any("_segment_" in name for name in made)
        if run.status != 0 or not complete:
            failure, said = why_failed(run.text, run.status)
            return Attempt(run.text, failure=failure, said=said, tries=count)
        return Attempt(run.text, made, tries=count)
