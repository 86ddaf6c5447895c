"""What is made from code says what the code says."""

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def gen(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(str(ROOT))
    yield import_module("tools.gen")
    sys.modules.pop("tools.gen", None)


def test_generated_files_are_up_to_date(gen: Any) -> None:
    assert gen.stale() == [], "run `make gen`"
