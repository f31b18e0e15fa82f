"""Flags that mean nothing are refused before any work."""

import pytest

from atoll.compiler.request import parse_intermediate_tensors
from atoll.errors import UsageError


@pytest.mark.parametrize(
    ("text", "models", "lists"),
    [
        ("", 1, ()),
        ("", 2, ()),
        ("a,b", 1, (("a", "b"),)),
        # A name of TensorFlow 2, which Google's compiler cannot take (its issue 778).
        ("Identity:0", 1, (("Identity:0",),)),
        ("a,b:c", 2, (("a", "b"), ("c",))),
        (":c", 2, ((), ("c",))),
    ],
)
def test_lists_are_told_apart(text, models, lists):
    """With several models a list belongs to each."""
    assert parse_intermediate_tensors(text, models) == lists


def test_a_list_too_few_is_refused():
    """The second model would be compiled whole, against what was asked."""
    with pytest.raises(UsageError, match="1 lists for 2 models"):
        parse_intermediate_tensors("a,b", 2)
