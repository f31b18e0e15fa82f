"""The table of the old libraries' names: it says what is so."""

import enum
import inspect
import pkgutil
from importlib import import_module

import pytest

from atoll.compat.names import PACKAGES, State, all_rows, missing, rows, table

ROWS = list(all_rows())
MODULES = sorted({module for module, _ in ROWS})
HERE = [(module, name) for module, name in ROWS if name.state is not State.ABSENT]
ABSENT = [(module, name) for module, name in ROWS if name.state is State.ABSENT]


def ours(module, name):
    """What stands for an old name."""
    found = import_module(f"atoll.compat.{module}")
    for part in name.split("."):
        found = getattr(found, part)
    return found


def told(value):
    """A default, as the table writes it."""
    if isinstance(value, int) and not isinstance(value, bool):
        return repr(int(value))
    return str(value) if isinstance(value, (enum.Enum, float)) else repr(value)


def parameters(thing):
    """What can be passed to a thing, and by default is: as the table writes it, one by one."""
    listed = []
    for parameter in inspect.signature(thing).parameters.values():
        name = {"VAR_KEYWORD": "**", "VAR_POSITIONAL": "*"}.get(parameter.kind.name, "")
        name += parameter.name
        default = parameter.default
        listed.append(name if default is inspect.Parameter.empty else f"{name}={told(default)}")
    return listed


@pytest.mark.parametrize(("module", "name"), HERE, ids=lambda x: getattr(x, "name", x))
def test_every_name_is_there_with_the_parameters_of_the_original(module, name):
    """A program that calls by name, or leaves an argument out, must get what it got."""
    thing = ours(module, name.name)
    if not name.signature:
        assert not inspect.isfunction(thing)
        return
    wanted = [part for part in name.signature.strip("()").replace("((", "(").split(", ") if part]
    if "image_scale" in name.signature:
        wanted = [*wanted[:2], ", ".join(wanted[2:]) + ")"]
    found = parameters(thing)
    assert found[: len(wanted)] == wanted
    # What LiteRT added since must not be needed.
    assert all("=" in more or more.startswith("*") for more in found[len(wanted) :])
    if name.state is State.SAME and module != "tflite_runtime.interpreter":
        assert len(found) == len(wanted)


@pytest.mark.parametrize(("module", "name"), ABSENT, ids=lambda x: getattr(x, "name", x))
def test_what_is_said_to_be_absent_is_and_says_why(module, name):
    """The table must not be behind what is there, and whoever asks must learn what to use."""
    with pytest.raises(AttributeError, match=r"has no attribute") as caught:
        ours(module, name.name)
    assert name.note
    assert name.note in str(caught.value)
    assert str(missing(f"atoll.compat.{module}", "else")).endswith("has no attribute 'else'")


def own_names(module):
    """What a module of ours defines for programs: names, and those of its classes."""
    public = getattr(module, "__all__", None) or [
        name
        for name, thing in vars(module).items()
        if not name.startswith("_") and getattr(thing, "__module__", None) == module.__name__
    ]
    for name in public:
        yield name
        thing = getattr(module, name)
        if inspect.isclass(thing) and thing.__module__ == module.__name__:
            yield from (
                f"{name}.{part}"
                for part, value in vars(thing).items()
                if not part.startswith("_")
                and (callable(value) or isinstance(value, (property, classmethod, staticmethod)))
            )


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_of_ours_is_in_the_table(package):
    """The table is what users find out by what they can rely on."""
    top = import_module(f"atoll.compat.{package}")
    modules = [
        found.name
        for found in pkgutil.walk_packages(top.__path__, f"{top.__name__}.")
        if not found.ispkg
    ]
    assert {name.removeprefix("atoll.compat.") for name in modules} <= set(MODULES)
    for full in modules:
        listed = {name.name for name in rows(package)[full.removeprefix("atoll.compat.")]}
        assert set(own_names(import_module(full))) <= listed, full


def test_every_difference_is_explained_and_no_name_is_there_twice():
    """`differs` without how is no help."""
    for module, name in ROWS:
        assert name.note or name.state is State.SAME, (module, name.name)
    places = [(module, name.name) for module, name in ROWS]
    assert len(places) == len(set(places))


def test_the_page_has_a_row_a_name():
    """What the documentation shows is made of the same rows."""
    page = table()
    assert page.count("\n| `") == len(ROWS)
    assert all(f"### {module}\n" in page for module in MODULES)
    assert "| `get_objects(interpreter, score_threshold=-inf" in page
