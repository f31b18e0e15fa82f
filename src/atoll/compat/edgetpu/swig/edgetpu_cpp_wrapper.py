"""The module `edgetpu.swig.edgetpu_cpp_wrapper`, once native code: what programs call of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from atoll.compat.assignment import EdgeTpuState, paths
from atoll.compat.engine import Engine as BasicEnginePythonWrapper
from atoll.compat.names import missing
from atoll.compat.version import SUPPORTED_RUNTIME, runtime_version

if TYPE_CHECKING:
    from typing import NoReturn

__all__ = [
    "BasicEnginePythonWrapper",
    "EdgeTpuState_kAssigned",
    "EdgeTpuState_kNone",
    "EdgeTpuState_kUnassigned",
    "GetRuntimeVersion",
    "ListEdgeTpuPaths",
    "kSupportedRuntimeVersion",
]

EdgeTpuState_kNone = int(EdgeTpuState.NONE)
EdgeTpuState_kAssigned = int(EdgeTpuState.ASSIGNED)
EdgeTpuState_kUnassigned = int(EdgeTpuState.UNASSIGNED)

kSupportedRuntimeVersion = SUPPORTED_RUNTIME  # noqa: N816


def GetRuntimeVersion() -> str:  # noqa: N802
    """What the driver says of its version; the simulator's, where there is none."""
    return runtime_version()


def ListEdgeTpuPaths(state: int) -> tuple[str, ...]:  # noqa: N802
    """The paths of Edge TPUs, in the driver's order.

    Args:
        state: EDGE_TPU_STATE_NONE for all, EDGE_TPU_STATE_ASSIGNED for those that engines of this
            process have, EDGE_TPU_STATE_UNASSIGNED for the others.
    """
    return paths(state)


def __getattr__(name: str) -> NoReturn:
    raise missing(__name__, name)
