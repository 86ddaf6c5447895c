"""Clusters as hosts on one LAN, with real multicast between them."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from liqo.app.lab import up_with_liqo
from liqo.lab.lab import LIQO_LAN, Lab
from liqo.lab.process import find
from liqo.lab.pytest_plugin import Eventually, LabFactory

pytestmark = [pytest.mark.lab, pytest.mark.long]

NEIGHBOUR = Path(__file__).parent / "neighbour.py"
TTL = 5
RSS_MAX_KIB = 150 * 1024


def id_of(lab: Lab, name: str) -> str:
    found: str = json.loads(lab.kubectl(name, "get", "configmap", "cluster-id", "-n", "liqo", "-o", "json"))[
        "data"
    ]["cluster-id"]
    return found


def seen(lab: Lab, by: str) -> dict[str, Any]:
    """Return the entry `lan` of each ForeignCluster that a cluster has, by cluster id."""
    items = json.loads(lab.kubectl(by, "get", "fc", "-o", "json"))["items"]
    return {
        fc["spec"]["clusterID"]: source
        for fc in items
        for source in fc.get("status", {}).get("sources", [])
        if source["name"] == "lan"
    }


def restart_agent(lab: Lab, name: str) -> None:
    lab.stop(name, LIQO_LAN)
    lab.start(name, LIQO_LAN, extra_args=(f"--ttl={TTL}",))


def configure(lab: Lab, name: str, **discovery: object) -> None:
    patch = json.dumps({"spec": {"discoveryConfig": discovery}})
    lab.kubectl(name, "patch", "clusterconfig", "clusterconfig", "--type", "merge", "-p", patch)


def agent(lab: Lab, name: str) -> int:
    """Return the process of a cluster's agent."""
    (pid,) = (r.pid for r in find(lab.folder) if r.cluster == name and r.part == LIQO_LAN)
    return pid


def resident(lab: Lab, name: str) -> int:
    """Return the resident memory of an agent in KiB."""
    status = Path(f"/proc/{agent(lab, name)}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))


@pytest.fixture
def two(lab: LabFactory) -> Lab:
    made = lab()
    up_with_liqo(made, ("rome", "milan"), nodes=1)
    return made


def test_three_clusters_find_each_other(lab: LabFactory, eventually: Eventually) -> None:
    made = lab()
    names = ("rome", "milan", "turin")
    up_with_liqo(made, names, nodes=1)
    ids = {name: id_of(made, name) for name in names}
    for name in names:
        others = {ids[other] for other in names if other != name}
        eventually(lambda n=name, o=others: set(seen(made, n)) == o)  # type: ignore[misc]


def test_a_cluster_comes_goes_and_changes(two: Lab, eventually: Eventually) -> None:
    milan = id_of(two, "milan")
    eventually(lambda: milan in seen(two, "rome"))
    two.stop("milan", LIQO_LAN)
    eventually(lambda: milan not in seen(two, "rome"))
    two.start("milan", LIQO_LAN, extra_args=(f"--ttl={TTL}",))
    eventually(lambda: milan in seen(two, "rome"))
    configure(two, "milan", apiUrl="https://10.77.0.12:7443")
    eventually(lambda: seen(two, "rome")[milan]["endpoints"] == ["https://10.77.0.12:7443"])
    configure(two, "milan", apiUrl="https://10.77.0.12:6443", clusterName="naples")
    eventually(lambda: seen(two, "rome")[milan]["instance"] == "naples")


def test_announcing_and_looking_are_switched_off_and_on_while_it_runs(
    two: Lab, eventually: Eventually
) -> None:
    rome, milan = id_of(two, "rome"), id_of(two, "milan")
    both = {"rome": {milan}, "milan": {rome}}
    eventually(lambda: all(set(seen(two, side)) == others for side, others in both.items()))
    agents = {name: agent(two, name) for name in both}
    for _ in range(2):
        configure(two, "milan", enableAdvertisement=False)
        eventually(lambda: seen(two, "rome") == {})
        assert set(seen(two, "milan")) == {rome}  # it looks on
        configure(two, "milan", enableAdvertisement=True)
        eventually(lambda: set(seen(two, "rome")) == {milan})
        configure(two, "milan", enableDiscovery=False)
        eventually(lambda: seen(two, "milan") == {})
        assert set(seen(two, "rome")) == {milan}  # it is announced on
        configure(two, "milan", enableDiscovery=True)
        eventually(lambda: set(seen(two, "milan")) == {rome})
    assert {name: agent(two, name) for name in both} == agents  # the same processes


def test_a_killed_agents_cluster_stays_while_its_api_server_answers(two: Lab, eventually: Eventually) -> None:
    milan = id_of(two, "milan")
    restart_agent(two, "milan")
    eventually(lambda: seen(two, "rome").get(milan, {}).get("ttlSeconds") == TTL)
    two.kill("milan", LIQO_LAN)
    for _ in range(3):  # one TTL after another
        before = questions(two)
        eventually(lambda before=before: questions(two) > before)  # type: ignore[misc]
        assert milan in seen(two, "rome")
    two.kill("milan", "kube-apiserver")
    eventually(lambda: milan not in seen(two, "rome"))


READ_METRICS = """
from urllib.request import urlopen
print(urlopen("http://10.77.0.11:8081/metrics", timeout=5).read().decode())
"""


def questions(lab: Lab) -> float:
    """Return how many requests rome's agent has sent to ask API servers who they are."""
    told = lab.exec("rome", (sys.executable, "-c", READ_METRICS)).stdout.splitlines()
    return sum(
        float(line.rpartition(" ")[2])
        for line in told
        if line.startswith("liqo_api_requests_total{") and 'cluster="stranger"' in line
    )


def test_a_partition_ends_it_and_healing_brings_it_back(two: Lab, eventually: Eventually) -> None:
    milan = id_of(two, "milan")
    restart_agent(two, "milan")
    eventually(lambda: seen(two, "rome").get(milan, {}).get("ttlSeconds") == TTL)
    two.partition("rome", "milan")
    eventually(lambda: milan not in seen(two, "rome"), 6 * TTL)
    two.heal("rome", "milan")
    eventually(lambda: milan in seen(two, "rome"), 70)


def test_an_honest_cluster_is_found_in_the_middle_of_a_flood(two: Lab, eventually: Eventually) -> None:
    milan = id_of(two, "milan")
    eventually(lambda: milan in seen(two, "rome"))
    two.stop("milan", LIQO_LAN)
    eventually(lambda: milan not in seen(two, "rome"))
    two.up(("turin",), nodes=0, liqo=False)
    command = two.command("turin", (sys.executable, str(NEIGHBOUR), "10.77.0.13", "20000", "40", milan))
    with subprocess.Popen(command.argv, env=command.env) as flood:
        eventually(lambda: len(seen(two, "rome")) > 1)
        two.start("milan", LIQO_LAN)
        eventually(lambda: seen(two, "rome").get(milan, {}).get("instance") == "milan")
        assert flood.poll() is None  # in the middle of it; within 2 s is what `make bench` shows
        found = seen(two, "rome")
        eventually(lambda: flood.poll() == 0, 60)
    assert resident(two, "rome") < RSS_MAX_KIB
    assert len(found) < 64
    assert "fake" in seen(two, "rome")[milan].get("conflict", "")
