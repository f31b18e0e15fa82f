"""The command line: thin, it only calls the rooms below."""

from __future__ import annotations

import os
import sys

from atoll.errors import AtollError


def main() -> None:
    """The `atoll` command. Exits with 2 and one line where a person can mend what is wrong."""
    # numpy starts a thread a core for linear algebra, a third of its loading time. Nothing here
    # has that done by numpy.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from atoll.cli.app import COMMANDS, make_app

    named = sys.argv[1:2]
    try:
        make_app(named if set(named) & COMMANDS.keys() else COMMANDS)(prog_name="atoll")
    except AtollError as error:
        sys.stderr.write(f"atoll: {error}\n")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.stderr.write("atoll: stopped.\n")
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(141)
