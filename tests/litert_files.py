"""What the tests of the file format share: the reference files, and an outside view of a file."""

from pathlib import Path

import ai_edge_litert.schema_py_generated as schema
import numpy as np
import pytest


def model_files(shared: Path) -> list[Path]:
    """Every reference model, compiled ones too."""
    return sorted((shared / "models").glob("*/*.tflite"))


def source_files(shared: Path) -> list[Path]:
    """Every reference model that is not compiled."""
    return [path for path in model_files(shared) if not path.stem.endswith("_edgetpu")]


def opened(path_or_bytes):
    """A LiteRT interpreter, not yet made ready."""
    from ai_edge_litert.interpreter import Interpreter

    if isinstance(path_or_bytes, bytes):
        return Interpreter(model_content=path_or_bytes)
    return Interpreter(str(path_or_bytes))


def runnable(path_or_bytes):
    """A LiteRT interpreter, ready; the test is skipped where LiteRT itself cannot run the file."""
    interpreter = opened(path_or_bytes)
    try:
        interpreter.allocate_tensors()
    except RuntimeError as error:
        pytest.skip(f"LiteRT does not run it: {str(error).splitlines()[0]}")
    return interpreter


def random_inputs(interpreter, seed=0):
    """One array for every input, of its type and shape."""
    rng = np.random.default_rng(seed)
    arrays = []
    for detail in interpreter.get_input_details():
        shape, kind = detail["shape"], np.dtype(detail["dtype"])
        if kind.kind == "f":
            arrays.append(rng.uniform(-1, 1, shape).astype(kind))
        else:
            limits = np.iinfo(kind)
            arrays.append(rng.integers(limits.min, limits.max, shape, kind, endpoint=True))
    return arrays


def run(interpreter, arrays):
    """The outputs for these inputs."""
    for detail, array in zip(interpreter.get_input_details(), arrays, strict=True):
        interpreter.set_tensor(detail["index"], array)
    interpreter.invoke()
    return [interpreter.get_tensor(d["index"]) for d in interpreter.get_output_details()]


def contents(data: bytes):
    """A file as nested plain data, by the schema's own object API: nothing of Atoll takes part.

    Buffers and operator codes stand where they are referred to, for their numbers may differ.
    """
    model = schema.ModelT.InitFromPackedBuf(data)
    buffers = [b"" if b.data is None else bytes(b.data) for b in model.buffers or ()]
    codes = [
        (max(c.builtinCode, c.deprecatedBuiltinCode), c.customCode, c.version)
        for c in model.operatorCodes
    ]
    plain = _plain(model)
    for graph in plain["subgraphs"]:
        for tensor in graph["tensors"]:
            tensor["buffer"] = buffers[tensor["buffer"]] if buffers else b""
        for op in graph["operators"]:
            op["opcodeIndex"] = codes[op["opcodeIndex"]]
    plain["metadata"] = {m["name"]: buffers[m["buffer"]] for m in plain["metadata"] or ()}
    del plain["buffers"], plain["operatorCodes"]
    return plain


def _plain(value):
    if isinstance(value, np.ndarray):
        return value.tolist() or None
    if isinstance(value, list):
        return [_plain(item) for item in value] or None
    if hasattr(value, "__dict__"):
        fields = {name: _plain(item) for name, item in vars(value).items()}
        # A quantisation that says nothing is the same as none.
        empty = fields.keys() >= {"scale", "zeroPoint"} and not any(fields.values())
        return None if empty else {"class": type(value).__name__, **fields}
    return value
