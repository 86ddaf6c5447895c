"""The seed's SearchDomain on a real cluster with real name servers, and with some that lie."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from dns_liars import LIES
from dns_servers import LabBind, seed_zone
from e2e_peers import Peers

pytestmark = pytest.mark.lab

MANIFEST = """
apiVersion: discovery.liqo.io/v1
kind: SearchDomain
metadata:
  name: mydomain.com
spec:
  domain: mydomain.com
  autojoin: false
"""
NOBODY = "a" * 32
UNTIL = 90.0


def zone(domain: str, **clusters: tuple[str, str, str]) -> str:
    """Return the seed's records for clusters by name, each with its id, address and further pairs of its TXT record."""
    lines = []
    for name, (cluster_id, address, more) in clusters.items():
        instance = f"{name}._liqo._tcp.{domain}."
        lines += [
            f"{domain}. 1 PTR {instance}",
            f"{instance} 1 SRV 0 0 6443 api-{name}.{domain}.",
            f'{instance} 1 TXT "id={cluster_id}" "namespace=liqo" {more}',
            f"api-{name}.{domain}. 1 A {address}",
        ]
    return "\n".join(lines) + "\n"


@pytest.fixture
def search(peers: Peers) -> Iterator[Peers]:
    """Rome asks the lab's name server every second."""
    host, port = peers.lab.name_server()
    before = peers.get("rome", "clusterconfig", "clusterconfig")["spec"].get("discoveryConfig", {})
    peers.configure("rome", "discoveryConfig", dnsServer=f"{host}:{port}", searchInterval=1)
    yield peers
    peers.lab.kubectl("rome", "delete", "searchdomains", "--all")
    peers.configure(
        "rome",
        "discoveryConfig",
        **{"dnsServer": None, "searchInterval": None, "autojoinUntrusted": None} | before,
    )
    peers.lab.set_records("")


def found(peers: Peers) -> set[str]:
    return {f["metadata"]["name"] for f in peers.items("rome", "fc")}


def answered(peers: Peers) -> tuple[str, str] | None:
    conditions = peers.get("rome", "searchdomain", "mydomain.com").get("status", {}).get("conditions", [])
    return next(((c["status"], c["reason"]) for c in conditions if c["type"] == "Answered"), None)


def two(peers: Peers) -> str:
    milan = peers.lab.cluster("milan").host
    return zone(
        "mydomain.com",
        liqo1=(peers.id_of("rome"), peers.lab.cluster("rome").host, ""),
        liqo2=(peers.id_of("milan"), milan, '"untrusted-ca=true"'),
        liqo3=(NOBODY, "192.0.2.3", ""),
    )


Serve = Callable[[str], None]


@pytest.fixture(params=["coredns", "bind"])
def serve(request: pytest.FixtureRequest, search: Peers) -> Serve:
    """Have rome ask the lab's CoreDNS or BIND on milan's host."""
    if request.param == "coredns":
        return search.lab.set_records
    lab_bind: LabBind = request.getfixturevalue("lab_bind")
    server = lab_bind(search.lab, "milan")
    search.configure("rome", "discoveryConfig", dnsServer=server.address)
    return server.set_records


def test_the_seed_s_search_domain(search: Peers, serve: Serve) -> None:
    milan = (search.id_of("milan"), search.lab.cluster("milan").host)
    rome = (search.id_of("rome"), search.lab.cluster("rome").host)
    serve(seed_zone((NOBODY, "192.0.2.3"), milan))
    search.lab.kubectl("rome", "apply", "-f", "-", text=MANIFEST)
    search.until(lambda: found(search) == {NOBODY, milan[0]}, UNTIL)
    search.until(lambda: answered(search) == ("True", "Answered"))
    assert not search.virtual_nodes("rome")

    serve(seed_zone(rome, milan))
    search.until(lambda: found(search) == {milan[0]}, UNTIL)  # our own id is skipped
    assert search.get("rome", "searchdomain", "mydomain.com")["status"]["problemCount"] == 0

    serve(seed_zone(rome, milan) + zone("other.example", x=("b" * 32, "192.0.2.4", "")))
    patch = json.dumps({"spec": {"domain": "other.example"}})
    search.lab.kubectl("rome", "patch", "searchdomain", "mydomain.com", "--type", "merge", "-p", patch)
    search.until(lambda: found(search) == {"b" * 32}, UNTIL)

    search.lab.kubectl("rome", "delete", "searchdomain", "mydomain.com")
    search.until(lambda: found(search) == set(), UNTIL)


def test_what_one_name_server_says_gives_way_to_what_the_next_says(search: Peers, lab_bind: LabBind) -> None:
    first, second = search.lab.name_server(), lab_bind(search.lab, "milan")
    search.lab.set_records(zone("mydomain.com", a=("a" * 32, "192.0.2.1", ""), b=("b" * 32, "192.0.2.2", "")))
    second.set_records(zone("mydomain.com", b=("b" * 32, "192.0.2.2", ""), c=("c" * 32, "192.0.2.3", "")))
    search.lab.kubectl("rome", "apply", "-f", "-", text=MANIFEST)
    search.until(lambda: found(search) == {"a" * 32, "b" * 32}, UNTIL)
    search.configure("rome", "discoveryConfig", dnsServer=second.address)
    search.until(lambda: found(search) == {"b" * 32, "c" * 32}, UNTIL)
    search.configure("rome", "discoveryConfig", dnsServer="{}:{}".format(*first))
    search.until(lambda: found(search) == {"a" * 32, "b" * 32}, UNTIL)


FIRST_PORT = 5400
LIARS = Path(__file__).parents[1] / "dns_liars.py"
TOLD = (
    "NXDOMAIN",
    "SERVFAIL",
    "REFUSED",
    "another id",
    "a name that points at itself",
    "aliases in a circle",
)


@pytest.fixture
def liars(search: Peers) -> Iterator[dict[str, str]]:
    """Servers on milan's host that each tell a lie about mydomain.com and the truth about all else, by the lie."""
    host, good = search.lab.cluster("milan").host, map(str, search.lab.name_server())
    argv = (sys.executable, str(LIARS), host, str(FIRST_PORT), "mydomain.com", *good, *TOLD)
    command = search.lab.command("milan", argv)
    with subprocess.Popen(command.argv, env=command.env) as process:
        yield {lie: f"{host}:{port}" for lie, port in zip(TOLD, count(FIRST_PORT), strict=False)}
        process.kill()


def test_a_name_server_that_lies_about_a_domain_removes_nobody_and_delays_no_other(
    search: Peers, liars: dict[str, str]
) -> None:
    both = {search.id_of("milan"), NOBODY}
    other = MANIFEST.replace("mydomain.com", "other.example")
    search.lab.set_records(two(search))
    search.lab.kubectl("rome", "apply", "-f", "-", text=MANIFEST + "---" + other)
    search.until(lambda: found(search) == both, UNTIL)
    for letter, (lie, server) in zip("bcdefg", liars.items(), strict=True):
        search.configure("rome", "discoveryConfig", dnsServer=server)
        search.until(lambda lie=lie: answered(search) == ("False", LIES[lie][1]), UNTIL)  # type: ignore[misc]
        search.lab.set_records(two(search) + zone("other.example", x=(letter * 32, "192.0.2.4", "")))
        search.until(lambda letter=letter: found(search) == both | {letter * 32}, UNTIL)  # type: ignore[misc]


def test_a_name_server_that_does_not_answer_removes_nobody(search: Peers) -> None:
    milan = search.id_of("milan")
    good = search.get("rome", "clusterconfig", "clusterconfig")["spec"]["discoveryConfig"]["dnsServer"]
    search.lab.set_records(two(search))
    search.lab.kubectl("rome", "apply", "-f", "-", text=MANIFEST)
    search.until(lambda: found(search) == {milan, NOBODY}, UNTIL)
    search.configure("rome", "discoveryConfig", dnsServer=f"{search.lab.cluster('milan').host}:53")
    search.until(lambda: answered(search) == ("False", "ServerAway"), UNTIL)
    search.configure("rome", "discoveryConfig", dnsServer="dns.example")
    search.until(lambda: answered(search) == ("False", "BadServer"), UNTIL)
    assert found(search) == {milan, NOBODY}
    search.configure("rome", "discoveryConfig", dnsServer=good)
    search.until(lambda: answered(search) == ("True", "Answered"), UNTIL)
    assert found(search) == {milan, NOBODY}


def test_a_broken_instance_is_explained(search: Peers) -> None:
    broken = (
        'mydomain.com. 1 PTR bad._liqo._tcp.mydomain.com.\nbad._liqo._tcp.mydomain.com. 1 TXT "id=MILAN"\n'
    )
    search.lab.set_records(two(search) + broken)
    search.lab.kubectl("rome", "apply", "-f", "-", text=MANIFEST)

    def status_with_problems() -> Any:
        status = search.get("rome", "searchdomain", "mydomain.com")["status"]
        return status if status["problems"] and status["foundCount"] == 2 else None

    status = search.until(status_with_problems, UNTIL)
    (problem,) = status["problems"]
    assert problem == {
        "instance": "bad._liqo._tcp.mydomain.com",
        "reason": "NoSRV",
        "message": "it has no SRV record",
    }


def test_what_a_domain_with_autojoin_shows_is_joined(search: Peers) -> None:
    search.lab.set_records(
        zone(
            "mydomain.com",
            milan=(search.id_of("milan"), search.lab.cluster("milan").host, '"untrusted-ca=true"'),
        )
    )
    search.lab.kubectl("rome", "apply", "-f", "-", text=MANIFEST.replace("autojoin: false", "autojoin: true"))
    search.until(lambda: search.is_ready("rome"), UNTIL)
    (node,) = search.virtual_nodes("rome")
    assert node["metadata"]["labels"]["liqo.io/autojoined"] == "true"  # nobody joined it
    search.lab.set_records("mydomain.com. 1 TXT nobody\n")  # it leaves the domain, and stays joined
    name = search.id_of("milan")

    def lost() -> bool:
        conditions = search.get("rome", "fc", name)["status"]["conditions"]
        return any((c["type"], c["reason"]) == ("Discovered", "Lost") for c in conditions)

    search.until(lost, UNTIL)
    assert search.is_ready("rome")
