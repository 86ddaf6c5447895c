"""`liqo demo` as a person runs it: once, again, and as an ordinary user; each command that it shows can be typed."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from liqo.lab.lab import Lab
from ordinary import Ordinary

pytestmark = [pytest.mark.lab, pytest.mark.seconds(600)]

SHOWN = re.compile(r"^  (rome|milan)\$ (kubectl .*)$", re.MULTILINE)
TYPED = re.compile(r"^(?:(rome|milan)\$|\.venv/bin/liqo lab) (.*)$", re.MULTILINE)
TUTORIALS = Path(__file__).parents[2] / "docs" / "tutorial"
LIQO = (sys.executable, "-m", "liqo")
DEMO = (*LIQO, "demo")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Where a demo's lab is; it is gone afterwards."""
    yield tmp_path / "lab"
    Lab(tmp_path / "lab").down()


def run(folder: Path, *argv: str) -> str:
    """Run a program of ours with its lab in a folder, and return what it shows."""
    env = {**os.environ, "LIQO_LAB_DIR": str(folder)}
    done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stdout[-2_000:] + done.stderr
    return done.stdout


def assert_runs_pods(shown: str, *, real: bool = False) -> None:
    """See that two pods are on the virtual node, that they run on one of milan's, and that one is heard."""
    at_home = re.findall(r"^web-\S+ +1/1 +Running .* (liqo-milan-\w{6}) ", shown, re.MULTILINE)
    on_foreign = re.findall(r"^web-\S+ +1/1 +Running .* (milan-node-\d|milan-real) ", shown, re.MULTILINE)
    assert (len(at_home), len(on_foreign)) == (2, 2), shown
    if real:
        assert re.search(r"logs -n shop deployment/web\nweb-\S+ serves on port 8080\n", shown)
        assert re.search(r"^this is web-", shown, re.MULTILINE)
        assert re.search(r"curl http://127.0.0.1:8080/\nhello from web-", shown)
    else:
        assert "logs -n shop deployment/web\na fake pod of milan says hello\n" in shown
        assert "no container runs" in shown


def assert_finds_both_ways(shown: str) -> None:
    for side, other in (("rome", "milan"), ("milan", "rome")):
        assert f"{side} has found {other} on the LAN, by itself\n" in shown
        assert f"{side} has found {other} in the domain mydomain.com, and skipped itself\n" in shown


def test_it_shows_pods_on_the_other_cluster_and_again_where_they_are_already(folder: Path) -> None:
    first = run(folder, *DEMO)
    assert_finds_both_ways(first)
    assert_runs_pods(first, real=os.geteuid() == 0)
    again = run(folder, *DEMO)
    assert_runs_pods(again, real=os.geteuid() == 0)
    names = [set(re.findall(r"^(web-\S+) ", shown, re.MULTILINE)) for shown in (first, again)]
    assert names[0] == names[1]
    lab = Lab(folder)
    commands = SHOWN.findall(again)
    assert len(commands) >= 10
    for side, command in commands:
        if command.endswith("&"):  # which a person ends
            continue
        done = lab.exec(side, ["sh", "-c", command])
        assert done.returncode == 0, f"{side}$ {command}\n{done.stderr}"
    assert "shop: every cluster that a person joined" in lab.exec("rome", ["liqo", "status"]).stdout


@pytest.mark.long
@pytest.mark.parametrize("page", ["first-peering", "first-pod"])
def test_every_command_of_a_tutorial_works_in_its_order(page: str, folder: Path) -> None:
    run(folder, *DEMO)
    lab = Lab(folder)
    typed = TYPED.findall((TUTORIALS / f"{page}.md").read_text())
    assert len(typed) >= 8
    for side, command in typed:
        if side:
            done = lab.exec(side, ["sh", "-c", command])
            assert done.returncode == 0, f"{side}$ {command}\n{done.stderr}"
        elif not command.startswith("exec "):  # a shell, for a person
            run(folder, *LIQO, "lab", *command.split())


def test_an_ordinary_user_sees_the_same(ordinary: Ordinary) -> None:
    done = ordinary.run(DEMO)
    assert done.returncode == 0, done.stdout[-2_000:] + done.stderr
    assert_runs_pods(done.stdout)
