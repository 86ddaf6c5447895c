"""API servers that die in the middle of a join, and tokens that end while nobody renews them."""

import sys
import threading
from functools import partial

import pytest

from e2e_peers import Peers
from e2e_proxied import FRONTS, Behind, Point
from liqo.lab.lab import LIQO

pytestmark = [pytest.mark.lab, pytest.mark.long]

AWAY_SECONDS = 60.0  # how long a fault lasts; nothing is waited for with it
RECOVERED_SECONDS = 150.0
TOKEN_SECONDS = 20
LEEWAY_SECONDS = (
    75.0  # an API server takes a token for a minute after its end, and ten seconds more if it knows it
)
READ = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1], timeout=5).read().decode())"
ASKED = Point("create federationrequests", 1, after=True)  # rome's, at milan


@pytest.fixture
def apart(behind: Behind) -> Behind:
    """The two without any peering between them, and with tokens as they are."""
    behind.tell(seconds=0)
    for side in FRONTS:
        behind.peers.lab.start(side)
    behind.peers.part()
    return behind


def last(seconds: float) -> None:
    """Let a fault last."""
    threading.Event().wait(seconds)


def join(behind: Behind) -> None:
    behind.peers.lab.kubectl("rome", "apply", "-f", "-", text=behind.manifest())


@pytest.mark.parametrize("side", list(FRONTS))
def test_an_api_server_that_is_away_for_a_minute_while_joining(apart: Behind, side: str) -> None:
    peers = apart.peers
    apart.watch("rome", ASKED, dies=(side, "kube-apiserver"))
    join(apart)
    peers.until(lambda: apart.tell()[1])
    last(AWAY_SECONDS)
    peers.lab.start(side)
    peers.until(lambda: peers.is_ready("rome"), RECOVERED_SECONDS)


@pytest.mark.parametrize("stopped", [("rome",), ("milan",), ("rome", "milan")], ids="+".join)
def test_tokens_that_ended_while_nobody_renewed_them(apart: Behind, stopped: tuple[str, ...]) -> None:
    peers = apart.peers
    apart.tell(seconds=TOKEN_SECONDS)
    join(apart)
    peers.until(lambda: peers.is_ready("rome"))
    for side in stopped:
        peers.lab.stop(side, LIQO)
    last(TOKEN_SECONDS + LEEWAY_SECONDS)
    for side in FRONTS.keys() - stopped:
        peers.until(partial(refusals, peers, side))  # its token did end
    if "rome" not in stopped:
        peers.until(lambda: not peers.is_ready("rome"))
        peers.until(lambda: peers.condition("rome", "NodeReady") != ("True", "Ready"))
    for side in stopped:
        peers.lab.start(side, LIQO)
    peers.until(lambda: peers.is_ready("rome"), RECOVERED_SECONDS)
    assert len(peers.items("milan", "fr", "-n", "liqo")) == 1


def refusals(peers: Peers, side: str) -> float:
    """Return how often an API server said 401 to a controller, as that counts it itself."""
    url = f"http://{peers.lab.cluster(side).host}:8080/metrics"
    said = peers.lab.exec(side, [sys.executable, "-c", READ, url]).stdout
    counted = (
        line.rpartition(" ") for line in said.splitlines() if line.startswith("liqo_api_requests_total{")
    )
    return sum(float(n) for what, _, n in counted if 'code="401"' in what)
