"""Reading what Google's compiler made: from a compiled .tflite to plain dataclasses.

A compiled part is a custom operator whose payload is a FlexBuffer map. It holds a package, which
holds executables, each a FlatBuffer within the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from atoll.edgetpu.package_slots import read_root
from atoll.edgetpu.package_tables import (
    BaseAddress,
    Executable,
    ExecutableType,
    Instructions,
    MultiExecutable,
    PackageTable,
    Transfer,
)
from atoll.edgetpu.simfile import EDGETPU_OP
from atoll.tflite.bounded import ASTRAY, Bounded

if TYPE_CHECKING:
    from atoll.tflite.graph import Model

FILE_IDENTIFIER = b"DWN1"

# Keys of the map. What the values of the last three are for is not known.
_VERSION, _PACKAGE, _FIVE, _CHIPS, _SEVEN = "1", "4", "5", "6", "7"

# What the FlexBuffer reader raises when a file leads it astray.
_FLEX_ASTRAY = (*ASTRAY, LookupError, AssertionError, AttributeError)
_FIELD_BITS = 32


@dataclass(frozen=True)
class Package:
    """A compiled part: what its custom operator carries.

    Attributes:
        table: The package's own fields.
        executables: What the chip runs.
        options_version: Key "1" of the map, 0.
        option_5: Key "5", -1 or 1; None where it is left out.
        chips: Key "6", chip ids; None where it is left out.
        option_7: Key "7", an empty list; None where it is left out.
    """

    table: PackageTable
    executables: tuple[Executable, ...]
    options_version: int | None
    option_5: int | None
    chips: tuple[int, ...] | None
    option_7: tuple[int, ...] | None

    @property
    def min_runtime_version(self) -> int:
        """The oldest runtime that runs it."""
        return self.table.min_runtime_version

    @property
    def compiler_version(self) -> str:
        """The compiler's version, as it wrote it."""
        return self.table.compiler_version

    def executable(self, kind: ExecutableType) -> Executable | None:
        """The executable of a type; None where there is none."""
        return next((each for each in self.executables if each.type == kind), None)

    @property
    def cached_bytes(self) -> int:
        """Parameters that stay on the chip between calls."""
        caching = self.executable(ExecutableType.PARAMETER_CACHING)
        return 0 if caching is None else len(caching.parameters)

    @property
    def streamed_bytes(self) -> int:
        """Parameters that are sent at every call."""
        return sum(
            len(each.parameters)
            for each in self.executables
            if each.type != ExecutableType.PARAMETER_CACHING
        )


def packages(model: Model, source: object = "compiled model") -> list[Package]:
    """Reads the compiled parts of a model.

    Args:
        model: A model, compiled or not.
        source: What to call it in a message.

    Returns:
        A package for every compiled part of the main subgraph, in order.

    Raises:
        ModelError: A part is damaged.
    """
    return [
        read_package(op.custom_options, source)
        for op in model.main.operators
        if op.custom_name == EDGETPU_OP
    ]


def read_package(payload: bytes, source: object = "compiled model") -> Package:
    """Reads the payload of one custom operator.

    Args:
        payload: The operator's custom options.
        source: What to call it in a message.

    Returns:
        The package.

    Raises:
        ModelError: It is damaged, or no package.
    """
    options = _options(payload, source)
    data = options.get(_PACKAGE)
    if not isinstance(data, bytes) or data[4:8] != FILE_IDENTIFIER:
        raise Bounded(payload, source).damaged(
            f"a compiled part must hold a package, with the identifier {FILE_IDENTIFIER.decode()}",
            repr(data[4:8]) if isinstance(data, bytes) else "none",
        )
    table = read_root(PackageTable, Bounded(data, source))
    inner = Bounded(table.serialized_multi_executable, source)
    executables = tuple(
        _executable(Bounded(each, source))
        for each in read_root(MultiExecutable, inner).serialized_executables
    )
    return Package(
        table=table,
        executables=executables,
        options_version=options.get(_VERSION),
        option_5=options.get(_FIVE),
        chips=options.get(_CHIPS),
        option_7=options.get(_SEVEN),
    )


def _options(payload: bytes, source: object) -> dict[str, Any]:
    """The entries of a compiled part's FlexBuffer map that are known."""
    from flatbuffers import flexbuffers

    try:
        entries = flexbuffers.GetRoot(payload).AsMap
        found: dict[str, Any] = {}
        for key, read in _READERS.items():
            try:
                entry = entries[key]
            except KeyError:
                continue
            found[key] = read(entry)
        return found
    except _FLEX_ASTRAY as error:
        raise Bounded(payload, source).damaged(
            "a compiled part's options must be a map", f"{len(payload)} bytes"
        ) from error


def _integers(entry: Any) -> tuple[int, ...]:
    vector = entry.AsVector
    # Every element takes a byte at least; the length alone may say anything.
    if len(vector) > 1 << 16:
        raise ValueError(len(vector))
    return tuple(int(vector[i].AsInt) for i in range(len(vector)))


_READERS = {
    _VERSION: lambda entry: int(entry.AsInt),
    _PACKAGE: lambda entry: bytes(entry.AsStringBytes),
    _FIVE: lambda entry: int(entry.AsInt),
    _CHIPS: _integers,
    _SEVEN: _integers,
}


def _executable(bounded: Bounded) -> Executable:
    """One executable, with what it says of itself checked."""
    found = read_root(Executable, bounded)
    for chunk in found.chunks:
        last = 8 * len(chunk.bitstream) - _FIELD_BITS
        for entry in chunk.field_offsets:
            bounded.index(entry.offset_bit, last + 1, "bit")
    for hint in found.dma_hints.hints if found.dma_hints is not None else ():
        if isinstance(hint.what, Instructions):
            bounded.index(hint.what.chunk, len(found.chunks), "chunk")
        elif isinstance(hint.what, Transfer):
            _check_transfer(bounded, found, hint.what)
    return found


def _check_transfer(bounded: Bounded, executable: Executable, transfer: Transfer) -> None:
    """That a transfer has no negative size, and one of parameters lies within these."""
    start, size = transfer.offset_in_bytes, transfer.size_in_bytes
    of_parameters = transfer.meta is not None and transfer.meta.base == BaseAddress.PARAMETER
    limit = len(executable.parameters) if of_parameters else start + size
    if not 0 <= start <= start + size <= limit:
        raise bounded.damaged(
            "a transfer must lie within its buffer", f"{size} bytes at {start} of {limit}"
        )
