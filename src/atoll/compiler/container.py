"""Google's compiler inside a container image, for systems that it is not made for."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from atoll.errors import CompilerError

if TYPE_CHECKING:
    from collections.abc import Sequence

IMAGE_VARIABLE = "ATOLL_EDGETPU_COMPILER_IMAGE"
ENGINES = ("docker", "podman")

# Where the folder with the models is found inside.
_INSIDE = "/work"
# The only kind of machine that the program is made for.
_PLATFORM = "linux/amd64"
_STOP_S = 20


@dataclass(frozen=True)
class Container:
    """A container engine and an image that holds the compiler.

    Attributes:
        engine: The engine's program.
        image: The image's name.
        program: What to run in it.
        name: What the container is called while it runs.
    """

    engine: Path
    image: str
    program: str
    name: str = field(default_factory=lambda: f"atoll-{uuid.uuid4().hex}")

    def command(self, arguments: Sequence[str], folder: Path) -> list[str]:
        """The command line that runs the compiler in `folder`.

        The folder is all of this machine that the container sees, there is no network, and the
        image is never fetched.
        """
        # What it writes must belong to who started it. Podman without root maps its root so.
        owner = ["--user", f"{os.getuid()}:{os.getgid()}"] if self.engine.name == "docker" else []
        return [
            str(self.engine),
            "run",
            "--rm",
            "--init",
            "--name",
            self.name,
            "--network",
            "none",
            "--pull",
            "never",
            "--platform",
            _PLATFORM,
            *owner,
            "--volume",
            f"{folder}:{_INSIDE}:Z",
            "--workdir",
            _INSIDE,
            "--entrypoint",
            self.program,
            self.image,
            *arguments,
        ]

    def stop(self) -> None:
        """Ends the container: it goes on when the engine's client is ended."""
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run(
                [str(self.engine), "kill", self.name],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                stdin=subprocess.DEVNULL,
                timeout=_STOP_S,
                check=False,
            )


def find_container(program: str) -> Container | None:
    """The container that the environment asks for.

    Args:
        program: What to run in it.

    Returns:
        The container; None where the environment names no image.

    Raises:
        CompilerError: An image is named, and there is no engine to run it.
    """
    image = os.environ.get(IMAGE_VARIABLE)
    if not image:
        return None
    for name in ENGINES:
        engine = shutil.which(name)
        if engine:
            return Container(Path(engine).absolute(), image, program)
    raise CompilerError(
        IMAGE_VARIABLE,
        f"an image needs {' or '.join(ENGINES)} on the path",
        received="neither",
        fix="Install one of them, or unset it",
    )
