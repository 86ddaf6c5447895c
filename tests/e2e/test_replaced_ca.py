"""The CA of either cluster is replaced while a peering carries on: in steps nobody notices, at once it recovers."""

import base64
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import yaml

from e2e_proxied import FRONTS, Behind, issue
from liqo.adapters.clock import SystemClock
from liqo.identity.document import parse_document
from liqo.identity.trust import parse_bundle
from liqo.lab.pki import Pair, load_pair, make_ca

pytestmark = [pytest.mark.lab, pytest.mark.seconds(400)]

RECOVERED_SECONDS = 180.0  # a certificate that is not believed is one for a minute before it is asked again


@pytest.fixture
def joined(behind: Behind) -> Iterator[Behind]:
    """The two, rome having joined milan, each with its first CA."""
    peers = behind.peers
    peers.lab.kubectl("rome", "apply", "-f", "-", text=behind.manifest())
    peers.until(lambda: peers.is_ready("rome"))
    yield behind
    peers.part()
    for side in FRONTS:
        own = load_pair(peers.lab.cluster(side).pki, "ca")
        show(behind, side, own)
        believe(behind, side, own)
        until_published(behind, side, [own])


def believe(behind: Behind, side: str, *cas: Pair) -> None:
    """Have a controller believe these CAs, as a pod's mount or a kubeconfig tells it."""
    file = behind.peers.lab.cluster(side).controller_kubeconfig
    config = yaml.safe_load(file.read_text())
    pem = "".join(ca.certificate_pem for ca in cas)
    config["clusters"][0]["cluster"]["certificate-authority-data"] = base64.b64encode(pem.encode()).decode()
    fresh = file.with_suffix(".new")
    fresh.write_text(yaml.safe_dump(config))
    fresh.replace(file)


def show(behind: Behind, side: str, ca: Pair) -> None:
    """Have an API server show a certificate of that CA."""
    issue(behind.peers.lab.cluster(side), behind.fronts[side], behind.folder, ca)
    behind.tell(certificates=True)


def published(behind: Behind, side: str) -> list[int]:
    """Return the serial numbers of the CAs in a cluster's well-known document."""
    text = behind.peers.get(side, "configmap", "liqo-well-known", "-n", "liqo")["data"]["document"]
    document = parse_document(text, SystemClock().now())
    return [c.serial_number for c in parse_bundle(document.ca_bundle)]


def handed_over(behind: Behind, side: str) -> str:
    """Return the digest of how a cluster is reached, once the other uses the token that came with it; else ""."""
    peers = behind.peers
    (offer,) = peers.items("rome", "advertisements", "-n", "liqo")
    if side == "rome":
        (foreign,) = peers.items("rome", "fc")
        out = foreign["status"]["outgoing"]
        good = out["phase"] == "Established" and offer["spec"].get("tokenSeen") == out["tokenDigest"]
        return str(out["access"]) if good else ""
    (home,) = peers.items("milan", "fc")
    incoming = home["status"]["incoming"]
    good = offer["status"].get("tokenSeen") == incoming["tokenDigest"]
    return str(incoming["access"]) if good else ""


def until_published(behind: Behind, side: str, cas: Sequence[Pair]) -> None:
    serials = [ca.certificate.serial_number for ca in cas]
    behind.peers.until(lambda: published(behind, side) == serials)


def until_handed_over(behind: Behind, side: str, before: str) -> str:
    """Wait until the other side uses another way to reach a cluster than before; return its digest."""

    def anew() -> str:
        now = handed_over(behind, side)
        return "" if now == before else now

    return str(behind.peers.until(anew, RECOVERED_SECONDS))


def ready_since(behind: Behind) -> Any:
    (node,) = behind.peers.virtual_nodes("rome")
    return next(c for c in node["status"]["conditions"] if c["type"] == "Ready")["lastTransitionTime"]


@pytest.mark.parametrize("side", list(FRONTS))
def test_a_ca_that_is_replaced_in_steps_interrupts_nothing(joined: Behind, side: str) -> None:
    peers = joined.peers
    old, new = load_pair(peers.lab.cluster(side).pki, "ca"), make_ca(f"{side} second CA")
    since, reached = ready_since(joined), handed_over(joined, side)
    for step in ([old, new], [new]):
        believe(joined, side, *step)
        until_published(joined, side, step)
        reached = until_handed_over(joined, side, reached)
        show(joined, side, new)
    peers.until(lambda: peers.is_ready("rome"))
    assert ready_since(joined) == since
    assert peers.condition("rome", "Trusted") is not None


@pytest.mark.long
@pytest.mark.parametrize("side", list(FRONTS))
def test_a_ca_that_is_replaced_at_once_is_taken_up(joined: Behind, side: str) -> None:
    peers, new = joined.peers, make_ca(f"{side} third CA")
    reached = handed_over(joined, side)
    show(joined, side, new)
    believe(joined, side, new)
    until_handed_over(joined, side, reached)
    peers.until(lambda: peers.is_ready("rome"), RECOVERED_SECONDS)
    assert len(peers.items("milan", "fr", "-n", "liqo")) == 1
