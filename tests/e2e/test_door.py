"""Clusters whose API server takes no anonymous requests, as k3s starts it."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dns_servers import KEY, UPDATES, LabBind
from e2e_peers import Peers
from liqo.app.demo import NAME
from liqo.app.lab import up_with_liqo
from liqo.lab.lab import Lab
from liqo.lab.pytest_plugin import Eventually, LabFactory

pytestmark = pytest.mark.lab

ASK = """
import http.client, ssl, sys
method, host, path, body = sys.argv[1:5]
body = "x" * int(body) if body.isdigit() else body
connection = http.client.HTTPSConnection(host, 16443, context=ssl._create_unverified_context(), timeout=30)
connection.request(method, path, body=body or None, headers={"Content-Type": "application/json"})
print(connection.getresponse().status)
"""


@pytest.fixture(scope="module")
def closed_pair(lab_factory: LabFactory) -> Iterator[Lab]:
    """Rome and milan, both as k3s starts them."""
    lab = lab_factory()
    up_with_liqo(lab, ("rome", "milan"), anonymous=False, kubelet_ca=True, lan=False)
    yield lab
    lab.down()


@pytest.fixture(scope="module")
def half_closed_pair(lab_factory: LabFactory) -> Iterator[Lab]:
    """Rome as kubeadm starts it, milan as k3s does."""
    lab = lab_factory()
    up_with_liqo(lab, ("rome",), lan=False)
    up_with_liqo(lab, ("milan",), anonymous=False, kubelet_ca=True, lan=False)
    yield lab
    lab.down()


@pytest.fixture
def closed(closed_pair: Lab, eventually: Eventually) -> Peers:
    found = Peers(closed_pair, eventually)
    found.part()
    return found


@pytest.fixture
def half_closed(half_closed_pair: Lab, eventually: Eventually) -> Peers:
    found = Peers(half_closed_pair, eventually)
    found.part()
    return found


def test_two_clusters_without_anonymous_access_join_each_other(closed: Peers) -> None:
    closed.apply_seed("rome", "milan")
    closed.apply_seed("milan", "rome")
    for side in ("rome", "milan"):
        closed.until(lambda side=side: closed.is_ready(side))  # type: ignore[misc]
    closed.part()


@pytest.mark.parametrize(("home", "foreign"), [("rome", "milan"), ("milan", "rome")])
def test_one_cluster_without_anonymous_access_joins_and_is_joined(
    half_closed: Peers, home: str, foreign: str
) -> None:
    half_closed.apply_seed(home, foreign)
    half_closed.until(lambda: half_closed.is_ready(home))
    half_closed.set_join(home, join=False)
    half_closed.until(lambda: half_closed.is_clean(home) and half_closed.is_clean(foreign))


DOMAIN = "mydomain.com"
SEARCH = f"""
apiVersion: discovery.liqo.io/v1
kind: SearchDomain
metadata:
  name: {DOMAIN}
spec:
  domain: {DOMAIN}
"""


@pytest.fixture
def searching(closed: Peers) -> Iterator[Peers]:
    """Rome searches the domain every second, once it is told where to ask."""
    closed.lab.kubectl("rome", "apply", "-f", "-", text=SEARCH)
    yield closed
    closed.lab.kubectl("rome", "delete", "searchdomain", DOMAIN)
    closed.configure("rome", "discoveryConfig", dnsServer=None, searchInterval=None)
    closed.part()


def say(peers: Peers, *command: str, code: int = 0) -> str:
    """Type a command of ours in milan."""
    done = peers.lab.exec("milan", ("liqo", *command))
    assert done.returncode == code, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def join_by_dns(peers: Peers, server: str) -> None:
    """Have rome find milan and its door in the domain, and join it."""
    peers.configure("rome", "discoveryConfig", dnsServer=server, searchInterval=1)
    name = peers.id_of("milan")
    door = f"https://{peers.lab.cluster('milan').host}:16443"
    peers.until(lambda: peers.get("rome", "fc", name)["spec"]["doorUrl"] == door)
    peers.lab.kubectl("rome", "patch", "fc", name, "--type", "merge", "-p", '{"spec":{"join":true}}')
    peers.until(lambda: peers.is_ready("rome"))


def test_records_for_a_zone_file_tell_where_the_door_is(searching: Peers) -> None:
    server = ":".join(map(str, searching.lab.name_server()))
    searching.lab.set_records(say(searching, "dns", "records", DOMAIN))
    join_by_dns(searching, server)
    told = say(searching, "dns", "check", DOMAIN, "--server", server)
    assert [line.split()[0] for line in told.splitlines()] == ["ok"] * 5
    searching.lab.set_records("")


def test_published_records_tell_where_the_door_is(
    searching: Peers, lab_bind: LabBind, tmp_path: Path
) -> None:
    server = lab_bind(searching.lab, "milan", DOMAIN, UPDATES).address
    key = tmp_path / "liqo.key"
    key.write_text(KEY)
    publish = ("dns", "publish", DOMAIN, "--server", server, "--key-file", str(key))
    say(searching, "dns", "check", DOMAIN, "--server", server, code=1)
    written = say(searching, *publish)
    assert [line.split()[0] for line in written.splitlines()] == ["written"] * 5
    join_by_dns(searching, server)
    say(searching, "dns", "check", DOMAIN, "--server", server)
    say(searching, *publish, "--remove")
    left = json.loads(say(searching, "dns", "check", DOMAIN, "--server", server, "-o", "json", code=1))
    assert {finding["problem"] for finding in left["findings"]} == {"missing"}


def knock(peers: Peers, method: str, path: str, body: str = "") -> int:
    """Ask at milan's door from rome's network."""
    host = peers.lab.cluster("milan").host
    done = peers.lab.exec("rome", [sys.executable, "-c", ASK, method, host, path, body])
    return int(done.stdout)


WELL_KNOWN = "/api/v1/namespaces/liqo/configmaps/liqo-well-known"
REQUESTS = "/apis/discovery.liqo.io/v1/namespaces/liqo/federationrequests"


@pytest.mark.parametrize(
    ("method", "path", "body", "code"),
    [
        ("GET", WELL_KNOWN, "", 200),
        ("GET", "/api/v1/namespaces/liqo/configmaps/cluster-id", "", 404),
        ("GET", "/api/v1/namespaces/liqo/secrets/cluster-identity", "", 404),
        ("GET", f"{WELL_KNOWN}/../cluster-id", "", 404),
        ("GET", f"{WELL_KNOWN}?watch=1", "", 400),
        ("DELETE", WELL_KNOWN, "", 405),
        ("GET", REQUESTS, "", 405),
        ("POST", REQUESTS, "{}", 400),
        ("POST", REQUESTS, "200000", 413),
        ("POST", f"{REQUESTS}?dryRun=All", "{}", 400),
        ("GET", "/version", "", 404),
    ],
)
def test_the_door_lets_strangers_do_two_things(
    closed: Peers, method: str, path: str, body: str, code: int
) -> None:
    assert knock(closed, method, path, body) == code


def test_the_door_s_account_may_do_what_a_stranger_may(closed: Peers) -> None:
    def may(*who: str) -> str:
        return closed.lab.kubectl("milan", "auth", "can-i", "--list", "-n", "liqo", *who)

    def own(listing: str) -> set[str]:
        return {" ".join(line.split()) for line in listing.splitlines() if "liqo" in line}

    groups = ("system:unauthenticated", "system:authenticated")  # the second may ask what it may
    stranger = may("--as", "system:anonymous", *(f"--as-group={group}" for group in groups))
    door = may("--as", "system:serviceaccount:liqo:liqo-door")
    assert own(door) == own(stranger)
    assert len(own(door)) == 2


def test_a_door_that_is_shut_is_told(closed: Peers) -> None:
    closed.lab.stop("milan", "liqo")
    try:
        closed.apply_seed("rome", "milan")
        closed.until(lambda: closed.condition("rome", "Requested") == ("False", "AnonymousRefused"))
        told = closed.get("rome", "fc", NAME)["status"]["conditions"]
        message = next(c["message"] for c in told if c["type"] == "Requested")
        assert "no door answers at https://" in message
    finally:
        closed.lab.start("milan")
    closed.until(lambda: closed.is_ready("rome"))
