"""Clusters with a door find each other on the LAN, and join by it wherever it is."""

import json
from typing import Any

import pytest

from liqo.app.lab import up_with_liqo
from liqo.lab.lab import LIQO, Lab
from liqo.lab.pytest_plugin import Eventually, LabFactory

pytestmark = [pytest.mark.lab, pytest.mark.long]

PORT = 17_443  # not the default, which whoever is told nothing tries too


def found_by_rome(lab: Lab) -> dict[str, Any]:
    (found,) = json.loads(lab.kubectl("rome", "get", "fc", "-o", "json"))["items"]
    return dict(found)


def test_a_door_is_announced_where_it_is(lab: LabFactory, eventually: Eventually) -> None:
    made = lab()
    up_with_liqo(made, ("rome",), nodes=1)
    up_with_liqo(made, ("milan",), nodes=1, anonymous=False)
    host = made.cluster("milan").host
    eventually(lambda: found_by_rome(made)["spec"]["doorUrl"] == f"https://{host}:16443")
    assert "doorUrl" not in json.loads(made.kubectl("milan", "get", "fc", "-o", "json"))["items"][0]["spec"]

    made.stop("milan", LIQO)
    made.start("milan", LIQO, extra_args=(f"--door-port={PORT}",))
    name = found_by_rome(made)["metadata"]["name"]

    def found_again() -> bool:
        if found_by_rome(made)["spec"].get("doorUrl") == f"https://{host}:{PORT}":
            return True
        made.kubectl("rome", "delete", "fc", name)  # what was found is written once; it is found anew
        return False

    eventually(found_again)
    made.kubectl("rome", "patch", "fc", name, "--type", "merge", "-p", '{"spec":{"join":true}}')
    eventually(lambda: found_by_rome(made)["status"]["outgoing"]["phase"] == "Established")
