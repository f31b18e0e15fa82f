"""Damaged compiled files are refused before the driver sees them; sound ones are not."""

from dataclasses import replace

import pytest
from compiled_files import Wrapping, compiled
from compiled_files.faults import part_of, sound
from compiled_files.programs import (
    CACHING,
    EXECUTION,
    INFEED,
    INPUT,
    INT8,
    OUTFEED,
    OUTPUT,
    PARAMETER,
    SCRATCH,
    STAND_ALONE,
    Address,
    Layer,
    TransferHint,
)
from litert_files import model_files

from atoll.edgetpu.package_check import RULES, check_package, sent_back
from atoll.errors import ModelError
from atoll.runtime.parts import compiled_parts
from atoll.tflite.build import GraphBuilder
from atoll.tflite.reader import read_model

PIXELS = [[0, 0], [0, 1], [0, 32], [0, 0], [0, 1], [16, 16]]


def checked(file, **how):
    part = part_of(file)
    check_package(part.package, part.inputs, part.outputs, "x.tflite", **how)
    return part


def test_every_published_file_is_accepted(shared):
    """What Google's compiler made must run: a rule that is too strict fails here."""
    count = 0
    for path in model_files(shared):
        for part in compiled_parts(read_model(path), path):
            check_package(part.package, part.inputs, part.outputs, path, usb=False)
            if "lstm" in path.name:
                with pytest.raises(ModelError, match="Use an Edge TPU on PCI Express"):
                    check_package(part.package, part.inputs, part.outputs, path)
            else:
                check_package(part.package, part.inputs, part.outputs, path)
            main = next(each for each in part.package.executables if each.type == 2)
            if main.dma_hints.fully_deterministic:
                assert sent_back(part.package) == sum(
                    layer.size_bytes for layer in main.output_layers
                )
            count += 1
    assert count >= 24


def test_made_files_are_accepted():
    """The files that the faults below are made of must have none."""
    assert sent_back(checked(sound()).package) == 16
    several = sound(
        [Layer("a", 5), Layer("b", 3, INT8)],
        [Layer("c", 7), Layer("d", 4, y_dim=2, x_dim=2, size_bytes=64, maps=PIXELS)],
    )
    assert sent_back(checked(several).package) == 72


@pytest.mark.parametrize("streamed", [False, True])
def test_another_maker_of_files_is_accepted(streamed):
    """Files that the tests of the twin are made of, which know nothing of these rules."""
    b = GraphBuilder("int8", seed=1)
    x = b.conv2d(b.input((1, 16, 16, 8)), 8, 3, activation="RELU6")
    model = b.model([b.conv2d(x, 4, 1), b.softmax(b.dense(b.mean(x), 10))])
    (part,) = compiled_parts(compiled(model, Wrapping(cached=not streamed)), "made")
    assert len(part.outputs) == 2
    check_package(part.package, part.inputs, part.outputs)


def _token(file):
    file.programs[1].token += 1


def _input_size(file):
    file.programs[0].inputs[0].size_bytes = 9999


def _output_size(file):
    file.programs[0].outputs[0].size_bytes = 8


def _channels(file):
    file.inputs[0].z_dim += 1


def _type(file):
    file.programs[0].inputs[0].data_type = INT8


def _layer_name(file):
    file.programs[0].inputs[0].name = "Qn"


def _hint_size(file):
    file.programs[0].hints[1] = TransferHint(INPUT, "in", 0, 8)


def _hint_beyond(file):
    file.programs[0].hints[1] = TransferHint(INPUT, "in", 8, 24)


def _hint_of_nothing(file):
    file.programs[0].hints[1] = TransferHint(INPUT, "other", 0, 24)


def _output_twice(file):
    file.programs[0].hints.insert(2, TransferHint(OUTPUT, "out", 0, 8))


def _wrong_way(file):
    file.programs[0].hints[2] = TransferHint(OUTPUT, "out", 0, 16, INFEED)


def _parameters_missing(file):
    file.programs[1].hints[1] = TransferHint(PARAMETER, "", 0, 64)


def _no_hints(file):
    file.programs[0].hints = []


def _chunk_missing(file):
    file.programs[0].chunks *= 2


def _field_name(file):
    file.programs[0].addresses.append(Address(OUTPUT, "other"))


def _two_alike(file):
    file.programs[1].type = EXECUTION


def _load_alone(file):
    del file.programs[0]


def _batch(file):
    file.programs[0].batch = 2


def _chip(file):
    file.programs[0].chip = "dauphin"


def _layer_missing(file):
    file.programs[0].inputs.clear()


def _layer_twice(file):
    file.programs[0].outputs *= 2
    file.outputs *= 2


def _layer_nameless(file):
    file.programs[0].outputs[0].name = ""


def _layout_missing(file):
    for layers in (file.outputs, file.programs[0].outputs):
        layers[0] = Layer("out", 4, y_dim=2, x_dim=2)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_token, "share one token"),
        (_input_size, "9999 bytes for 24"),
        (_output_size, "8 bytes for 10"),
        (_channels, "24 bytes for"),
        (_type, "SIGNED_FIXED_POINT8 for UINT8"),
        (_layer_name, "0 for 'in'|of nothing known for 'in'"),
        (_hint_size, "8 of 24 bytes of input 'in'"),
        (_hint_beyond, "24 bytes at 8 of 24"),
        (_hint_of_nothing, "of nothing known for 'other'"),
        (_output_twice, "24 of 16 bytes of output 'out'"),
        (_wrong_way, "INFEED of transfer"),
        (_parameters_missing, "64 of 128 bytes of parameter"),
        (_no_hints, "nothing for EXECUTION_ONLY"),
        (_chunk_missing, "1 of 2 chunks"),
        (_field_name, "output 'other'"),
        (_two_alike, "EXECUTION_ONLY, EXECUTION_ONLY"),
        (_load_alone, "Received: PARAMETER_CACHING"),
        (_batch, "a batch of 2"),
        (_chip, "the chip 'dauphin'"),
        (_layer_missing, "0 layers for 1 tensors"),
        (_layer_twice, "Received: 'out'"),
        (_layer_nameless, "Received: ''"),
        (_layout_missing, "a layout that does not fit its shape at 'out'"),
    ],
)
def test_damage_is_named_in_one_line(damage, message):
    """Each of these the driver runs with a wrong result, crashes over, or waits for for ever."""
    file = sound()
    damage(file)
    with pytest.raises(ModelError, match=message) as caught:
        checked(file)
    assert str(caught.value).startswith("x.tflite: the compiled part is damaged: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (2, [0, 60], "byte 63|byte 7[0-9] of 64|byte 8"),
        (2, [0], "does not fit its shape"),
        (0, [0, 9], "does not fit its shape"),
        (1, [0, 1, 1], "does not fit its shape"),
        (5, [-900, 16], "does not fit its shape"),
    ],
)
def test_an_output_layout_must_stay_within_what_is_sent(place, value, message):
    """The driver follows the layout with plain reads: beyond the buffer it reads anything."""
    maps = [list(each) for each in PIXELS]
    maps[place] = value
    file = sound(None, [Layer("d", 4, y_dim=2, x_dim=2, size_bytes=64, maps=maps)])
    with pytest.raises(ModelError, match=message):
        checked(file)


def test_tensors_may_be_renamed_but_not_exchanged():
    """Tools rename tensors; two inputs of one size in the wrong order give wrong answers."""
    file = sound([Layer("a", 8), Layer("b", 8)])
    file.inputs[0].name, file.inputs[1].name = "x", "y"
    checked(file)
    file.inputs[0].name, file.inputs[1].name = "b", "a"
    with pytest.raises(ModelError, match="the place of 'b'"):
        checked(file)


def test_an_input_and_an_output_may_share_a_name():
    """The driver keeps them apart; so do tensors that have no name at all."""
    for name in ("in", ""):
        file = sound([Layer(name, 24)], [Layer(name, 10)])
        checked(file)


def _changed(part, **of_layers):
    """The part, its layers and transfers otherwise."""
    run, load = part.package.executables
    count = of_layers["execution_count_per_inference"]
    hints = [
        replace(hint, what=replace(hint.what, size_in_bytes=hint.what.size_in_bytes * count))
        if hasattr(hint.what, "size_in_bytes")
        else hint
        for hint in run.dma_hints.hints
    ]
    run = replace(
        run,
        input_layers=tuple(replace(each, **of_layers) for each in run.input_layers),
        output_layers=tuple(replace(each, **of_layers) for each in run.output_layers),
        dma_hints=replace(run.dma_hints, hints=tuple(hints)),
    )
    return replace(part.package, executables=(run, load))


def test_what_is_sent_several_times_in_a_call_is_padded_each_time():
    """The driver runs such a program's layers in turns (ScatterInput, Relayout)."""
    part = part_of(sound([Layer("in", 21)], [Layer("out", 10)]))
    package = _changed(part, execution_count_per_inference=4)
    for tensor in (*part.inputs, *part.outputs):
        tensor.shape = (1, 4, tensor.shape[1])
    check_package(package, part.inputs, part.outputs)
    assert sent_back(package) == 64
    part.outputs[0].shape = (1, 3, 10)
    with pytest.raises(ModelError, match="40 bytes for"):
        check_package(package, part.inputs, part.outputs)


def test_there_is_one_buffer_of_parameters_whatever_it_is_called():
    """The driver does not look at its name."""
    file = sound()
    file.programs[1].hints[1] = TransferHint(PARAMETER, "weights", 0, 128)
    file.programs[0].scratch = 32
    file.programs[0].hints.insert(2, TransferHint(SCRATCH, "scratch", 0, 32, INFEED))
    checked(file)


def test_a_model_without_parameters_has_none_to_load():
    """An addition or a pooling alone: there is nothing to transfer but instructions."""
    file = sound(parameters=b"")
    del file.programs[1].hints[1]
    checked(file)


@pytest.mark.parametrize("place", ["hint", "address"])
def test_there_is_no_second_of_a_batch(place):
    """The driver would take its address from behind the list of them."""
    part = part_of(sound())
    run, load = part.package.executables

    def second(meta):
        return replace(meta, batch=1)

    if place == "hint":
        hints = [
            replace(hint, what=replace(hint.what, meta=second(hint.what.meta)))
            if getattr(hint.what, "meta", None)
            else hint
            for hint in run.dma_hints.hints
        ]
        run = replace(run, dma_hints=replace(run.dma_hints, hints=tuple(hints)))
    else:
        (chunk,) = run.chunks
        fields = tuple(replace(each, meta=second(each.meta)) for each in chunk.field_offsets)
        run = replace(run, chunks=(replace(chunk, field_offsets=fields),))
    package = replace(part.package, executables=(run, load))
    with pytest.raises(ModelError, match="input or output 1 of a batch"):
        check_package(package, part.inputs, part.outputs)


def test_more_than_one_batch_is_refused():
    """The driver gives the first batch's answer for all of them (edgetpu_context_direct.cc)."""
    file = sound()
    part = part_of(file)
    for tensor in (*part.inputs, *part.outputs):
        tensor.shape = (2, *tensor.shape[1:])
    with pytest.raises(ModelError, match="24 bytes for"):
        check_package(part.package, part.inputs, part.outputs)


def test_what_asks_as_it_runs_is_for_pci_alone():
    """On USB the driver refuses an LSTM with a message of its own."""
    file = sound()
    file.programs[0].determined = False
    checked(file, usb=False)
    with pytest.raises(ModelError, match="PCI Express"):
        checked(file)


def test_one_program_alone_is_sound():
    """Parameters that are not cached come with the program itself."""
    file = sound()
    run = file.programs[0]
    run.parameters = bytes(64)
    run.hints.insert(1, TransferHint(PARAMETER, "", 0, 64))
    run.type = STAND_ALONE
    file.programs = [run]
    checked(file)
    file.programs[0].type = CACHING
    with pytest.raises(ModelError):
        checked(file)


@pytest.mark.parametrize(("direction", "more"), [(INFEED, 0), (OUTFEED, 32)])
def test_scratch_memory_goes_both_ways(direction, more):
    """The driver sends it as it sends inputs, and takes it as outputs (dma_info_extractor.cc)."""
    file = sound()
    run = file.programs[0]
    run.scratch = 32
    run.hints.insert(2, TransferHint(SCRATCH, "", 0, 32, direction))
    assert sent_back(checked(file).package) == 16 + more
    run.hints[2].start = 8
    with pytest.raises(ModelError, match="32 bytes at 8 of 32"):
        checked(file)


@pytest.mark.parametrize("base", [PARAMETER, SCRATCH])
def test_transfers_of_no_bytes_are_sound(base):
    """For these the driver sends nothing, not even of what the program does not have."""
    file = sound()
    run = file.programs[0]
    run.hints.insert(2, TransferHint(base, "", 0, 0))
    checked(file)
    run.hints[2].size = 8
    with pytest.raises(ModelError, match="8 bytes at 0 of 0"):
        checked(file)


def test_every_rule_has_a_sentence():
    """A rule without one would leave its user with nothing to read."""
    for rule in RULES:
        assert rule.__doc__.strip().endswith(".")
        assert "\n" not in rule.__doc__.strip()
