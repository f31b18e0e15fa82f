"""YAML that is written by hand is read by a real parser as what was meant."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from atoll.export.yaml_text import to_yaml

WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@given(WORDS, WORDS, st.lists(WORDS, min_size=1))
def test_any_text_comes_back(key, value, items):
    """A label with a colon, a quote or a zero width space would end Frigate's start."""
    document = {"a": {key: value, "n": 3}, "list": items}
    if key == "n":
        document = {"a": {key: value}, "list": items}
    assert yaml.safe_load(to_yaml(document)) == document


MEANINGS = [
    "no",
    "Yes",
    "ON",
    "null",
    "~",
    "1e3",
    "0x10",
    "1:30",
    "2024-01-01",
    "",
    " a",
    "a ",
    "-",
]
MARKS = ["a:", "usb:0", "/config/x.tflite", "yolo-generic", "#x", "a #b", "&a", "*a", "!a", "%a"]


@pytest.mark.parametrize("word", [*MEANINGS, *MARKS])
def test_words_with_a_meaning_in_yaml_stay_words(word):
    """`no` is false, and 1:30 is ninety."""
    assert yaml.safe_load(to_yaml({"key": word, "list": [word]})) == {"key": word, "list": [word]}


def test_numbers_and_truth_values_are_not_quoted():
    """Frigate would refuse a width that is a text."""
    document = {"width": 320, "threshold": 0.8, "enabled": True, "off": False}
    assert yaml.safe_load(to_yaml(document)) == document
