"""Pages link to what is there and name commands that exist."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main

from liqo.app.demo_pods import MANIFEST
from liqo.cli.root import app

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("changes.d/*.md")])
WRITTEN = [page for page in PAGES if "reference" not in page.parts]
FENCE = re.compile(r"```.*?```", re.DOTALL)


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", WRITTEN, ids=name)
def test_every_link_leads_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)", FENCE.sub("", page.read_text()))
    assert [t for t in targets if "://" not in t and not (page.parent / t).exists()] == []


def _commands(text: str) -> Iterator[str]:
    """Yield the first word after `liqo` wherever it stands as a command."""
    yield from re.findall(r"^\$? ?liqo ([a-z]+)", text, re.MULTILINE)
    yield from re.findall(r"`liqo ([a-z]+)", text)


@pytest.mark.parametrize("page", WRITTEN, ids=name)
def test_every_command_exists(page: Path) -> None:
    known = set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    assert set(_commands(page.read_text())) - known - {"lab", "demo"} == set()


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_no_page_knows_the_machine_it_was_written_on(page: Path) -> None:
    assert re.search(r"(?<![\w.])/(work|root|tmp|home)/", page.read_text()) is None


@pytest.mark.parametrize("page", [page for page in WRITTEN if "docs" in page.parts], ids=name)
def test_every_test_that_is_named_exists(page: Path) -> None:
    named = set(re.findall(r"`(test_\w+)`", page.read_text()))
    files = ROOT.glob("tests/**/test_*.py") if named else ()
    there = {test for file in files for test in re.findall(r"def (test_\w+)\(", file.read_text())}
    assert named - there == set()


def test_the_tutorial_shows_the_file_that_the_demo_applies() -> None:
    page = (ROOT / "docs/tutorial/first-pod.md").read_text()
    assert MANIFEST.read_text() in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
