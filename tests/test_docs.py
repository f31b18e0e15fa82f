"""The documentation says what the code does, and its links lead somewhere."""

import re
import runpy
import tomllib
from pathlib import Path
from urllib.parse import unquote

import pytest
from markdown.extensions.toc import slugify

from atoll.cli.app import make_app

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]

_CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)


def test_what_is_made_from_the_code_is_up_to_date():
    """A changed option, rule or backbone would be documented as it was."""
    documents = runpy.run_path(str(DOCS / "generate.py"))["documents"]()
    stale = [path.name for path, text in documents.items() if path.read_text() != text]
    assert not stale, "run: make docs"


def test_check_tells_of_a_stale_page_and_leaves_it(tmp_path, capsys):
    """CI would pass with pages that nobody made anew."""
    for page in (DOCS / "generate.py", *PAGES[1:]):
        (tmp_path / page.name).write_bytes(page.read_bytes())
    stale = tmp_path / "cli.md"
    stale.write_text("old")
    main = runpy.run_path(str(tmp_path / "generate.py"))["main"]
    assert main(["--check"]) == 1
    assert "cli.md" in capsys.readouterr().err
    assert stale.read_text() == "old"
    assert main([]) == 0
    assert stale.read_text().endswith((DOCS / "cli.md").read_text()[-200:])
    assert main(["--check"]) == 0


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_resolves(page):
    """A reader would be led to nothing."""
    links = _LINK.findall(_CODE.sub("", page.read_text()))
    relative = [unquote(link) for link in links if "://" not in link]
    broken = []
    for link in relative:
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.is_file() or (anchor and anchor not in _anchors(target)):
            broken.append(link)
    assert not broken


def test_links_are_found_at_all():
    """The test above would pass on pages that it cannot read."""
    found = _LINK.findall((ROOT / "README.md").read_text())
    assert {"LICENSE", "docs/images/report.png", "docs/training.md#weights"} <= set(found)


def _anchors(page: Path) -> set[str]:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    return {slugify(heading.replace("`", ""), "-") for heading in _HEADING.findall(text)}


def test_the_readme_calls_working_exactly_the_commands_there_are():
    """A reader would try a command that is not there, or miss one that is."""
    rows = re.findall(
        r"^\| (`atoll .+?`) \| (works|not yet) \|", (ROOT / "README.md").read_text(), re.MULTILINE
    )
    said = {name: state for names, state in rows for name in re.findall(r"`atoll ([\w-]+)`", names)}
    there = {command.name for command in make_app().registered_commands}
    assert {name for name, state in said.items() if state == "works"} == there
    assert len(said) > len(there)


def test_every_dependency_is_accounted_for():
    """Something would be installed of which nobody says why."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = [*project["project"]["dependencies"]]
    for group in project["project"]["optional-dependencies"].values():
        wanted += group
    for group in project["dependency-groups"].values():
        wanted += [entry for entry in group if isinstance(entry, str)]
    names = {re.split(r"[\[<>=!~ ]", entry)[0] for entry in wanted} - {"atoll"}
    text = (DOCS / "dependencies.md").read_text()
    assert sorted(name for name in names if f"`{name}`" not in text) == []


def test_every_room_is_in_the_architecture():
    """A new room would be there without a reason."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    layers = next(c["layers"] for c in contracts["contracts"] if c["type"] == "layers")
    rooms = {room.strip() for layer in layers for room in layer.split("|")}
    text = (DOCS / "architecture.md").read_text()
    assert (
        sorted(room for room in rooms if f"| `{room}`" not in text and f", `{room}`" not in text)
        == []
    )
