"""The module `edgetpu.basic.edgetpu_utils`: which Edge TPUs there are, and the driver's version."""

from __future__ import annotations

from atoll.compat.edgetpu.swig import edgetpu_cpp_wrapper as wrapper
from atoll.compat.edgetpu.swig.edgetpu_cpp_wrapper import GetRuntimeVersion, ListEdgeTpuPaths

__all__ = [
    "EDGE_TPU_STATE_ASSIGNED",
    "EDGE_TPU_STATE_NONE",
    "EDGE_TPU_STATE_UNASSIGNED",
    "SUPPORTED_RUNTIME_VERSION",
    "GetRuntimeVersion",
    "ListEdgeTpuPaths",
]

SUPPORTED_RUNTIME_VERSION = wrapper.kSupportedRuntimeVersion
EDGE_TPU_STATE_ASSIGNED = wrapper.EdgeTpuState_kAssigned
EDGE_TPU_STATE_UNASSIGNED = wrapper.EdgeTpuState_kUnassigned
EDGE_TPU_STATE_NONE = wrapper.EdgeTpuState_kNone
