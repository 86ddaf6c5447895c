"""Our announcement read by Avahi, and Avahi's by us: two implementations of multicast DNS on one link."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from avahi import Avahi, Seen, avahi_on
from links import Link
from liqo.app.lab import up_with_liqo
from liqo.lab.lab import LIQO_LAN, Lab
from liqo.lab.pytest_plugin import Eventually, LabFactory

pytestmark = pytest.mark.lab

ID = "a" * 32
TXT = (f"id={ID}", "namespace=liqo-system", "untrusted-ca=true", "v=1")
LOOK = (sys.executable, "-m", "liqo", "discover", "lan", "--seconds", "2", "-o", "json")


@pytest.fixture
def rome(lab: LabFactory) -> Lab:
    """One cluster with its agent."""
    made = lab()
    up_with_liqo(made, ("rome",), nodes=0)
    return made


@pytest.fixture
def avahi(rome: Lab, tmp_path: Path) -> Iterator[Avahi]:
    """Avahi on another host of the same link."""
    with avahi_on(Link(rome.folder), tmp_path) as running:
        yield running


def cluster_id(lab: Lab) -> str:
    found = json.loads(lab.kubectl("rome", "get", "configmap", "cluster-id", "-n", "liqo", "-o", "json"))
    return str(found["data"]["cluster-id"])


def sources(lab: Lab) -> dict[str, dict[str, Any]]:
    """Return the entries `lan` of rome's ForeignClusters, by instance."""
    items = json.loads(lab.kubectl("rome", "get", "fc", "-o", "json"))["items"]
    found = [s for fc in items for s in fc.get("status", {}).get("sources", ()) if s["name"] == "lan"]
    return {source["instance"]: source for source in found}


def test_avahi_shows_our_announcement_whole_until_we_say_goodbye(
    rome: Lab, avahi: Avahi, eventually: Eventually
) -> None:
    home_id = cluster_id(rome)
    spec = rome.cluster("rome")
    expected = Seen(
        protocol="IPv4",
        name="rome",
        host=f"liqo-{home_id[:12]}.local",
        address=spec.host,
        port=6443,
        txt=frozenset({f"id={home_id}", "namespace=liqo", "untrusted-ca=true", "v=1"}),
    )

    def is_whole() -> bool:
        seen = avahi.browse()
        return expected in seen and {s.txt for s in seen} == {expected.txt}

    eventually(is_whole)
    rome.stop("rome", LIQO_LAN)
    eventually(lambda: not avahi.browse())  # long before its TTL is over


def looked(rome: Lab) -> dict[str, Any]:
    """Return what two seconds of looking show, by instance; one that answered somebody a moment ago may be late."""
    return {found["instance"]: found for found in json.loads(rome.exec("rome", LOOK).stdout)}


def test_what_avahi_publishes_is_found(rome: Lab, avahi: Avahi, eventually: Eventually) -> None:
    endpoint = f"https://{avahi.address}:7443"
    with avahi.publish("milan", 7443, *TXT):
        source = eventually(lambda: sources(rome)["milan"])
        assert source["endpoints"] == [endpoint]
        milan = eventually(lambda: looked(rome)["milan"])
        assert (milan["clusterID"], milan["namespace"], milan["untrustedCA"]) == (ID, "liqo-system", True)
        assert milan["endpoints"] == [endpoint]
    eventually(lambda: "milan" not in sources(rome))


def test_whoever_comes_second_gets_another_name(rome: Lab, avahi: Avahi, eventually: Eventually) -> None:
    eventually(avahi.browse)
    with avahi.publish("rome", 7443, *TXT):
        eventually(lambda: "rome #2" in sources(rome))
        rome.stop("rome", LIQO_LAN)
    with avahi.publish("rome", 7443, *TXT):
        eventually(lambda: {s.name for s in avahi.browse() if s.port == 7443} == {"rome"})
        rome.start("rome", LIQO_LAN)
        eventually(lambda: "rome" in sources(rome))
        eventually(lambda: "rome-2" in {s.name for s in avahi.browse()})
