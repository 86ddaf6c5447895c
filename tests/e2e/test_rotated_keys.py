"""The key that others seal to is rotated on both sides while a peering carries on."""

from functools import partial
from typing import Any

import pytest

from e2e_peers import Peers
from liqo.adapters.clock import SystemClock
from liqo.identity.document import parse_document
from liqo.identity.keys import thumbprint
from liqo.lab.lab import LIQO

pytestmark = [pytest.mark.lab, pytest.mark.seconds(240)]


def sealed_to(peers: Peers, side: str) -> str:
    """Return the thumbprint of the key that a cluster's document tells others to seal to."""
    text = peers.get(side, "configmap", "liqo-well-known", "-n", "liqo")["data"]["document"]
    return thumbprint(parse_document(text, SystemClock().now()).keys.sealing)


def rotate(peers: Peers, side: str) -> None:
    """Rotate a cluster's key, and wait until both sides use what was sealed after that."""
    before, handed = sealed_to(peers, side), exchanged(peers)
    done = peers.lab.exec(side, ["liqo", "identity", "rotate", "--force"])
    assert done.returncode == 0, done.stderr
    peers.until(lambda: sealed_to(peers, side) != before)

    def anew() -> bool:
        return all(new and new != old for new, old in zip(exchanged(peers), handed, strict=True))

    peers.until(anew)


def exchanged(peers: Peers) -> tuple[str, str]:
    """Return the digests of the credentials that each side has of the other and uses; "" while it does not."""
    (offer,) = peers.items("rome", "advertisements", "-n", "liqo")
    (home,) = (f for f in peers.items("milan", "fc") if f.get("status", {}).get("incoming"))
    (foreign,) = peers.items("rome", "fc")
    theirs, ours = home["status"]["incoming"]["tokenDigest"], foreign["status"]["outgoing"]["tokenDigest"]
    return (
        theirs if offer.get("status", {}).get("tokenSeen") == theirs else "",
        ours if offer["spec"].get("tokenSeen") == ours else "",
    )


def ready_since(peers: Peers) -> Any:
    (node,) = peers.virtual_nodes("rome")
    return next(c for c in node["status"]["conditions"] if c["type"] == "Ready")["lastTransitionTime"]


@pytest.mark.parametrize("side", ["rome", "milan"])
def test_a_sealing_key_is_rotated_twice_and_nobody_notices(peers: Peers, side: str) -> None:
    peers.apply_seed("rome", "milan")
    peers.until(partial(peers.is_ready, "rome"))
    since = ready_since(peers)
    rotate(peers, side)
    rotate(peers, side)
    assert ready_since(peers) == since
    for each in ("rome", "milan"):  # all that is stored can still be opened
        peers.lab.stop(each, LIQO)
        peers.lab.start(each, LIQO)
    peers.until(partial(peers.is_ready, "rome"))
    assert len(peers.items("milan", "fr", "-n", "liqo")) == 1
    said = peers.lab.exec(side, ["liqo", "identity", "rotate"])
    assert said.returncode != 0
    assert "--force" in said.stderr
