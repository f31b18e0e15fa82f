"""Programs as bytes, and the package of them that a custom operator carries."""

from flatbuffers import flexbuffers

from compiled_files.programs import (
    INFEED,
    OUTFEED,
    OUTPUT,
    FenceHint,
    InstructionHint,
    InterruptHint,
    TransferHint,
)
from compiled_files.slots import Slots


def options(package):
    """The custom operator's payload; the package is a string there, as Google's compiler has it."""
    builder = flexbuffers.Builder()
    with builder.Map():
        builder.Key("1")
        builder.Int(0)
        if package is not None:
            builder.Key("4")
            # What the builder's own String does, but for encoding text.
            builder._WriteBlob(package, append_zero=True, type_=flexbuffers.Type.STRING)
        builder.Key("5")
        builder.Int(-1)
        builder.Key("6")
        builder.VectorFromElements([18])
    return bytes(builder.Finish())


def package(*executables, identifier=b"DWN1", runtime=14):
    """A package of serialised executables."""
    s = Slots()
    inner = s.vector([s.text(each) for each in executables])
    multi = s.finish(s.table(1, (0, inner)))
    s = Slots()
    data, version = s.data(multi), s.text("cl/1")
    return s.finish(s.table(8, (0, "Int32", runtime), (1, data), (4, version)), identifier)


def executable(program):
    """A program, serialised."""
    s = Slots()
    places = s.vector([_address(s, each) for each in program.addresses])
    chunks = s.vector([s.table(2, (0, s.data(code)), (1, places)) for code in program.chunks])
    hints = s.vector([_hint(s, each) for each in program.hints])
    hints = s.table(2, (0, hints), (1, "Bool", program.determined))
    inputs = s.vector([_layer(s, each, 2, s.table(0)) for each in program.inputs])
    outputs = s.vector([_layer(s, each, 1, _output(s, each)) for each in program.outputs])
    parameters, chip = s.data(program.parameters), s.text(program.chip)
    return s.finish(
        s.table(
            17,
            (3, "Int32", program.batch),
            (4, "Int32", program.scratch),
            (5, chunks),
            (6, parameters),
            (7, hints),
            (8, inputs),
            (9, outputs),
            (10, chip),
            (12, "Int32", program.narrow_bytes),
            (13, "Int16", program.type),
            (14, "Uint64", program.token),
            (16, "Int64", program.cycles),
        )
    )


def _meta(s, base, name, position=0):
    text = s.text(name)
    return s.table(4, (0, "Int16", base), (2, text), (3, "Int16", position))


def _address(s, address):
    meta = _meta(s, address.base, address.name, address.position)
    return s.table(2, (0, meta), (1, "Int32", address.offset_bit))


def _hint(s, hint):
    union, table, direction = _HINTS[type(hint)](s, hint)
    return s.table(3, (0, "Uint8", union), (1, table), (2, "Int16", direction))


def _transfer(s, hint):
    direction = hint.direction
    if direction is None:
        direction = OUTFEED if hint.base == OUTPUT else INFEED
    meta = _meta(s, hint.base, hint.name)
    return 1, s.table(3, (0, meta), (1, "Int32", hint.start), (2, "Int32", hint.size)), direction


def _instructions(s, hint):
    return hint.union, s.table(1, (0, "Int32", hint.chunk)), INFEED


def _interrupt(s, _hint):
    return 3, s.table(1), OUTFEED


def _fence(s, _hint):
    return 4, s.table(0), INFEED


_HINTS = {
    TransferHint: _transfer,
    InstructionHint: _instructions,
    InterruptHint: _interrupt,
    FenceHint: _fence,
}


def _output(s, layer):
    if layer.maps is None:
        return s.table(3)
    maps = s.table(6, *((slot, s.integers(each)) for slot, each in enumerate(layer.maps)))
    return s.table(3, (0, maps))


def _layer(s, layer, union, details):
    name = s.text(layer.name)
    numerics = s.table(2, (0, "Int32", layer.zero_point), (1, "Float32", layer.scale))
    return s.table(
        12,
        (0, name),
        (1, "Int32", layer.sent),
        (2, "Int32", layer.y_dim),
        (3, "Int32", layer.x_dim),
        (4, "Int32", layer.z_dim),
        (5, numerics),
        (6, "Int16", layer.data_type),
        (7, "Uint8", union),
        (8, details),
    )
