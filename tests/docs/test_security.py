"""The threat model names a test for everybody and everything, and each of them is there."""

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
PAGE = ROOT / "docs" / "explanation" / "security.md"
TEST = re.compile(r'`([\w/]+\.py)::(\w+)`(?: "([^"]+)")?')
LINES = [str(number) for number in range(1, 7)]  # of the design's promises


@cache
def table(title: str) -> tuple[tuple[str, ...], ...]:
    """Return a table of the page, without its head."""
    section = PAGE.read_text().split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]
    rows = [line.strip()[1:-1].split("|") for line in section.splitlines() if line.startswith("|")]
    return tuple(tuple(cell.strip() for cell in row) for row in rows if not row[0].startswith("---"))


def names(title: str) -> list[str]:
    return [row[0] for row in table(title)[1:]]


def cells() -> list[tuple[str, str]]:
    """Return who could reach what."""
    head, *rows = table("Who could reach what")
    return [
        (row[0], asset) for row in rows for asset, cell in zip(head[1:], row[1:], strict=True) if cell == "x"
    ]


def test_the_matrix_is_of_all_attackers_and_all_assets() -> None:
    head, *rows = table("Who could reach what")
    assert list(head[1:]) == names("Assets")
    assert [row[0] for row in rows] == names("Attackers")
    assert {cell for row in rows for cell in row[1:]} == {"x", "-"}


def test_each_cell_has_one_row_and_each_row_a_cell() -> None:
    assert sorted(row[:2] for row in table("What stops him")[1:]) == sorted(cells())


def test_each_promise_has_a_row() -> None:
    assert [name.partition(".")[0] for name in names("What must always hold")] == LINES


def with_tables(text: str) -> str:
    """Return a file of tests, and what it takes from others of ours."""
    others = (TESTS / f"{name}.py" for name in re.findall(r"^from (\w+) import", text, re.MULTILINE))
    return "\n".join([text, *(other.read_text() for other in others if other.exists())])


@pytest.mark.parametrize("title", ["What stops him", "What must always hold"])
def test_each_row_names_tests_that_are_there(title: str) -> None:
    for *said, tests in table(title)[1:]:
        found = TEST.findall(tests)
        assert found, said
        assert TEST.sub("", tests).strip(", ") == "", said
        for file, name, attack in found:
            text = (TESTS / file).read_text()
            assert re.search(rf"^(async )?def {name}\(", text, re.MULTILINE), f"{file}::{name}"
            assert not attack or f'"{attack}"' in with_tables(text), f"{file} has no attack {attack}"
