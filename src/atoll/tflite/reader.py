"""From a .tflite file to a `Model`. Nothing is lost, and nothing in the file is trusted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from atoll.errors import ModelError
from atoll.tflite import trailer
from atoll.tflite.bounded import ASTRAY, Bounded
from atoll.tflite.graph import Model, Operator, Quantization, Subgraph, Tensor
from atoll.tflite.schema import FILE_IDENTIFIER, FIRST_OFFSET, operator_names, schema
from atoll.tflite.types import BY_CODE

if TYPE_CHECKING:
    from atoll.tflite.types import TensorType

# Keys of `Tensor.extra`: the schema's min and max (float32 arrays), its SparsityParametersT, its
# quantisation details (BlockwiseQuantizationT and such), has_rank (bool), its list of
# VariantSubTypeT, and the id of an external buffer.
TENSOR_EXTRAS = (
    "min",
    "max",
    "sparsity",
    "quantization_details",
    "has_rank",
    "variant_tensors",
    "external_buffer",
)


def read_model(source: str | Path | bytes | bytearray | memoryview) -> Model:
    """Reads a TFLite model.

    Args:
        source: A path, or a file's content.

    Returns:
        The model. Its constants are read-only views into the file's content.

    Raises:
        ModelError: It cannot be read, is not a TFLite file, or is damaged.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        return parse_model(bytes(source), "model")
    return parse_model(read_content(source), source)


def read_content(path: str | Path) -> bytes:
    """Reads a .tflite file's bytes; a file of another kind is refused at its head.

    Raises:
        ModelError: It cannot be read, or is not a TFLite file.
    """
    try:
        with Path(path).open("rb") as file:
            _check_identifier(file.read(8), path)
            file.seek(0)
            return file.read()
    except OSError as error:
        raise ModelError(
            path,
            "the model cannot be read",
            received=error.strerror or error,
            fix="Check the path",
        ) from error


def parse_model(data: bytes, source: object) -> Model:
    """Reads a TFLite model from its bytes.

    Args:
        data: A file's content.
        source: What to call it in a message.

    Returns:
        The model. Its constants are read-only views into `data`.

    Raises:
        ModelError: It is not a TFLite file, or is damaged.
    """
    _check_identifier(data[:8], source)
    bounded = Bounded(data, source)
    try:
        return _Reader(bounded).model(bounded.quick(schema().Model.GetRootAs(data, 0)))
    except ASTRAY as error:
        raise bounded.damaged(
            "its structure must lie within the file", f"{len(data)} bytes, which may be cut short"
        ) from error


def _check_identifier(head: bytes, source: object) -> None:
    if head[4:] != FILE_IDENTIFIER:
        raise ModelError(
            source,
            f"this is not a TFLite model: bytes 4 to 7 must be {FILE_IDENTIFIER.decode()}",
            received=repr(head[4:]) if head else "an empty file",
            fix="Give a .tflite file",
        )


def block_tensors(tensor: Tensor) -> list[int]:
    """The indices of the tensors that hold a block-wise quantised tensor's scales and offsets."""
    details: Any = tensor.extra.get("quantization_details")
    return [details.scales, details.zeroPoints] if hasattr(details, "zeroPoints") else []


class _Reader:
    """One file being read: its operator codes, buffers and number of subgraphs, once known."""

    def __init__(self, bounded: Bounded) -> None:
        self.bounded = bounded
        self.codes: list[tuple[str, str, int]] = []
        self.buffers: list[np.ndarray | None] = []
        self.subgraphs = 0

    def model(self, root: Any) -> Model:
        bounded = self.bounded
        if root.Version() != 3:
            raise bounded.damaged("the schema's version must be 3", root.Version())
        self.codes = [self._code(code) for code in bounded.tables(root, "OperatorCodes")]
        self.buffers = [self._buffer(buffer) for buffer in bounded.tables(root, "Buffers")]
        tables = bounded.tables(root, "Subgraphs")
        self.subgraphs = len(tables)
        if not tables:
            raise bounded.damaged("there must be a subgraph", "none")
        subgraphs = [self._subgraph(table) for table in tables]
        return Model(
            subgraphs=subgraphs,
            description=bounded.text(root.Description()),
            metadata={
                bounded.text(entry.Name()): self._blob(entry.Buffer())
                for entry in bounded.tables(root, "Metadata")
            },
            signatures=[
                self._signature(table, subgraphs) for table in bounded.tables(root, "SignatureDefs")
            ],
            extra=self._model_extra(root),
            trailer=trailer.split(bounded.data, bounded.end),
        )

    def _code(self, code: Any) -> tuple[str, str, int]:
        """An operator code as (type, custom name, version)."""
        # Codes above 127 stand in the newer field alone, older files fill only the older one.
        number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        name = operator_names().get(number)
        if name is None:
            raise self.bounded.unknown("an operator", f"builtin operator {number}")
        custom = self.bounded.text(code.CustomCode()) if name == "CUSTOM" else ""
        return name, custom, code.Version()

    def _buffer(self, buffer: Any) -> np.ndarray | None:
        if buffer.DataLength():
            return self.bounded.numbers(buffer, "Data")
        if buffer.Offset() >= FIRST_OFFSET and buffer.Size():
            return self.bounded.outside(buffer.Offset(), buffer.Size())
        return None

    def _blob(self, index: int) -> bytes:
        view = self.buffers[self.bounded.index(index, len(self.buffers), "buffer")]
        return b"" if view is None else self.bounded.copied(view)

    def _model_extra(self, root: Any) -> dict[str, Any]:
        module, bounded = schema(), self.bounded
        return (
            _unless(
                [],
                metadata_buffer=[self._blob(i) for i in bounded.integers(root, "MetadataBuffer")],
            )
            | _unless(
                [],
                external_buffer_groups=[
                    bounded.unpacked(module.ExternalBufferGroupT.InitFromObj(table))
                    for table in bounded.tables(root, "ExternalBufferGroups")
                ],
            )
            | _unless(
                [],
                external_buffers=[
                    bounded.unpacked(module.ExternalBufferT.InitFromObj(table))
                    for table in bounded.tables(root, "ExternalBuffers")
                ],
            )
        )

    def _signature(self, table: Any, subgraphs: list[Subgraph]) -> Any:
        bounded = self.bounded
        index = bounded.index(table.SubgraphIndex(), len(subgraphs), "subgraph")
        count = len(subgraphs[index].tensors)
        return schema().SignatureDefT(
            signatureKey=bounded.text(table.SignatureKey()),
            subgraphIndex=index,
            inputs=[self._tensor_map(t, count) for t in bounded.tables(table, "Inputs")],
            outputs=[self._tensor_map(t, count) for t in bounded.tables(table, "Outputs")],
        )

    def _tensor_map(self, table: Any, tensors: int) -> Any:
        return schema().TensorMapT(
            name=self.bounded.text(table.Name()),
            tensorIndex=self.bounded.index(table.TensorIndex(), tensors, "tensor"),
        )

    def _subgraph(self, table: Any) -> Subgraph:
        bounded = self.bounded
        tensors = [self._tensor(tensor) for tensor in bounded.tables(table, "Tensors")]
        count = len(tensors)
        for tensor in tensors:
            for index in block_tensors(tensor):
                bounded.index(index, count, "tensor", -1)
        return Subgraph(
            name=bounded.text(table.Name()),
            tensors=tensors,
            operators=[self._operator(op, count) for op in bounded.tables(table, "Operators")],
            inputs=bounded.indices(table, "Inputs", count),
            outputs=bounded.indices(table, "Outputs", count),
            extra=_unless(-1, debug_metadata_index=table.DebugMetadataIndex()),
        )

    def _tensor(self, table: Any) -> Tensor:
        bounded = self.bounded
        kind = BY_CODE.get(table.Type())
        if kind is None:
            raise bounded.unknown("a tensor type", f"type {table.Type()}")
        shape = tuple(bounded.integers(table, "Shape"))
        if any(size < 0 for size in shape):
            raise bounded.damaged("a tensor's sizes must be 0 or more", shape)
        index = table.Buffer()
        # Buffer 0 stands for "none", and some files leave the list out altogether.
        view = None
        if index or self.buffers:
            view = self.buffers[bounded.index(index, len(self.buffers), "buffer")]
        sparsity = self._sparsity(table.Sparsity())
        quantization, extra = self._quantization(bounded.quick(table.Quantization()), shape)
        variants = [self._variant(variant) for variant in bounded.tables(table, "VariantTensors")]
        return Tensor(
            name=bounded.text(table.Name()),
            type=kind.name,
            shape=shape,
            shape_signature=tuple(bounded.integers(table, "ShapeSignature")) or None,
            quantization=quantization,
            data=None if view is None else self._constant(view, kind, shape, sparsity is not None),
            is_variable=table.IsVariable(),
            extra=extra
            | _unless(None, sparsity=sparsity)
            | _unless(False, has_rank=table.HasRank())
            | _unless(0, external_buffer=table.ExternalBuffer())
            | _unless([], variant_tensors=variants),
        )

    def _constant(
        self, view: np.ndarray, kind: TensorType, shape: tuple[int, ...], sparse: bool
    ) -> np.ndarray:
        expected = kind.storage_bytes(shape)
        if sparse or expected is None:
            return view
        if view.nbytes != expected:
            raise self.bounded.damaged(
                f"a constant of {kind.name} {list(shape)} must have {expected} bytes", view.nbytes
            )
        return view if kind.dtype is None else view.view(kind.dtype).reshape(shape)

    def _sparsity(self, table: Any) -> Any:
        if table is None:
            return None
        self.bounded.tables(table, "DimMetadata")
        return schema().SparsityParametersT.InitFromObj(table)

    def _variant(self, table: Any) -> Any:
        return self.bounded.unpacked(schema().VariantSubTypeT.InitFromObj(table))

    def _quantization(
        self, table: Any, shape: tuple[int, ...]
    ) -> tuple[Quantization | None, dict[str, Any]]:
        if table is None:
            return None, {}
        bounded = self.bounded
        details = schema().QuantizationDetailsCreator(table.DetailsType(), table.Details())
        if details is None and table.Details() is not None and table.DetailsType():
            raise bounded.unknown("a kind of quantisation", f"kind {table.DetailsType()}")
        ranges = {key: bounded.numbers(table, key.title()) for key in ("min", "max")}
        extra = {key: view for key, view in ranges.items() if view.size}
        extra |= _unless(None, quantization_details=details)
        scale, zero_point = bounded.numbers(table, "Scale"), bounded.numbers(table, "ZeroPoint")
        if not scale.size:
            return None, extra
        axis = table.QuantizedDimension()
        if zero_point.size not in (0, scale.size):
            raise bounded.damaged(
                "there must be a zero point for every scale",
                f"{scale.size} scales, {zero_point.size} zero points",
            )
        if scale.size > 1 and (not 0 <= axis < len(shape) or shape[axis] != scale.size):
            raise bounded.damaged(
                "there must be a scale for every channel",
                f"{scale.size} scales along dimension {axis} of {list(shape)}",
            )
        if not zero_point.size:
            zero_point = np.zeros(scale.size, np.int64)
        return Quantization(scale=scale, zero_point=zero_point, axis=axis), extra

    def _operator(self, table: Any, tensors: int) -> Operator:
        module, bounded = schema(), self.bounded
        code = bounded.index(table.OpcodeIndex(), len(self.codes), "operator code")
        kind, custom, version = self.codes[code]
        first = self._options(
            module.BuiltinOptionsCreator, table.BuiltinOptionsType(), table.BuiltinOptions()
        )
        second = self._options(
            module.BuiltinOptions2Creator, table.BuiltinOptions2Type(), table.BuiltinOptions2()
        )
        mutating = bounded.numbers(table, "MutatingVariableInputs")
        return Operator(
            type=kind,
            inputs=bounded.indices(table, "Inputs", tensors, -1),
            outputs=bounded.indices(table, "Outputs", tensors),
            version=version,
            options=second if first is None else first,
            custom_name=custom,
            custom_options=self._custom_options(table),
            intermediates=bounded.indices(table, "Intermediates", tensors, -1),
            extra=_unless(None, second_options=None if first is None else second)
            | _unless(0, custom_options_format=table.CustomOptionsFormat())
            | _unless([], mutating_variable_inputs=mutating.tolist())
            | _unless(-1, debug_metadata_index=table.DebugMetadataIndex()),
        )

    def _options(self, create: Any, code: int, table: Any) -> Any:
        if not code or table is None:
            return None
        options = create(code, table)
        if options is None:
            raise self.bounded.unknown("operator options", f"options {code}")
        for name, value in vars(self.bounded.unpacked(options)).items():
            if "subgraph" in name.lower() and value is not None:
                for index in np.atleast_1d(value).tolist():
                    self.bounded.index(index, self.subgraphs, "subgraph", -1)
        return options

    def _custom_options(self, table: Any) -> bytes:
        if table.CustomOptionsLength():
            return self.bounded.copied(self.bounded.numbers(table, "CustomOptions"))
        if table.LargeCustomOptionsOffset() >= FIRST_OFFSET and table.LargeCustomOptionsSize():
            offset, size = table.LargeCustomOptionsOffset(), table.LargeCustomOptionsSize()
            return self.bounded.copied(self.bounded.outside(offset, size))
        return b""


def _unless(usual: Any, **value: Any) -> dict[str, Any]:
    """The one named value as a dictionary, empty where it is the usual one."""
    return {key: found for key, found in value.items() if found != usual}
