"""Chains at work: many photos, threads and devices, and each photo has what is on it."""

import itertools
import threading

import numpy as np
import pytest
from chain_models import CELLS, COLOURS, cell_box, classify, detect, edges, photo
from PIL import Image

from atoll.adapters.results import Class, Object
from atoll.errors import DeviceError, DeviceLostError, UsageError
from atoll.pipeline import Chain, Crop
from atoll.pipeline.chain import looking
from atoll.runtime.interpreter import Interpreter

pytestmark = pytest.mark.timeout(60)


def test_things_within_things(files):
    """A car, its plate, what is on the plate: each belongs to the one that it was found in."""
    outer = photo({(0, 1): "white", (2, 3): "white"}, (640, 320))
    # Within the first, two coloured cells; within the second, one.
    outer.paste(photo({(1, 1): "yellow", (3, 2): "cyan"}, (160, 80)), (160, 0))
    outer.paste(photo({(0, 0): "magenta"}, (160, 80)), (480, 160))
    steps = {
        "cars": detect(files, threshold=0.02),
        "car photos": Crop(input="cars"),
        "plates": detect(files, input="car photos"),
        "plate photos": Crop(input="plates"),
        "text": classify(files, input="plate photos", device=["sim:0", "sim:1"], most=2),
    }
    with Chain(steps) as opened:
        result = opened.run(outer)
    assert (result.width, result.height) == (640, 320)
    assert list(result.found) == ["cars"]
    first, second = result.found["cars"]
    assert edges(first.box) == cell_box(0, 1, 640, 320)
    assert edges(second.box) == cell_box(2, 3, 640, 320)
    # The brightest is what the detector is surest of.
    assert [plate.result.label for plate in first.found["plates"]] == ["right", "left"]
    cyan, yellow = first.found["plates"]
    assert edges(yellow.box) == (200, 20, 240, 40)
    assert edges(cyan.box) == (240, 60, 280, 80)
    (magenta,) = second.found["plates"]
    assert edges(magenta.box) == (480, 160, 520, 180)
    for plate, colours in ((yellow, {"red", "green"}), (cyan, {"green", "blue"})):
        assert {text.result.label for text in plate.found["text"]} == colours
        assert all(text.result.score == pytest.approx(1.0) for text in plate.found["text"])
    kinds = [type(finding.result) for finding in result.walk()]
    assert kinds.count(Object) == 5
    assert kinds.count(Class) == 6


def test_the_same_photos_give_the_same_in_any_order_and_from_any_thread(files):
    """Steps run side by side: what one frame found must not end up on another's."""
    rng = np.random.default_rng(0)
    names = ["white", "red", "lime", "blue", "yellow", "cyan", "magenta"]
    photos, expected = [], []
    for _ in range(40):
        cells = {
            (int(r), int(c)): names[int(rng.integers(len(names)))]
            for r, c in rng.integers(0, CELLS, (5, 2))
        }
        photos.append(photo(cells, (64, 64)))
        expected.append(
            [
                (cell_box(*cell, 64, 64), _colours(cells[cell]))
                for cell in sorted(cells)
            ]
        )  # fmt: skip
    steps = {
        "things": detect(files, device=["sim:0", "sim:1"]),
        "cut": Crop(input="things"),
        "colour": classify(files, input="cut", most=3, threshold=0.5),
        "again": classify(files, input="cut", most=3, threshold=0.5, device="cpu"),
    }

    def told(result, name):
        things = sorted(result.found["things"], key=lambda thing: edges(thing.box)[1::-1])
        return [(edges(each.box), {c.result.label for c in each.found[name]}) for each in things]

    with Chain(steps) as opened:
        for result, wanted in zip(opened.map(photos), expected, strict=True):
            assert told(result, "colour") == told(result, "again") == wanted
        wrong = []

        def work(start):
            for place in itertools.chain(range(start, 40), range(start)):
                result = opened.run(np.asarray(photos[place]))
                if told(result, "colour") != expected[place]:
                    wrong.append(place)

        threads = [threading.Thread(target=work, args=(n * 7,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong
        stats = {step.name: step for step in opened.stats()}
        assert stats["things"].count == 200
        assert sum(state.calls for state in stats["things"].devices) == 200
        assert stats["colour"].devices[0].device == "cpu"  # what auto has chosen


def _colours(name):
    values = Image.new("RGB", (1, 1), name).getpixel((0, 0))
    return {colour for colour, value in zip(COLOURS, values, strict=True) if value > 127}


def test_steps_that_do_not_wait_for_each_other_run_at_once(files):
    """Two sticks would take as long as one."""
    steps = {"one": classify(files), "two": classify(files), "three": classify(files)}
    together = threading.Barrier(3)

    def meet(_items):
        together.wait(10)
        return []

    with Chain(steps) as opened:
        opened._workers.update(dict.fromkeys(steps, meet))
        assert opened.run(photo({})).found == {"one": [], "two": [], "three": []}


def test_frames_are_under_way_together_and_come_in_order(files):
    """While one frame's plates are read, the next one's cars are sought."""
    steps = {"one": classify(files), "cut": Crop(input="one"), "two": classify(files, input="cut")}
    with Chain(steps) as opened:
        first, second = threading.Event(), opened._workers["two"]

        begin, seen = opened._workers["one"], itertools.count()

        def one(items):
            if next(seen):
                first.set()
            return begin(items)

        def two(items):
            assert first.wait(10)  # a second photo has come while the first is here
            return second(items)

        opened._workers.update(one=one, two=two)
        colours = ["red", "lime", "blue", "red"]
        results = list(opened.map(Image.new("RGB", (40, 40), name) for name in colours))
    found = [result.found["one"][0].found["two"][0].result.label for result in results]
    assert found == ["red", "green", "blue", "red"]


def test_photos_are_taken_no_further_than_they_are_needed(files):
    """A camera has no end."""
    taken = itertools.count()

    def endless():
        while True:
            next(taken)
            yield photo({(0, 0): "red"})

    with Chain({"one": classify(files)}) as opened:
        assert len(list(itertools.islice(opened.map(endless()), 10))) == 10
    assert next(taken) <= 13


class Lossy(Interpreter):
    """A device that is lost with every third call."""

    calls = itertools.count(1)

    def invoke(self, *arrays):
        if next(self.calls) % 3 == 0:
            raise DeviceLostError("sim", "it must stay", received="nothing", fix="Plug it in")
        return super().invoke(*arrays)


def test_a_device_that_is_lost_changes_no_result(files, monkeypatch):
    """The crop that it was working on is given to another."""
    image = photo({(r, c): "red" for r in range(4) for c in range(4)})
    steps = {
        "things": detect(files),
        "cut": Crop(input="things"),
        "colour": classify(files, input="cut", device=["sim:0", "sim:1"], fallback="cpu"),
    }
    with Chain(steps) as opened:
        expected = opened.run(image).to_json()
    monkeypatch.setattr(looking, "Interpreter", Lossy)
    with Chain(steps) as opened:
        assert opened.run(image).to_json() == expected
        assert sum(state.losses for state in opened.stats()[2].devices) > 0
        assert any("step 'colour': sim:" in note and "was lost" in note for note in opened.notes)


def test_errors_name_the_step(files, monkeypatch):
    """Of six models, which one was it?"""

    class Broken(Interpreter):
        def invoke(self, *arrays):
            raise DeviceError("usb:0", "it broke", received="x", fix="Mend it")

    steps = {"a": detect(files), "cut": Crop(input="a"), "b": classify(files, input="cut")}
    monkeypatch.setattr(looking, "Interpreter", Broken)
    with Chain(steps, name="my chain") as opened:
        for look in (opened.run, lambda image: list(opened.map([image]))):
            with pytest.raises(DeviceError, match="my chain, step 'a': usb:0: it broke"):
                look(photo({}))


def test_closing_under_load_ends_everything(files):
    """From another thread, with photos under way and more coming."""
    steps = {"a": detect(files), "cut": Crop(input="a"), "b": classify(files, input="cut")}
    image = photo({(r, c): "red" for r in range(4) for c in range(4)})
    for wait_s in (0.0, 0.01, 0.03):
        opened = Chain(steps)
        ended = []

        def endless(opened=opened, ended=ended):
            try:
                for _ in opened.map(itertools.repeat(image)):
                    pass
            except UsageError as error:
                ended.append(str(error))

        def again(opened=opened, ended=ended):
            try:
                while True:
                    opened.run(image)
            except UsageError as error:
                ended.append(str(error))

        threads = [threading.Thread(target=work, daemon=True) for work in (endless, again)]
        for thread in threads:
            thread.start()
        threading.Event().wait(wait_s)
        opened.close()
        for thread in threads:
            thread.join(10)
        assert len(ended) == 2
        assert all("the chain must be open" in end for end in ended)
        opened.close()
