"""Replays what the fuzzer found interesting."""

from pathlib import Path

import pytest

from fuzz.fuzz_codecs import one_input

CORPUS = sorted(p for p in (Path(__file__).parent / "codecs").iterdir() if p.is_file())


@pytest.mark.parametrize("path", CORPUS, ids=[p.name[:12] for p in CORPUS])
def test_nothing_but_a_fault_comes_of_it(path: Path) -> None:
    one_input(path.read_bytes())
