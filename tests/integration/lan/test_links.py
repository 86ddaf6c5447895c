"""A link is where an announcement ends: clusters on two bridges of one machine never hear each other."""

import json
import sys

import pytest

from liqo.app.lab import up_with_liqo
from liqo.lab.lab import Lab
from liqo.lab.pytest_plugin import Eventually, LabFactory

pytestmark = [pytest.mark.lab, pytest.mark.seconds(300)]

LOOK = (sys.executable, "-m", "liqo", "discover", "lan", "--seconds", "2", "-o", "json")


def announced(lab: Lab, host: str) -> set[str]:
    """Return the instances that a host's link shows."""
    return {found["instance"] for found in json.loads(lab.exec(host, LOOK).stdout)}


def known(lab: Lab, by: str) -> set[str]:
    """Return the names of the clusters of which one has a ForeignCluster."""
    return {
        fc["spec"]["clusterName"] for fc in json.loads(lab.kubectl(by, "get", "fc", "-o", "json"))["items"]
    }


def test_two_labs_do_not_see_each_other(lab: LabFactory, eventually: Eventually) -> None:
    one, other = lab(), lab()
    up_with_liqo(other, ("turin",), nodes=0)
    up_with_liqo(one, ("rome", "milan"), nodes=0)  # the last, so that turin announced while they listened
    eventually(lambda: (known(one, "rome"), known(one, "milan")) == ({"milan"}, {"rome"}))
    eventually(lambda: announced(one, "rome") == {"rome", "milan"})
    eventually(lambda: announced(other, "turin") == {"turin"})
    assert (known(one, "rome"), known(one, "milan"), known(other, "turin")) == ({"milan"}, {"rome"}, set())
