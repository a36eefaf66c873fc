"""The pages: all of them in the site's contents, every room with its own, no link into nothing."""

import re
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

import abaw_submit

ROOT = Path(abaw_submit.__file__).parents[1]
DOCS = ROOT / "docs"
LINK = re.compile(r"\]\(([^)\s]+)\)")


def pages_of(entries):
    for entry in entries:
        value = next(iter(entry.values())) if isinstance(entry, dict) else entry
        yield from [value] if isinstance(value, str) else pages_of(value)


def test_every_page_is_in_the_contents_once():
    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    listed = list(pages_of(nav))
    assert sorted(listed) == sorted(p.relative_to(DOCS).as_posix() for p in DOCS.rglob("*.md"))


def test_every_room_and_every_module_of_the_ground_has_its_page():
    package = ROOT / "abaw_submit"
    rooms = {p.parent.name for p in package.glob("*/__init__.py")} - {"cli", "store"}
    assert rooms == {p.stem for p in (DOCS / "reference/api").glob("*.md")} - {"index", "ground"}
    ground = (DOCS / "reference/api/ground.md").read_text(encoding="utf-8")
    modules = {p.stem for p in package.glob("*.py")} - {"__init__", "__main__"} | {"store"}
    assert modules == set(re.findall(r"::: abaw_submit\.(\w+)", ground))


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_no_link_of_the_front_pages_leads_nowhere(name):
    for target in LINK.findall((ROOT / name).read_text(encoding="utf-8")):
        if not target.startswith(("http", "#")):
            assert (ROOT / target.split("#")[0]).exists(), target


def test_pages_that_the_code_cites_are_there():
    cited = {
        (page, path.relative_to(ROOT).as_posix())
        for folder in ("abaw_submit", "tests", "bench")
        for path in (ROOT / folder).rglob("*.py")
        for page in re.findall(r"docs/[\w/-]+\.md", path.read_text(encoding="utf-8"))
    }
    assert sorted(c for c in cited if not (ROOT / c[0]).is_file()) == []


def test_the_version_is_the_same_everywhere():
    version = abaw_submit.__version__
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert newest is not None
    assert newest.group(1) == version
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))["version"] == version


def test_links_of_the_pages_stay_among_them():
    """What the strict build of the site asks for, without building it."""
    wrong = [
        (path.relative_to(DOCS).as_posix(), target)
        for path in DOCS.rglob("*.md")
        for target in LINK.findall(
            re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        )
        if not target.startswith(("http", "#"))
        and not (
            (file := (path.parent / target.split("#")[0]).resolve()).is_file() and file.is_relative_to(DOCS)
        )
    ]
    assert wrong == []
