"""One cluster behind two addresses, as its SRV records say: over to the second when the first dies, and back."""

from collections.abc import Iterator

import pytest

from e2e_peers import Peers

pytestmark = pytest.mark.lab

DOMAIN = "mydomain.com"
SECOND = 212  # milan's other address, in the LAN's network
SEARCH = f"""
apiVersion: discovery.liqo.io/v1
kind: SearchDomain
metadata: {{name: {DOMAIN}}}
spec: {{domain: {DOMAIN}, autojoin: true}}
"""


@pytest.fixture
def two_addresses(peers: Peers) -> Iterator[tuple[str, str]]:
    """Give milan a second address, and a zone that names both, the first one first."""
    lab = peers.lab
    first = lab.cluster("milan").host
    second = f"{first.rpartition('.')[0]}.{SECOND}"
    lab.exec("milan", ("ip", "address", "add", f"{second}/24", "dev", "eth0"))
    milan = peers.id_of("milan")
    instance = f"milan._liqo._tcp.{DOMAIN}."
    lab.set_records(
        f"{DOMAIN}. 1 PTR {instance}\n"
        f"{instance} 1 SRV 0 0 6443 api-1.{DOMAIN}.\n"
        f"{instance} 1 SRV 10 0 6443 api-2.{DOMAIN}.\n"
        f'{instance} 1 TXT "id={milan}" "namespace=liqo" "untrusted-ca=true"\n'
        f"api-1.{DOMAIN}. 1 A {first}\n"
        f"api-2.{DOMAIN}. 1 A {second}\n"
    )
    server, port = lab.name_server()
    peers.configure("rome", "discoveryConfig", dnsServer=f"{server}:{port}", searchInterval=1)
    lab.kubectl("rome", "apply", "-f", "-", text=SEARCH)
    yield first, second
    lab.kubectl("rome", "delete", "searchdomains", "--all")
    peers.configure("rome", "discoveryConfig", dnsServer=None, searchInterval=None)
    lab.set_records("")
    lab.exec("milan", ("ip", "address", "del", f"{second}/24", "dev", "eth0"))


def cut(peers: Peers, verb: str, address: str) -> None:
    """Have rome reach nobody at an address, or reach it again."""
    peers.lab.exec("rome", ("ip", "route", verb, "unreachable", f"{address}/32"))


def beats(peers: Peers) -> str:
    """Return when rome last heard of milan, as the node's Lease says."""
    (node,) = peers.virtual_nodes("rome")
    lease = peers.get("rome", "lease", node["metadata"]["name"], "-n", "kube-node-lease")
    return str(lease["spec"]["renewTime"])


@pytest.mark.seconds(240)
def test_a_peering_moves_to_the_second_address_and_back(peers: Peers, two_addresses: tuple[str, str]) -> None:
    first, second = two_addresses
    peers.until(lambda: peers.is_ready("rome"))
    (request,) = peers.items("milan", "fr", "-n", "liqo")
    for gone in (first, second):
        cut(peers, "add", gone)
        try:
            for _ in range(2):  # one may still have been on its way
                before = beats(peers)
                peers.until(lambda before=before: peers.is_ready("rome") and beats(peers) > before)  # type: ignore[misc]
        finally:
            cut(peers, "del", gone)
    (later,) = peers.items("milan", "fr", "-n", "liqo")
    assert later["metadata"]["uid"] == request["metadata"]["uid"]


def test_without_a_second_address_the_node_says_that_nobody_answers(
    peers: Peers, two_addresses: tuple[str, str]
) -> None:
    peers.until(lambda: peers.is_ready("rome"))
    for gone in two_addresses:
        cut(peers, "add", gone)
    try:
        peers.until(lambda: not peers.is_ready("rome"))
    finally:
        for gone in two_addresses:
            cut(peers, "del", gone)
    peers.until(lambda: peers.is_ready("rome"))
