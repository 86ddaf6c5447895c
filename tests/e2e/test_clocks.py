"""The clock of one controller is wrong by ten minutes while a peering carries on."""

from typing import Any

import pytest

from e2e_peers import Peers, liqo

pytestmark = [pytest.mark.lab, pytest.mark.seconds(240)]

WRONG_SECONDS = 600.0


def offered(peers: Peers) -> Any:
    (node,) = peers.virtual_nodes("rome")
    return node["status"]["allocatable"]["cpu"]


def until_other(peers: Peers, before: Any) -> None:
    peers.until(lambda: offered(peers) != before)


def requests(peers: Peers) -> list[str]:
    return [r["metadata"]["uid"] for r in peers.items("milan", "fr", "-n", "liqo")]


@pytest.mark.parametrize("side", ["rome", "milan"])
def test_a_peering_that_runs_goes_on_beside_a_wrong_clock(peers: Peers, side: str) -> None:
    peers.apply_seed("rome", "milan")
    peers.until(lambda: peers.is_ready("rome"))
    asked = requests(peers)
    try:
        for share, ahead in (("20", WRONG_SECONDS), ("10", -WRONG_SECONDS), ("30", 0.0)):
            before = offered(peers)
            assert peers.lab.skew(side, ahead)
            assert liqo(peers, "milan", "share", share).returncode == 0
            until_other(peers, before)  # word goes to and fro as ever
            peers.until(lambda: peers.is_ready("rome"))
            assert requests(peers) == asked
    finally:
        peers.lab.skew(side, 0.0)
        liqo(peers, "milan", "share", "30")
