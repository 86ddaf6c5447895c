"""What a person deletes or edits by hand of a running peering is there again, once."""

import json
from collections.abc import Callable

import pytest

from e2e_peers import Peers
from liqo.api.names import TENANT_SERVICE_ACCOUNT, tenant_namespace
from liqo.app.demo import NAME

pytestmark = [pytest.mark.lab, pytest.mark.long]

RECOVERED_SECONDS = (
    150.0  # an account that is gone ends as a token does that is refused: said twice, and believed
)
ONE_OF = ("nodes -l liqo.io/type=virtual-node", "adv -n liqo", "fc", "sa -n liqo -l liqo.io/cluster-id")
ONE_THERE = ("fr -n liqo", "namespaces -l liqo.io/cluster-id", "fc", "sa -A -l liqo.io/cluster-id")


def delete(side: str, kind: str, namespace: str, name: Callable[[Peers], str]) -> Callable[[Peers], None]:
    def by_hand(peers: Peers) -> None:
        where = tenant_namespace(peers.id_of("rome")) if namespace == "tenant" else namespace
        peers.lab.kubectl(side, "delete", kind, name(peers), "-n", where, "--wait=false")

    return by_hand


def the_request(peers: Peers) -> str:
    (request,) = peers.items("milan", "fr", "-n", "liqo")
    return str(request["metadata"]["name"])


def point_elsewhere(peers: Peers) -> None:
    patch = json.dumps({"spec": {"apiUrl": f"https://{peers.nobody()}:6443"}})
    peers.lab.kubectl("rome", "patch", "fc", NAME, "--type", "merge", "-p", patch)
    back = json.dumps({"spec": {"apiUrl": peers.lab.cluster("milan").api_url}})
    peers.lab.kubectl("rome", "patch", "fc", NAME, "--type", "merge", "-p", back)


DONE = {
    "the Advertisement at home": delete("rome", "adv", "liqo", lambda p: p.id_of("milan")),
    "the request at foreign": delete("milan", "fr", "liqo", the_request),
    "foreign's account at home": delete("rome", "sa", "liqo", lambda p: f"peer-{p.id_of('milan')}"),
    "home's account at foreign": delete("milan", "sa", "tenant", lambda _: TENANT_SERVICE_ACCOUNT),
    "home's ForeignCluster at foreign": delete("milan", "fc", "liqo", lambda p: p.id_of("rome")),
    "foreign's address, and put right again": point_elsewhere,
}


@pytest.mark.parametrize("what", DONE)
def test_a_peering_recovers(peers: Peers, what: str) -> None:
    peers.apply_seed("rome", "milan")
    peers.until(lambda: peers.is_ready("rome"))
    before = uids(peers)
    DONE[what](peers)

    def is_as_it_was() -> bool:
        for side, kinds in (("rome", ONE_OF), ("milan", ONE_THERE)):
            for kind in kinds:
                assert len(peers.items(side, *kind.split())) == 1, kind
        (advertisement,) = peers.items("rome", "adv", "-n", "liqo")
        assert advertisement["spec"]["answers"] == the_request(peers).rsplit("-", 1)[1]
        assert what.startswith("foreign's address") or uids(peers) != before  # it was seen to be gone
        return peers.is_ready("rome") and peers.condition("rome", "NodeReady") == ("True", "Ready")

    peers.until(is_as_it_was, RECOVERED_SECONDS)


def uids(peers: Peers) -> set[str]:
    """Return the uids of all that a peering makes."""
    found = [peers.items("rome", *kind.split()) for kind in ONE_OF]
    found += [peers.items("milan", *kind.split()) for kind in ONE_THERE]
    return {str(o["metadata"]["uid"]) for objects in found for o in objects}
