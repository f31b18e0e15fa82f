"""From a `Model` to the bytes of a .tflite file: the same model, the same bytes."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import flatbuffers
import numpy as np

from atoll.tflite import trailer
from atoll.tflite.schema import FILE_IDENTIFIER, operator_codes, option_unions, schema
from atoll.tflite.types import BY_NAME

if TYPE_CHECKING:
    from atoll.tflite.graph import Model, Operator, Quantization, Subgraph, Tensor

# The schema asks for it (force_align: 16); runtimes map constants as they lie in the file.
_ALIGNMENT = 16
# A FlatBuffer holds 2 GiB at most: from here on, constants lie behind it.
_LARGEST_INSIDE = (1 << 31) - (128 << 20)
# Codes above this stand in a newer field only; the older field then holds this (see the schema).
_LARGEST_OLD_CODE = 127


def write_model(model: Model, *, largest_inside: int = _LARGEST_INSIDE) -> bytes:
    """Writes a model as a .tflite file.

    Constants with the same bytes share one buffer, and lie at multiples of 16 bytes.

    Args:
        model: The model.
        largest_inside: Bytes of constants above which they are put behind the FlatBuffer.

    Returns:
        The file's content.
    """
    parts = _Parts()
    root = _model(model, parts)
    if parts.size <= largest_inside:
        root.buffers = [_buffer(data) for data in parts.buffers]
        payloads = sum(len(op.custom_options) for g in model.subgraphs for op in g.operators)
        return trailer.join(_pack(root, parts.size + payloads), model.trailer)
    return trailer.join(_with_outside_data(root, parts), model.trailer)


class _Parts:
    """The buffers and operator codes of a file being written, each kept once.

    Attributes:
        buffers: Pieces of constant data, as uint8 of one dimension; the first is empty.
        codes: The schema's OperatorCodeT objects.
        size: Bytes of constant data.
    """

    def __init__(self) -> None:
        self.buffers: list[np.ndarray] = [np.empty(0, np.uint8)]
        self.codes: list[Any] = []
        self.size = 0
        self._by_checksum: dict[tuple[int, int], int] = {}
        self._by_place: dict[tuple[int, int], tuple[int, np.ndarray]] = {}
        self._by_code: dict[tuple[str, str, int], int] = {}

    def buffer(self, data: np.ndarray | bytes | None) -> int:
        """The index of the buffer with these data; 0, the empty one, for none."""
        flat = _bytes_of(data)
        if not flat.size:
            return 0
        # Tensors that share a buffer already need no second look at its content.
        place = (flat.ctypes.data, flat.size)
        if place not in self._by_place:
            # The array is kept, so that its place is not given to another.
            self._by_place[place] = self._by_content(flat), flat
        return self._by_place[place][0]

    def _by_content(self, flat: np.ndarray) -> int:
        """The index of the buffer with these bytes, a new one where there is none."""
        checksum = (flat.size, zlib.crc32(flat.data))
        index = self._by_checksum.setdefault(checksum, len(self.buffers))
        if index < len(self.buffers) and np.array_equal(self.buffers[index], flat):
            return index
        self.buffers.append(flat)
        self.size += flat.size
        return len(self.buffers) - 1

    def code(self, op: Operator) -> int:
        """The index of the operator's code."""
        key = (op.type, op.custom_name, op.version)
        if key not in self._by_code:
            number = operator_codes()[op.type]
            self._by_code[key] = len(self.codes)
            self.codes.append(
                schema().OperatorCodeT(
                    deprecatedBuiltinCode=min(number, _LARGEST_OLD_CODE),
                    builtinCode=number,
                    customCode=op.custom_name or None,
                    version=op.version,
                )
            )
        return self._by_code[key]


class _AlignedBuilder(flatbuffers.Builder):  # type: ignore[misc]  # untyped library
    """A builder that starts every vector of bytes at a multiple of 16, as the C++ one does."""

    head: int

    def CreateNumpyVector(self, x: np.ndarray) -> int:  # noqa: N802
        if x.dtype != np.uint8:
            return int(super().CreateNumpyVector(x))
        self.StartVector(1, x.size, _ALIGNMENT)
        start = self.head - x.size
        self.Bytes[start : self.head] = x.data
        self.head = start
        return int(self.EndVector())


def _pack(root: Any, size_hint: int) -> bytes:
    # Room for the structure too: to grow means to copy. What is not written to costs nothing.
    size = size_hint + size_hint // 8 + (1 << 20)
    builder = _AlignedBuilder(min(size, flatbuffers.Builder.MAX_BUFFER_SIZE))
    builder.Finish(root.Pack(builder), FILE_IDENTIFIER)
    return bytes(memoryview(builder.Bytes)[builder.Head() :])


def _with_outside_data(root: Any, parts: _Parts) -> bytes:
    """A FlatBuffer with its constants behind it.

    Where they lie depends on the FlatBuffer's length, and that does not depend on where they lie:
    it is packed once to learn the length, and again with the offsets.
    """
    buffer = schema().BufferT
    root.buffers = [buffer(offset=1, size=data.size) for data in parts.buffers]
    root.buffers[0] = buffer()
    end = len(_pack(root, 0))
    pieces = []
    for entry, data in zip(root.buffers[1:], parts.buffers[1:], strict=True):
        gap = -end % _ALIGNMENT
        entry.offset = end + gap
        pieces += [bytes(gap), data.tobytes()]
        end = entry.offset + data.size
    return b"".join([_pack(root, 0), *pieces])


def _model(model: Model, parts: _Parts) -> Any:
    module = schema()
    subgraphs = [_subgraph(graph, parts) for graph in model.subgraphs]
    metadata = [
        module.MetadataT(name=name, buffer=parts.buffer(blob))
        for name, blob in model.metadata.items()
    ]
    unnamed = [parts.buffer(blob) for blob in model.extra.get("metadata_buffer", ())]
    return module.ModelT(
        version=model.version,
        operatorCodes=parts.codes,
        subgraphs=subgraphs,
        description=model.description or None,
        metadataBuffer=np.array(unnamed, np.int32) if unnamed else None,
        metadata=metadata or None,
        signatureDefs=model.signatures or None,
        externalBufferGroups=model.extra.get("external_buffer_groups"),
        externalBuffers=model.extra.get("external_buffers"),
    )


def _buffer(data: np.ndarray) -> Any:
    return schema().BufferT(data=data if data.size else None)


def _subgraph(graph: Subgraph, parts: _Parts) -> Any:
    return schema().SubGraphT(
        tensors=[_tensor(tensor, parts) for tensor in graph.tensors],
        inputs=_ints(graph.inputs),
        outputs=_ints(graph.outputs),
        operators=[_operator(op, parts) for op in graph.operators],
        name=graph.name or None,
        debugMetadataIndex=graph.extra.get("debug_metadata_index", -1),
    )


def _tensor(tensor: Tensor, parts: _Parts) -> Any:
    signature = tensor.shape_signature
    return schema().TensorT(
        shape=_ints(tensor.shape),
        type=BY_NAME[tensor.type].code,
        buffer=parts.buffer(tensor.data),
        name=tensor.name or None,
        quantization=_quantization(tensor.quantization, tensor.extra),
        isVariable=tensor.is_variable,
        sparsity=tensor.extra.get("sparsity"),
        shapeSignature=None if signature is None else _ints(signature),
        hasRank=tensor.extra.get("has_rank", False),
        variantTensors=tensor.extra.get("variant_tensors"),
        externalBuffer=tensor.extra.get("external_buffer", 0),
    )


def _quantization(quantization: Quantization | None, extra: dict[str, Any]) -> Any:
    details = extra.get("quantization_details")
    if quantization is None and details is None and "min" not in extra and "max" not in extra:
        return None
    module = schema()
    packed = module.QuantizationParametersT(min=extra.get("min"), max=extra.get("max"))
    if quantization is not None:
        packed.scale = np.ascontiguousarray(quantization.scale, "<f4").reshape(-1)
        packed.zeroPoint = np.ascontiguousarray(quantization.zero_point, "<i8").reshape(-1)
        packed.quantizedDimension = quantization.axis
    if details is not None:
        packed.details = details
        packed.detailsType = getattr(
            module.QuantizationDetails, type(details).__name__.removesuffix("T")
        )
    return packed


def _operator(op: Operator, parts: _Parts) -> Any:
    mutating = op.extra.get("mutating_variable_inputs")
    packed = schema().OperatorT(
        opcodeIndex=parts.code(op),
        inputs=_ints(op.inputs),
        outputs=_ints(op.outputs),
        customOptions=_bytes_of(op.custom_options) if op.custom_options else None,
        customOptionsFormat=op.extra.get("custom_options_format", 0),
        mutatingVariableInputs=None if mutating is None else np.array(mutating, np.bool_),
        intermediates=_ints(op.intermediates) if op.intermediates else None,
        debugMetadataIndex=op.extra.get("debug_metadata_index", -1),
    )
    for options in (op.options, op.extra.get("second_options")):
        if options is not None:
            _set_options(packed, options)
    return packed


def _set_options(packed: Any, options: Any) -> None:
    """Puts options into the union that has their class."""
    name = type(options).__name__
    for field, classes in option_unions():
        if name in classes:
            setattr(packed, field, options)
            setattr(packed, f"{field}Type", classes[name])


def _ints(values: Any) -> np.ndarray:
    return np.array(values, np.int32).reshape(-1)


def _bytes_of(data: np.ndarray | bytes | None) -> np.ndarray:
    """Data as uint8 of one dimension, without copying where they lie in one piece."""
    if isinstance(data, np.ndarray):
        return np.ascontiguousarray(data).reshape(-1).view(np.uint8)
    return np.frombuffer(data or b"", np.uint8)
