"""`liqo discover lan` beside a neighbour who makes mistakes, on a real LAN, without a cluster."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from liqo.lab.lab import Lab
from liqo.lab.pytest_plugin import LabFactory

pytestmark = pytest.mark.lab

BROKEN = Path(__file__).parent / "broken.py"
LIQO = (sys.executable, "-m", "liqo", "discover", "lan", "--seconds", "2")
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


def test_each_mistake_stands_beside_its_instance(hosts: Lab) -> None:
    found = json.loads(hosts.exec("rome", (*LIQO, "-o", "json")).stdout)
    assert {x["instance"]: x["problem"] for x in found if "problem" in x} == PROBLEMS
    (right,) = [x for x in found if "problem" not in x]
    assert (right["instance"], right["endpoints"]) == ("right", ["https://10.77.0.99:6443"])
    assert all(x["message"].isprintable() for x in found if "problem" in x)


def test_the_table_tells_the_same(hosts: Lab) -> None:
    table = hosts.exec("rome", LIQO).stdout
    assert all(name in table for name in PROBLEMS)
    assert "NoClusterID" in table
    assert "\x1b[2J" not in table
