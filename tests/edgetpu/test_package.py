"""Compiled files come from anywhere: what they hold is read exactly, or refused in one line.

The FlatBuffers here are written by the stock builder, slot by slot, and so know nothing of ours.
"""

import csv
import json
import random

import pytest
from compiled_files.package import executable, options, package
from compiled_files.programs import (
    CACHING,
    EXECUTION,
    PARAMETER,
    InstructionHint,
    InterruptHint,
    Layer,
    Program,
    TransferHint,
    addresses,
)
from compiled_files.slots import Slots

from atoll.edgetpu.package import packages, read_package
from atoll.edgetpu.package_tables import (
    BaseAddress,
    Direction,
    ExecutableType,
    InputLayer,
    Instructions,
    Interrupt,
    OutputLayer,
    Position,
    Transfer,
)
from atoll.errors import ModelError
from atoll.tflite.graph import Model, Operator, Subgraph
from atoll.tflite.reader import read_model

CHUNK = bytes(range(64))
PARAMETERS = bytes(128)


def program(kind=EXECUTION, offset_bit=70, chunk=0, size=128, union=2):
    """A program with a number in every slot, and perhaps a wrong one, as bytes."""
    places = addresses((PARAMETER, ""))
    for place in places:
        place.offset_bit += offset_bit - 70
    maps = [[i, i + 1] for i in range(6)]
    return executable(
        Program(
            kind,
            [
                InstructionHint(chunk, union),
                TransferHint(PARAMETER, "", 0, size),
                InterruptHint(),
            ],
            inputs=[Layer("in", 4, y_dim=2, x_dim=3)],
            outputs=[Layer("out", 4, y_dim=2, x_dim=3, maps=maps)],
            chunks=[CHUNK],
            addresses=places,
            parameters=PARAMETERS,
            token=2**64 - 3,
            scratch=640,
            narrow_bytes=4096,
            cycles=2**40,
        )
    )


@pytest.fixture(scope="module")
def published(shared):
    """Every compiled file, by name."""
    return sorted((shared / "models").glob("*/*_edgetpu.tflite"))


def test_every_published_file_is_read_as_others_read_it(shared, published):
    """Sizes, chunks, hints and layers against a table that was read off them independently."""
    with (shared / "facts/google_compiled.csv").open() as file:
        facts = {row["file"].split("/")[-1]: row for row in csv.DictReader(file)}
    checked = 0
    for path in published:
        row = facts.get(path.name)
        if path.parent.name != "v13" or row is None:
            continue
        (found,) = packages(read_model(path))
        run = found.executable(ExecutableType.EXECUTION_ONLY)
        load = found.executable(ExecutableType.PARAMETER_CACHING)
        assert found.min_runtime_version == int(row["min_runtime"])
        assert len(run.parameters) == int(row["EO_param_bytes"])
        assert len(load.parameters) == int(row["PC_param_bytes"])
        assert sum(len(c.bitstream) for c in run.chunks) == int(row["EO_instr_bytes"])
        assert sum(len(c.bitstream) for c in load.chunks) == int(row["PC_instr_bytes"])
        assert run.narrow_bytes_per_tile == int(row["narrow_bytes_per_tile"])
        assert run.scratch_size_bytes == int(row["scratch"])
        assert len(run.dma_hints.hints) == int(row["n_hints"])
        assert run.dma_hints.fully_deterministic == (row["fully_det"] == "True")
        for layers, column in ((run.input_layers, "inputs"), (run.output_layers, "outputs")):
            sizes = [[x.name, x.size_bytes, x.y_dim, x.x_dim, x.z_dim] for x in layers]
            assert sizes == [entry[:5] for entry in json.loads(row[column])]
        checked += 1
    assert checked >= 13


def test_every_published_file_holds_what_the_format_says(published):
    """The two executables share a token; transfers of outputs are the output layers."""
    assert len(published) >= 24
    for path in published:
        (found,) = packages(read_model(path))
        run, load = found.executables
        assert (run.type, load.type) == (2, 1)
        assert run.parameter_caching_token == load.parameter_caching_token != 0
        assert run.chip == load.chip == "beagle"
        assert all(isinstance(each.kind, InputLayer) for each in run.input_layers)
        assert all(isinstance(each.kind, OutputLayer) for each in run.output_layers)
        ends = run.dma_hints.hints[-1].what == Interrupt(number=0)
        assert ends == run.dma_hints.fully_deterministic
        assert (found.table.signature, found.table.multi_chip_package) == (b"", ())
        sent = [
            hint.what.meta.name
            for hint in run.dma_hints.hints
            if isinstance(hint.what, Transfer) and hint.direction == Direction.OUTFEED
            if hint.what.meta.base == BaseAddress.OUTPUT
        ]
        assert set(sent) <= {each.name for each in run.output_layers}


def test_an_output_layout_reaches_every_byte_once(published):
    """The element's place, by the formula of the layout: no two elements share a byte."""
    checked = 0
    for path in published:
        for run in packages(read_model(path))[0].executables[:1]:
            for each in run.output_layers:
                maps = each.kind.layout
                if maps is None or each.y_dim * each.x_dim == 1 or each.data_type == 9:
                    continue
                rows = zip(maps.y_tile, maps.y_local, strict=True)
                columns = list(zip(maps.x_tile, maps.x_local, maps.x_row_size, strict=True))
                seen = {
                    maps.tile_offset[row + column] + y * size + x
                    for row, y in rows
                    for column, x, size in columns
                }
                assert len(seen) == each.y_dim * each.x_dim
                assert max(seen) + each.z_dim <= each.size_bytes
                checked += 1
    assert checked >= 10


def test_every_slot_is_read():
    """A file written by the stock builder comes back field by field."""
    found = read_package(options(package(program(), program(kind=CACHING))))
    assert (found.options_version, found.option_5, found.chips) == (0, -1, (18,))
    assert (found.min_runtime_version, found.compiler_version) == (14, "cl/1")
    run, load = found.executables
    assert load.type == ExecutableType.PARAMETER_CACHING
    assert (run.batch_size, run.scratch_size_bytes, run.narrow_bytes_per_tile) == (1, 640, 4096)
    assert (run.parameter_caching_token, run.estimated_cycles_64bit) == (2**64 - 3, 2**40)
    assert (run.chip, run.parameters, run.name, run.version) == ("beagle", PARAMETERS, "", 0)
    (chunk,) = run.chunks
    assert chunk.bitstream == CHUNK
    assert [place.offset_bit for place in chunk.field_offsets] == [70, 198]
    assert chunk.field_offsets[1].meta.position == Position.UPPER
    first, second, third = run.dma_hints.hints
    assert first.what == Instructions(chunk=0)
    assert (second.what.meta.base, second.what.size_in_bytes) == (BaseAddress.PARAMETER, 128)
    assert (third.what, third.direction) == (Interrupt(number=0), Direction.OUTFEED)
    assert run.dma_hints.fully_deterministic
    (entry,), (result,) = run.input_layers, run.output_layers
    assert (entry.name, entry.size_bytes, entry.kind) == ("in", 24, InputLayer())
    assert (entry.numerics.zero_point, entry.numerics.scale) == (128, 0.5)
    assert (result.y_dim, result.x_dim, result.z_dim) == (2, 3, 4)
    assert (result.execution_count_per_inference, result.cache_on_dram) == (1, False)
    assert result.kind.layout.y_tile == (0, 1)
    assert result.kind.layout.x_row_size == (5, 6)
    assert result.kind.shape_info is None


def test_a_model_that_is_not_compiled_has_no_packages():
    op = Operator("CUSTOM", [0], [0], custom_name="another")
    assert packages(Model([Subgraph("main", [], [op], [], [])])) == []


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b"", "must be a map"),
        (b"no map at all", "must be a map"),
        (options(None), "must hold a package"),
        (options(package(program(), identifier=b"DWN2")), "must hold a package"),
        (options(package(b"")), "within the file"),
        (options(package(program(offset_bit=512))), "bit index"),
        (options(package(program(offset_bit=-1))), "bit index"),
        (options(package(program(chunk=1))), "chunk index"),
        (options(package(program(size=129))), "within its buffer"),
        (options(package(program(size=-1))), "within its buffer"),
        (options(package(program(kind=3))), "ExecutableType must be one of 0, 1, 2"),
        (options(package(program(union=5))), "kind of a table must be 1 to 4"),
    ],
)
def test_damage_is_named_in_one_line(payload, message):
    """What is wrong, and no traceback."""
    with pytest.raises(ModelError, match=message) as error:
        read_package(payload, "x_edgetpu.tflite")
    assert str(error.value).startswith("x_edgetpu.tflite: the model is damaged: ")
    assert "\n" not in str(error.value)


def test_no_mutation_crashes_the_reader():
    """3,000 damaged payloads: each is read or refused with an error of ours."""
    good = options(package(program(), program(kind=CACHING)))
    dice = random.Random(5)
    refused = 0
    for _ in range(3000):
        data = bytearray(good)
        for _ in range(dice.choice((1, 1, 2, 8))):
            at = dice.randrange(len(data))
            change = dice.randrange(4)
            if change == 0:
                data[at] ^= 1 << dice.randrange(8)
            elif change == 1:
                word = dice.choice((0, 2**31 - 1, 2**31, 2**32 - 1, dice.getrandbits(32)))
                data[at : at + 4] = word.to_bytes(4, "little")
            elif change == 2:
                del data[at : at + dice.randrange(1, 40)]
            else:
                data[at:at] = bytes(dice.randrange(40))
            data = data or bytearray(1)
        try:
            read_package(bytes(data))
        except ModelError as error:
            assert "\n" not in str(error)
            refused += 1
    assert 300 < refused < 3000


def test_parts_that_stand_for_a_huge_graph_are_refused():
    """Ten thousand offsets to one table that has ten thousand: memory would never be enough."""
    s = Slots()
    place = s.table(2, (1, "Int32", 0))
    many = s.vector([place] * 10_000)
    chunk = s.table(2, (0, s.data(CHUNK)), (1, many))
    data = s.finish(s.table(17, (5, s.vector([chunk] * 10_000))))
    with pytest.raises(ModelError, match="must not repeat without end"):
        read_package(options(package(data)))
