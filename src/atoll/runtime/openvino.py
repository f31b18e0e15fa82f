"""Models on Intel's processors, graphics and NPUs, by OpenVINO."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atoll.errors import DeviceError, ExtraError, ModelError
from atoll.runtime.litert import check_litert
from atoll.runtime.tensor_info import TensorInfo

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from atoll.runtime.model_file import ModelFile
    from atoll.tflite.graph import Tensor

# Plugins that OpenVINO no longer has, and what became of them.
_GONE = {
    "MYRIAD": "OpenVINO left the Neural Compute Stick 2 after version 2022.3; its wheels "
    "do not have it",
    "HDDL": "OpenVINO left the Vision Accelerator cards after version 2022.3",
    "GNA": "OpenVINO left GNA after version 2023.3",
    "VPU": "the plugin of today's Intel chips is called NPU",
}


class OpenVinoSession:
    """A model on a device of OpenVINO's: see `atoll.runtime.session`.

    Args:
        file: A model that is not compiled.
        which: OpenVINO's name of the device: CPU, GPU, NPU, GPU.1, AUTO, ...
        threads: CPU threads; None for OpenVINO's own choice.

    Raises:
        ExtraError: OpenVINO is not installed.
        DeviceError: OpenVINO does not have the device.
        ModelError: OpenVINO cannot run the model.
    """

    def __init__(self, file: ModelFile, which: str, threads: int | None) -> None:
        try:
            import openvino
        except ModuleNotFoundError as error:
            raise ExtraError(f"openvino:{which}", "openvino", "openvino") from error
        core = openvino.Core()
        _check_there(core, which)
        check_litert(file.content, file.source)
        graph = file.model.main
        self._source = file.source
        config = {} if threads is None or which != "CPU" else {"INFERENCE_NUM_THREADS": threads}
        try:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "model.tflite"
                path.write_bytes(file.content)
                model = core.read_model(path)
                self._compiled: Any = core.compile_model(model, which, config)
        except RuntimeError as error:
            raise _failed(file.source, which, error) from error
        self.inputs = _in_order(graph, graph.inputs, self._compiled.inputs, file.source)
        self.outputs = _in_order(graph, graph.outputs, self._compiled.outputs, file.source)
        self._which = which
        self._request = self._compiled.create_infer_request()

    def invoke(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Runs the model once."""
        try:
            self._request.infer(list(arrays))
            return [
                self._request.get_output_tensor(i).data.astype(info.dtype).reshape(info.shape)
                for i, info in enumerate(self.outputs)
            ]
        except RuntimeError as error:
            raise _failed(self._source, self._which, error) from error

    @property
    def notes(self) -> list[str]:
        """None: it runs, or it raises."""
        return []

    def close(self) -> None:
        """Gives its memory back."""
        self._request = self._compiled = None


def _in_order(
    graph: Any, indices: Sequence[int], ports: Sequence[Any], source: object
) -> list[TensorInfo]:
    """The file's own tensors, once OpenVINO was seen to have them in the same order."""
    tensors: list[Tensor] = [graph.tensors[t] for t in indices]
    same = len(ports) == len(tensors) and all(
        tensor.name in port.get_names() and tuple(port.get_shape()) == tensor.shape
        for tensor, port in zip(tensors, ports, strict=True)
    )
    if not same:
        raise ModelError(
            source,
            "OpenVINO must read the model's inputs and outputs as the file has them",
            received=", ".join(f"{p.get_any_name()} {p.get_partial_shape()}" for p in ports),
            fix="Use the device cpu",
        )
    return [_info(tensor) for tensor in tensors]


def _info(tensor: Tensor) -> TensorInfo:
    from atoll.tflite.types import BY_NAME

    dtype = BY_NAME[tensor.type].dtype
    assert dtype is not None
    quantization = tensor.quantization
    scale = 0.0 if quantization is None else float(quantization.scale[0])
    zero_point = 0 if quantization is None else int(quantization.zero_point[0])
    return TensorInfo(tensor.name, tensor.shape, dtype, scale, zero_point)


def _check_there(core: Any, which: str) -> None:
    found: list[str] = core.available_devices
    base = which.split(".")[0].split(":")[0]
    if base in ("AUTO", "MULTI", "HETERO", "BATCH"):
        return
    if not any(name == which or name.split(".")[0] == which for name in found):
        raise DeviceError(
            f"openvino:{which}",
            _GONE.get(base, "OpenVINO does not find this device here"),
            received=f"OpenVINO's devices {', '.join(found) or 'none'}",
            fix="Name one of these as openvino:NAME",
        )


def _failed(source: object, which: str, error: Exception) -> ModelError:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return ModelError(
        source,
        f"OpenVINO cannot run the model on {which}",
        received=(lines[-1] if lines else type(error).__name__).rstrip("."),
        fix="Use the device cpu",
    )
