"""The command line: thin, it only calls the rooms below."""

from __future__ import annotations

import sys

from atoll.errors import AtollError


def main() -> None:
    """The `atoll` command. Exits with 2 and one line where a person can mend what is wrong."""
    from atoll.cli.app import app

    try:
        app(prog_name="atoll")
    except AtollError as error:
        sys.stderr.write(f"atoll: {error}\n")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.stderr.write("atoll: stopped.\n")
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(141)
