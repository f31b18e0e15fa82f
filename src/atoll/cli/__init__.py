"""The command line: thin, it only calls the rooms below."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from atoll.errors import AtollError


def main() -> None:
    """The `atoll` command. Exits with 2 and one line where a person can mend what is wrong."""
    # numpy starts a thread a core for linear algebra, a third of its loading time. Nothing here
    # has that done by numpy.
    if sys.argv[1:2] != ["compat"]:  # what that starts has an environment of its own
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from atoll.cli.app import COMMANDS, make_app
    from atoll.cli.usage import run

    # Python has none where the shell closed them (>&-).
    sys.stdout = sys.stdout or Path(os.devnull).open("w")  # noqa: SIM115
    sys.stderr = sys.stderr or Path(os.devnull).open("w")  # noqa: SIM115
    named = sys.argv[1:2]
    try:
        try:
            status = run(make_app(named if set(named) & COMMANDS.keys() else COMMANDS))
        finally:
            sys.stdout.flush()
    except AtollError as error:
        sys.stderr.write(f"atoll: {error}\n")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.stderr.write("atoll: stopped.\n")
        sys.exit(130)
    except BrokenPipeError:
        _drop_output()
        sys.exit(141)
    except OSError as error:
        # Standard output is the one thing without a name that is written to.
        if error.filename is not None:
            raise
        _drop_output()
        from atoll.files import output_error

        sys.stderr.write(f"atoll: {output_error(Path('standard output'), error)}\n")
        sys.exit(2)
    if status:
        sys.exit(status)


def _drop_output() -> None:
    """Lets Python's own last flush of what could not be printed succeed."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
