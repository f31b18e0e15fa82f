"""The package `edgetpu`, the library before pycoral, over this runtime."""

from __future__ import annotations

from atoll.compat.names import missing

__version__ = "2.14.0"
"""The version of the interface, not of this."""


def __getattr__(name: str) -> str:
    # Asking a real driver for its version takes a process of its own: not done by importing.
    if name == "expected":
        from atoll.compat.version import SUPPORTED_RUNTIME

        return SUPPORTED_RUNTIME
    if name == "installed":
        from atoll.compat.version import runtime_version

        return runtime_version()
    raise missing(__name__, name)
