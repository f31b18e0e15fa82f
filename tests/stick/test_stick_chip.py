"""The chip takes what a right driver sends, and tells of anything else what was due and what came.

A virtual stick that lets a mistake pass would be worse than none.
"""

import numpy as np
import pytest
from compiled_files import Wrapping, compiled_pair, image_model
from hypothesis import given, settings
from hypothesis import strategies as st

from atoll.edgetpu.package import packages
from atoll.errors import ModelError
from atoll.stick.chip import EVENT_ENDPOINT, FENCE, OUTPUT_ENDPOINT, Chip, Violation
from atoll.stick.frames import event, header
from atoll.stick.known import know
from atoll.stick.program import Code, Program, Step, What
from atoll.tflite.reader import read_model


class Model:
    """A compiled model, and the frames that a right driver sends for it."""

    def __init__(self, folder, name, wrapping, seed=0, style="uint8"):
        self.paths = compiled_pair(folder, image_model(style, seed=seed), wrapping, name)
        self.parts = know(*self.paths)
        (self.package,) = packages(read_model(self.paths[0]))
        self.run, *self.caching = self.package.executables

    def frames(self, executable, inputs=None, address=0x1122334455667788):
        """Tags and bytes; every address is filled in."""
        found, scratch = [], bytes(executable.scratch_size_bytes)
        for hint in executable.dma_hints.hints:
            what = hint.what
            if hasattr(what, "chunk"):
                found.append((0, filled_in(executable.chunks[what.chunk], address)))
            elif hasattr(what, "meta") and hint.direction == 0:
                buffer = {1: inputs, 2: executable.parameters, 3: scratch}[what.meta.base]
                start = what.offset_in_bytes
                tag = 2 if what.meta.base == 2 else 1
                found.append((tag, bytes(buffer[start : start + what.size_in_bytes])))
        return found


def filled_in(chunk, address):
    """A chunk with an address at each of its places."""
    number = int.from_bytes(chunk.bitstream, "little")
    for field in chunk.field_offsets:
        half = address >> (32 * field.meta.position) & 0xFFFFFFFF
        number &= ~(0xFFFFFFFF << field.offset_bit)
        number |= half << field.offset_bit
    return number.to_bytes(len(chunk.bitstream), "little")


def new_chip(*models):
    """A chip that is set up, as the driver leaves it."""
    parts = [part for model in models for part in model.parts]
    chip = Chip(parts, [part.computer() for part in parts])
    chip.write_register(0x44018, 1)
    return chip


def send(chip, frames):
    """Sends frames, and gives back all answers."""
    answers = []
    for tag, data in frames:
        for piece in (header(tag, len(data)), data):
            for frame in chip.take(1, memoryview(piece)):
                answers += frame.answers
    return answers


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    wrapping = Wrapping(chunks=2, overlap=16, scratch=32)
    return Model(tmp_path_factory.mktemp("first"), "first", wrapping)


@pytest.fixture(scope="module")
def second(tmp_path_factory):
    return Model(tmp_path_factory.mktemp("second"), "second", Wrapping(seed=7, token=9), seed=3)


@pytest.fixture
def inputs():
    return np.random.default_rng(0).integers(0, 256, 248).astype(np.uint8)


def load(chip, model):
    return send(chip, model.frames(*model.caching))


def test_a_run_is_answered_with_outputs_and_an_event(first, inputs):
    """Whatever addresses the driver fills in."""
    chip = new_chip(first)
    assert load(chip, first) == [(EVENT_ENDPOINT, event(4))]
    answers = [
        send(chip, first.frames(first.run, inputs, address)) for address in (0, 2**64 - 1, 12345)
    ]
    assert answers[0] == answers[1] == answers[2]
    endpoints = [endpoint for endpoint, _ in answers[0]]
    # Scratch memory, two outputs, the event.
    assert endpoints == [OUTPUT_ENDPOINT] * 3 + [EVENT_ENDPOINT]
    sizes = [len(content) for _, content in answers[0]]
    assert sizes == [32, *(layer.size_bytes for layer in first.run.output_layers), 16]
    other = send(chip, first.frames(first.run, 255 - inputs))
    assert other != answers[0]


def violation(chip, frames):
    with pytest.raises(Violation) as caught:
        send(chip, frames)
    return caught.value


def test_a_run_needs_its_parameters(first, second, inputs):
    """A driver that forgets to load them gets numbers of another model from a real chip."""
    chip = new_chip(first, second)
    run = first.frames(first.run, inputs)
    assert "parameters of 'first_edgetpu', token 0x1234" in violation(chip, run).due
    chip = new_chip(first, second)
    load(chip, first)
    load(chip, second)
    found = violation(chip, run)
    assert "with the parameters of 0x9 on the chip" in found.came


def test_sleep_and_reset_lose_the_parameters(first, inputs):
    """As the driver's own way of opening a stick relies on."""
    chip = new_chip(first)
    load(chip, first)
    chip.write_register(0x1A318, 0x00C50410)
    assert "parameters of 'first_edgetpu'" in violation(chip, first.frames(first.run, inputs)).due


# What a wrong driver does to the frames of a run, and a word of what is told.
MISTAKES = {
    "an input first": (lambda f: f[1:], "instructions of a known program"),
    "an unknown program": (lambda f: [(0, bytes(100)), *f[1:]], "tag 0, 100 bytes"),
    "other instructions": (lambda f: [(0, flipped(f[0][1], 0)), *f[1:]], "from byte 0 on"),
    "the chunks exchanged": (lambda f: [f[3], *f[1:]], "other instructions"),
    "an input too short": (lambda f: [f[0], (1, f[1][1][:-1])], "input 'input' of 120 bytes"),
    "an input with another tag": (lambda f: [f[0], (2, f[1][1])], "tag 2, 120 bytes"),
    "an input left out": (lambda f: [f[0], *f[2:]], "tag 1, 144 bytes"),
    "overlapping parts that differ": (
        lambda f: [*f[:2], (1, flipped(f[2][1], 3))],
        "the first of them at 3",
    ),
    "scratch memory that is not what came": (
        lambda f: [*f[:4], (1, flipped(f[4][1], 9))],
        "scratch",
    ),
    "an endless frame": (lambda f: [f[0], (1, b"")], "tag 1, 0 bytes"),
}


def flipped(data, place):
    changed = bytearray(data)
    changed[place] ^= 0x40
    return bytes(changed)


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_told_with_what_was_due(first, inputs, name):
    """Each of them is one that a driver could make, and a chip would answer with nonsense."""
    change, word = MISTAKES[name]
    chip = new_chip(first)
    load(chip, first)
    found = violation(chip, change(first.frames(first.run, inputs)))
    assert word in str(found)
    assert str(found).startswith("due: ")


@given(st.integers(0, 831), st.integers(1, 255))
@settings(max_examples=30, deadline=None)
def test_every_byte_of_the_parameters_counts(first_once, place, change):
    """One wrong weight among millions is enough to be wrong."""
    chip = new_chip(first_once)
    code, (tag, data) = first_once.frames(*first_once.caching)
    data = bytearray(data)
    data[place] ^= change
    found = violation(chip, [code, (tag, bytes(data))])
    assert f"the first of them at {place}" in found.came


@pytest.fixture(scope="module")
def first_once(first):
    """The same, for tests that are run many times."""
    return first


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_every_bit_of_the_instructions_counts_but_those_filled_in(first_once, data):
    """What the driver fills in is its own; all else is Google's compiler's."""
    chunk = first_once.run.chunks[0]
    bit = data.draw(st.integers(0, 8 * len(chunk.bitstream) - 1))
    free = any(f.offset_bit <= bit < f.offset_bit + 32 for f in chunk.field_offsets)
    sent = bytearray(chunk.bitstream)
    sent[bit // 8] ^= 1 << bit % 8
    assert Code(chunk).fits(np.frombuffer(sent, np.uint8)) == free


def main_program(model):
    (found,) = (program for program in model.parts[0].programs if not program.is_caching)
    return found


def test_what_lies_behind_a_tensor_may_differ_each_time(tmp_path, inputs):
    """The published driver sends what is in memory there, which other threads write to."""
    model = Model(tmp_path, "twice", Wrapping(cached=False))
    program = main_program(model)
    whole = Step(What.INPUT, "input", 0, 248)
    again = Step(What.INPUT, "input", 0, 248, known=248)
    program.steps = (*program.steps[:2], whole, again, *program.steps[4:])
    frames = model.frames(model.run, inputs)[:2]

    def sent(*behind):
        chip = new_chip(model)
        return send(chip, [*frames, *((1, inputs[:243].tobytes() + each) for each in behind)])

    assert sent(b"where", b"other") == sent(b"where", b"where")
    changed = bytes([inputs[0] ^ 1, *inputs[1:]])
    found = violation(new_chip(model), [*frames, (1, inputs.tobytes()), (1, changed)])
    assert "the first of them at 0" in found.came


def test_scratch_memory_is_compared_where_the_chip_wrote_it(tmp_path, inputs):
    """The rest is whatever the driver's memory had."""
    model = Model(tmp_path, "scratch", Wrapping(scratch=32, cached=False))
    program = main_program(model)
    before = [Step(What.SCRATCH_OUT, "", start, 8) for start in (0, 24)]
    at = [step.what for step in program.steps].index(What.SCRATCH_OUT)
    program.steps = (*program.steps[:at], *before, *program.steps[at + 1 :])
    *frames, (tag, _) = model.frames(model.run, inputs)
    kept = bytes(8) + b"whatever was ..." + bytes(8)
    assert len(send(new_chip(model), [*frames, (tag, kept)])) == 5
    assert "scratch" in str(violation(new_chip(model), [*frames, (tag, flipped(kept, 25))]))


def test_fences_stand_among_the_answers(tmp_path, inputs):
    """What follows one comes when the driver has passed it."""
    model = Model(tmp_path, "fenced", Wrapping(fences=True, cached=False))
    endpoints = [each for each, _ in send(new_chip(model), model.frames(model.run, inputs))]
    assert endpoints == [FENCE, OUTPUT_ENDPOINT, OUTPUT_ENDPOINT, FENCE, EVENT_ENDPOINT]


@pytest.mark.parametrize(("token", "stays"), [(0x1234, True), (0, False), (77, False)])
def test_a_program_that_brings_its_parameters_spares_those_of_its_token(
    first, tmp_path, inputs, token, stays
):
    """The driver goes by the token, so it does not send them again."""
    other = Model(tmp_path, "other", Wrapping(seed=5, token=token, cached=False), seed=4)
    chip = new_chip(first, other)
    load(chip, first)
    send(chip, other.frames(other.run, inputs))
    run = first.frames(first.run, inputs)
    if stays:
        assert send(chip, run)
    else:
        assert "token 0x1234" in violation(chip, run).due


def test_parameters_that_are_loaded_again_take_no_more_room(first):
    """A program that opens its model for each photo loads them each time."""
    chip = new_chip(first)
    for _ in range(3):
        load(chip, first)
    assert len(chip._cached) == 1


def test_a_chip_that_is_not_set_up_answers_nothing(first):
    """Registers come before data."""
    parts = first.parts
    asleep = Chip(parts, [part.computer() for part in parts])
    assert "0x44018" in violation(asleep, first.frames(*first.caching)).due
    for register, value, word in (
        (0x4C160, 1, "USB_OPERATING_MODE"),
        (0x4C148, 0xFF, "USB_ENABLE_BULK_DESCRIPTORS_FROM_DEVICE"),
    ):
        chip = new_chip(first)
        chip.write_register(register, value)
        assert word in violation(chip, first.frames(*first.caching)).due
    with pytest.raises(Violation, match="endpoint 2"):
        list(new_chip(first).take(2, memoryview(b"x")))


def test_models_that_nothing_tells_apart_are_no_trouble(first, tmp_path, inputs):
    """The same compiled file twice, or by itself and compiled with another."""
    same = Model(tmp_path, "same", Wrapping(chunks=2, overlap=16, scratch=32, token=77))
    alone, both = new_chip(first), new_chip(same, first)
    load(alone, first)
    load(both, first)
    run = first.frames(first.run, inputs)
    assert send(both, run) == send(alone, run)


def test_models_with_the_same_instructions_and_other_weights_are_told_apart(tmp_path, inputs):
    """Files whose weights were exchanged: the parameters decide."""
    one = Model(tmp_path, "one", Wrapping(token=1), seed=1)
    two = Model(tmp_path, "two", Wrapping(token=2), seed=2)
    assert one.run.chunks[0].bitstream == two.run.chunks[0].bitstream
    chip = new_chip(one, two)
    answers = []
    for model in (one, two, one):
        load(chip, model)
        answers.append(send(chip, model.frames(model.run, inputs)))
    assert answers[0] == answers[2] != answers[1]


def test_programs_say_what_they_wait_for(first):
    """The words of a violation."""
    program = Program(first.run, "x")
    assert [str(step) for step in program.steps][:3] == [
        "instructions (chunk 0) of 512 bytes",
        "input 'input' of 120 bytes",
        "input 'input' of 144 bytes from 104 on",
    ]
    assert program.steps[2].known == 16
    assert program.steps[-1].what == What.INTERRUPT


def test_a_model_that_is_not_compiled_is_refused(tmp_path, pair):
    """The most common mistake: the other file."""
    with pytest.raises(ModelError, match=r"no compiled part|compiled for it"):
        know(pair[1], pair[1])
    with pytest.raises(ModelError, match="no missing"):
        target = tmp_path / "missing_edgetpu.tflite"
        target.write_bytes(pair[0].read_bytes())
        know(target)


def test_a_twin_with_other_weights_is_refused(pair, signed_pair):
    """It would compute, and be wrong."""
    with pytest.raises(ModelError, match="compiled file"):
        know(pair[0], signed_pair[1])
