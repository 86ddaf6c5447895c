"""Clusters as hosts on one LAN, with real multicast between them."""

import json
import subprocess
import sys
import time
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


def usage(lab: Lab, name: str) -> tuple[int, float]:
    """Return the resident memory of an agent in KiB, and the CPU that it took, in seconds."""
    (pid,) = (r.pid for r in find(lab.folder) if r.cluster == name and r.part == LIQO_LAN)
    status = Path(f"/proc/{pid}/status").read_text()
    rss = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(rss), (int(fields[11]) + int(fields[12])) / 100


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
    eventually(lambda: milan not in seen(two, "rome"), 2)
    two.start("milan", LIQO_LAN, extra_args=(f"--ttl={TTL}",))
    eventually(lambda: milan in seen(two, "rome"), 10)
    configure(two, "milan", apiUrl="https://10.77.0.12:7443")
    eventually(lambda: seen(two, "rome")[milan]["endpoints"] == ["https://10.77.0.12:7443"], 5)
    configure(two, "milan", apiUrl="https://10.77.0.12:6443", clusterName="naples")
    eventually(lambda: seen(two, "rome")[milan]["instance"] == "naples", 10)
    configure(two, "milan", enableAdvertisement=False)
    eventually(lambda: milan not in seen(two, "rome"), 5)


def test_a_killed_agents_cluster_stays_while_its_api_server_answers(two: Lab, eventually: Eventually) -> None:
    milan = id_of(two, "milan")
    restart_agent(two, "milan")
    eventually(lambda: seen(two, "rome").get(milan, {}).get("ttlSeconds") == TTL)
    two.kill("milan", LIQO_LAN)
    eventually(lambda: "waiting" in two.log("rome", LIQO_LAN).read_text() or asked(two), 4 * TTL)
    assert milan in seen(two, "rome")
    two.kill("milan", "kube-apiserver")
    eventually(lambda: milan not in seen(two, "rome"), 4 * TTL)


READ_METRICS = """
from urllib.request import urlopen
print(urlopen("http://10.77.0.11:8081/metrics", timeout=5).read().decode())
"""


def asked(lab: Lab) -> bool:
    """Return whether rome's agent has asked an API server who it is."""
    return 'cluster="stranger"' in lab.exec("rome", (sys.executable, "-c", READ_METRICS)).stdout


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
    before = usage(two, "rome")
    command = two.command("turin", (sys.executable, str(NEIGHBOUR), "10.77.0.13", "10000", "20", milan))
    with subprocess.Popen(command.argv, env=command.env) as flood:
        eventually(lambda: len(seen(two, "rome")) > 1)
        two.start("milan", LIQO_LAN)
        eventually(lambda: '"announced"' in two.log("milan", LIQO_LAN).read_text().rpartition('"started"')[2])
        announced = time.monotonic()
        eventually(lambda: seen(two, "rome").get(milan, {}).get("instance") == "milan", 2)
        took = time.monotonic() - announced
        found = seen(two, "rome")
        eventually(lambda: flood.poll() == 0, 60)
    rss, cpu = usage(two, "rome")
    told = f"found within {took:.2f} s, RSS {before[0]} → {rss} KiB, CPU {cpu - before[1]:.1f} s"
    print(f"{told}, {len(found)} ForeignClusters")  # noqa: T201
    assert rss < RSS_MAX_KIB
    assert len(found) < 64
    assert "fake" in seen(two, "rome")[milan].get("conflict", "")
