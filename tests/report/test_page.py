"""The report must be one page that says what the document says, whatever names are in it."""

import base64
import copy
import hashlib
import io
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image
from report_examples import ANIMALS, HOSTILE, document

from atoll.errors import OutputError
from atoll.report.outline import MOST_PICTURES, SECTIONS
from atoll.report.page import render, write_report

VOID = {"meta", "link", "img", "br", "input", "hr"}
LINKS = {"src", "href", "srcset", "action", "formaction", "data", "poster", "background"}
TAGS = """
a abbr bdi body br button circle code dd details div dl dt figcaption figure footer h1 h2 h3 head
header html img li line link main meta nav p path polyline pre rect script section span strong
style summary svg table tbody td text tfoot th thead title tr ul
"""


class Page(HTMLParser):
    """What a browser would see: elements in a tree, and their texts."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.elements, self.texts, self.ids = [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data):
        if not {"style", "script"} & set(self.open):
            self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())

    def named(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]


CASES = {
    "two": lambda: document(["ants", "bees"]),
    "ten": lambda: document(ANIMALS, images=400, seed=1, path="cifar10"),
    "hostile, a matrix": lambda: document(HOSTILE, images=300, seed=2, path="x/</title><b>&\x00"),
    "hostile, no matrix": lambda: document(
        HOSTILE + [f"species {i}" for i in range(108)], images=900, seed=3
    ),
}


@pytest.fixture(scope="module", params=CASES)
def rendered(request):
    made, pictures = CASES[request.param]()
    return made, render(made, pictures)


def test_the_page_is_well_formed_and_holds_only_the_elements_of_the_templates(rendered):
    """A label such as "<script>" must be text: no element and no handler may come from it."""
    page = Page(rendered[1])
    assert {tag for tag, _ in page.elements} <= set(TAGS.split())
    assert len(page.named("script")) == 1
    for _, attrs in page.elements:
        assert not [key for key in attrs if key.startswith("on") or key == "style"]
    ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    assert len(ids) == len(set(ids))


def test_the_page_needs_nothing_but_itself(rendered):
    """It must read the same on a plane, and must tell no server that it was opened."""
    page = Page(rendered[1])
    ids = {"#" + attrs["id"] for _, attrs in page.elements if "id" in attrs}
    for _, attrs in page.elements:
        for key in LINKS & attrs.keys():
            assert attrs[key].startswith("data:") or attrs[key] in ids, (key, attrs[key])
    styles = re.search(r"<style>(.*?)</style>", rendered[1], re.DOTALL).group(1)
    assert "url(" not in styles
    assert "@import" not in styles


def test_the_policy_lets_run_only_the_pages_own_style_and_script(rendered):
    """With a wrong hash a browser would drop the whole style sheet."""
    policy = next(
        attrs["content"]
        for attrs in Page(rendered[1]).named("meta")
        if attrs.get("http-equiv") == "Content-Security-Policy"
    )
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for tag in ("style", "script"):
        (inside,) = re.findall(rf"<{tag}>(.*?)</{tag}>", rendered[1], re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def test_every_class_and_every_section_is_there_by_name(rendered):
    made, text = rendered
    page = Page(text)
    for label in made["dataset"]["classes"]:
        plain = re.sub("[\x00-\x08\x0b-\x1f\u202a-\u202e\ud800-\udfff]", "\ufffd", label)
        assert " ".join(plain.split()) in page.text
    sections = [attrs["id"] for attrs in page.named("section")]
    assert sections == [name for name, _ in SECTIONS if name != "warnings"]
    linked = [attrs["href"][1:] for attrs in page.named("a")]
    assert set(sections) <= set(linked)


def test_the_figures_are_those_of_the_document(rendered):
    made, text = rendered
    said = Page(text).text
    for row in made["evaluation"]["models"]:
        right = round(row["top1"] * row["images"])
        assert f"{right:,} of {row['images']:,} photos" in said
        assert row["model"] in said
    lost = made["evaluation"]["quantization_cost"]["only_first_right"]
    assert f"{lost} photo{'' if lost == 1 else 's'}" in said
    assert "unknown" not in said
    assert "nan" not in re.sub(r"[^a-z ]", "", said.lower()).split()


def test_the_file_is_utf8_whole_and_the_same_bytes_every_time(rendered, tmp_path):
    made, pictures = CASES["hostile, a matrix"]()
    for name in ("one.html", "two.html"):
        write_report(made, pictures, tmp_path / name)
    first = (tmp_path / "one.html").read_bytes()
    assert first == (tmp_path / "two.html").read_bytes()
    assert b"\x00" not in first
    first.decode()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["one.html", "two.html"]


def test_a_document_read_back_from_report_json_gives_the_same_page():
    made, pictures = CASES["ten"]()
    assert render(json.loads(json.dumps(made)), pictures) == render(made, pictures)


def test_text_that_turns_round_what_stands_beside_it_is_taken_out():
    made, pictures = document(["ok", "\u202egnp.exe"])
    text = render(made, pictures)
    assert "\u202e" not in text
    assert "\ufffdgnp.exe" in text


def test_pictures_are_small_jpegs_inside_the_page_and_not_too_many():
    made, _ = document(["ants", "bees"])
    rows = [
        {"path": f"{i}.jpg", "label": "ants", "predicted": "bees", "score": 0.7, "picture": str(i)}
        for i in range(40)
    ]
    big = np.full((900, 1200, 3), (200, 30, 30), np.uint8)
    page = Page(render(made | {"mistakes": rows}, {str(i): big for i in range(40)}))
    sources = [attrs["src"] for attrs in page.named("img")]
    assert len(sources) == MOST_PICTURES
    kind, data = sources[0].split(",", 1)
    assert kind == "data:image/jpeg;base64"
    picture = Image.open(io.BytesIO(base64.b64decode(data)))
    assert picture.size == (224, 168)
    np.testing.assert_allclose(np.asarray(picture)[80, 100], (200, 30, 30), atol=4)
    assert all(attrs.get("alt") for attrs in page.named("img"))


def test_a_mistake_whose_picture_is_missing_is_still_told():
    made, _ = document(["ants", "bees"], margin=0)
    assert made["mistakes"]
    page = Page(render(made, {}))
    assert not page.named("img")
    assert page.text.count("no picture") == len(made["mistakes"])
    assert made["mistakes"][0]["path"] in page.text


def test_warnings_are_in_the_headline_and_in_a_section():
    made, pictures = document(["ants", "bees"])
    made["dataset"]["warnings"] = ["Only 3 photos of <ants>.", "Two photos are the same."]
    page = Page(render(made, pictures))
    assert "2 warnings about the data." in page.text
    assert "Only 3 photos of <ants>." in page.text
    assert "warnings" in [attrs["id"] for attrs in page.named("section")]


def test_a_prediction_is_called_one_and_googles_word_is_not():
    made, pictures = document(["ants", "bees"])
    assert "All 66 operators are predicted to map" in Page(render(made, pictures)).text
    made["compile"]["backend"] = "google"
    text = Page(render(made, pictures)).text
    assert "Google's compiler mapped all 66 operators to the Edge TPU." in text
    assert "predicted to map" not in text


def test_an_operator_left_on_the_cpu_is_told_at_the_top_with_its_reason_and_cure():
    made, pictures = document(["ants", "bees"])
    made["compile"] |= {"ops_tpu": 65, "ops_cpu": 1}
    made["compile"]["ops"][-1] |= {
        "target": "cpu",
        "status": "Operation not supported",
        "reason": "its <axis> is not constant",
        "fix": "Export with a batch of 1",
    }
    text = Page(render(made, pictures)).text
    assert "65 of 66 operators are predicted to map to the Edge TPU; 1 stays on the CPU." in text
    assert text.index("On the CPU") < text.index("its <axis> is not constant")
    assert "Export with a batch of 1" in text


def test_times_are_called_what_they_are():
    text = Page(render(*CASES["two"]())).text
    assert "3.07 ms a photo, measured on this machine's CPU" in text
    assert "41.2 ms a photo, the simulator's own time, not an Edge TPU's" in text


def test_a_matrix_that_nobody_could_read_becomes_the_most_confused_pairs():
    page = Page(render(*CASES["hostile, no matrix"]()))
    assert "matrix" not in " ".join(attrs.get("class") or "" for attrs in page.named("table"))
    assert "The photo shows" in page.text
    assert "The weakest" in page.text


def test_a_thousand_classes_make_a_page_of_a_size_that_opens():
    made, _ = document([f"species {i}" for i in range(1000)], images=4000, seed=5)
    text = render(made, {})
    Page(text)
    assert len(text) < 2_000_000


def test_a_perfect_model_is_not_called_confused():
    made, pictures = document(["ants", "bees"], margin=9, mistakes=[])
    page = Page(render(made, pictures))
    assert "No class was taken for another." in page.text
    assert "mistakes" not in [attrs["id"] for attrs in page.named("section")]


@pytest.mark.parametrize("part", list(document(["a", "b"])[0]))
def test_a_part_that_is_missing_leaves_its_section_out_and_the_rest_whole(part):
    """A report of training alone has no compiler; one of a foreign model has no training."""
    made, pictures = document(["ants", "bees"])
    without = {key: value for key, value in made.items() if key != part}
    assert render(without, pictures) == render(made | {part: None}, pictures)
    Page(render(without, pictures))


def holes(node, path=()):
    """Every field of a document, of lists only the first entry's."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield (*path, key)
            yield from holes(value, (*path, key))
    elif isinstance(node, list) and node:
        yield from holes(node[0], (*path, 0))


def test_no_field_is_so_needed_that_the_report_fails_without_it():
    """The report is written last: it must not end a long job for want of one figure."""
    made, _ = document(["ants", "bees", "wasps"], images=60, margin=0)
    made["dataset"]["warnings"] = ["a warning"]
    made["training"]["epochs"] = made["training"]["epochs"][::6]
    made["compile"]["ops"] = made["compile"]["ops"][-2:]
    fields = list(holes(made))
    assert len(fields) > 100
    for path in fields:
        changed = copy.deepcopy(made)
        node = changed
        for key in path[:-1]:
            node = node[key]
        node[path[-1]] = None
        try:
            Page(render(changed, {}))
        except Exception as error:
            pytest.fail(f"None at {path}: {error!r}")


def test_an_empty_document_is_a_page_too():
    assert "Data set" in Page(render({}, {})).text


def test_a_place_that_cannot_be_written_to_is_one_clear_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="not a folder"):
        write_report({}, {}, tmp_path / "file" / "report.html")
