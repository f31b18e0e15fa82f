"""What the old libraries say of the driver's version."""

from __future__ import annotations

from atoll.compat.hardware import seen_devices
from atoll.version import __version__

# The newest runtime there is, which the simulator stands for.
SUPPORTED_RUNTIME = "RuntimeVersion(14)"


def runtime_version() -> str:
    """The driver's version in its own words, where there is an Edge TPU; else the simulator's."""
    if any(not device.simulated for device in seen_devices()):
        from atoll.host.library import find_library
        from atoll.host.library_build import ask_build

        library = find_library()
        if library is not None:
            return ask_build(library.path).version
    return (
        f"BuildLabel(COMPILER=atoll {__version__},DATE=redacted,TIME=redacted), {SUPPORTED_RUNTIME}"
    )
