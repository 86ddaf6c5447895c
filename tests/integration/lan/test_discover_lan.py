"""`liqo discover lan` beside a neighbour who makes mistakes, on a real LAN, without a cluster."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from liqo.lab.lab import Lab
from liqo.lab.pytest_plugin import Eventually, LabFactory

pytestmark = pytest.mark.lab

BROKEN = Path(__file__).parent / "broken.py"
SAY = Path(__file__).parent / "say.py"
DISCOVER = (sys.executable, "-m", "liqo", "discover", "lan")
LIQO = (*DISCOVER, "--seconds", "2")
PROBLEMS = {
    "no-txt": "NoTXT",
    "no-id": "NoClusterID",
    "bad-id": "BadClusterID",
    "no-namespace": "NoNamespace",
    "bad-namespace": "BadNamespace",
    "bad-url": "BadURL",
    "future": "UnknownVersion",
    "no-srv": "NoSRV",
    "no-address": "NoAddress",
    "link-local": "NoAddress",
}


@pytest.fixture
def hosts(lab: LabFactory) -> Iterator[Lab]:
    """Rome, and milan who makes mistakes."""
    made = lab("rome", "milan", nodes=0)
    command = made.command("milan", (sys.executable, str(BROKEN), made.cluster("milan").host))
    with subprocess.Popen(command.argv, env=command.env, stdout=subprocess.PIPE, text=True) as neighbour:
        assert neighbour.stdout
        assert neighbour.stdout.readline() == "ready\n"
        yield made
        neighbour.terminate()


def test_each_mistake_stands_beside_its_instance(hosts: Lab, eventually: Eventually) -> None:
    def looked() -> list[Any]:
        """Return what one look finds, once it heard all; who has just answered somebody answers a second later."""
        found: list[Any] = json.loads(hosts.exec("rome", (*LIQO, "-o", "json")).stdout)
        assert {x["instance"]: x["problem"] for x in found if "problem" in x} == PROBLEMS
        assert len(found) == len(PROBLEMS) + 1
        return found

    found = eventually(looked)
    (right,) = [x for x in found if "problem" not in x]
    assert (right["instance"], right["endpoints"]) == ("right", ["https://10.77.0.99:6443"])
    assert all(x["message"].isprintable() for x in found if "problem" in x)


def test_the_table_tells_the_same(hosts: Lab, eventually: Eventually) -> None:
    def looked() -> str:
        table = hosts.exec("rome", LIQO).stdout
        return table if all(name in table for name in PROBLEMS) else ""

    table = eventually(looked)
    assert "NoClusterID" in table
    assert "\x1b[2J" not in table


@contextmanager
def watched(lab: Lab, folder: Path, *args: str) -> Iterator[Path]:
    """Watch on rome until Ctrl-C; yield the file in which it prints."""
    out, wrong = folder / "out", folder / "err"
    folder.mkdir()
    # What a shell starts in the background ignores Ctrl-C, and hands that down to all that runs below it.
    command = lab.command("rome", ("env", "--default-signal=INT", *DISCOVER, "--watch", *args))
    with (
        out.open("w") as stdout,
        wrong.open("w") as stderr,
        subprocess.Popen(command.argv, env=command.env, stdout=stdout, stderr=stderr) as watching,
    ):
        try:
            yield out
        finally:
            watching.send_signal(signal.SIGINT)
    assert watching.returncode == 0
    assert wrong.read_text() == "Ctrl-C ends it\n"


def told_in_json(file: Path, instance: str) -> list[tuple[str, list[str]]]:
    """Return the whole lines about an instance: the type of each change, and the endpoints."""
    lines = [json.loads(line) for line in file.read_text().splitlines(keepends=True) if line.endswith("\n")]
    return [
        (line["type"], line["object"].get("endpoints", []))
        for line in lines
        if line["object"]["instance"] == instance
    ]


def told_in_table(file: Path, instance: str) -> list[str]:
    return [line for line in file.read_text().splitlines() if line.split()[1:2] == [instance]]


def test_watching_tells_each_change_once(hosts: Lab, eventually: Eventually, tmp_path: Path) -> None:
    address = hosts.cluster("milan").host

    def say(port: int, ttl: int) -> None:
        done = hosts.exec("milan", (sys.executable, str(SAY), address, "turin", str(port), str(ttl)))
        assert done.returncode == 0, done.stderr

    old, new = ["https://10.77.0.99:6443"], ["https://10.77.0.99:7443"]
    with (
        watched(hosts, tmp_path / "json", "-o", "json") as as_json,
        watched(hosts, tmp_path / "table") as table,
    ):
        for name in ("right", *PROBLEMS):
            eventually(lambda n=name: len(told_in_json(as_json, n)) == len(told_in_table(table, n)) == 1)  # type: ignore[misc]
        say(6443, 60)
        eventually(lambda: told_in_json(as_json, "turin") == [("ADDED", old)])
        eventually(lambda: len(told_in_table(table, "turin")) == 1)
        say(7443, 60)
        eventually(lambda: told_in_json(as_json, "turin")[1:] == [("MODIFIED", new)])
        eventually(lambda: len(told_in_table(table, "turin")) == 2)
        say(7443, 0)
        eventually(lambda: told_in_json(as_json, "turin")[2:] == [("DELETED", new)])
        eventually(lambda: len(told_in_table(table, "turin")) == 3)
    assert [line[0] for line in told_in_table(table, "turin")] == ["+", "~", "-"]
    assert all(len(told_in_json(as_json, name)) == 1 for name in ("right", *PROBLEMS))
    assert all(line.startswith(f"+ {n}") for n in PROBLEMS for line in told_in_table(table, n))
    assert "\x1b[2J" not in as_json.read_text() + table.read_text()
