"""Tokens are renewed and handed over, lifetime after lifetime, while a peering carries on."""

from collections.abc import Iterator
from typing import Any

import pytest

from e2e_proxied import Behind

pytestmark = [pytest.mark.lab, pytest.mark.long]

SHORT_SECONDS = 30  # of a token that is signed anew on its way
LEAST_SECONDS = 600  # the shortest that an API server issues
LIFETIMES = 5


@pytest.fixture
def apart(behind: Behind) -> Iterator[Behind]:
    behind.peers.part()
    yield behind
    behind.tell(seconds=0, asked=0)


def join(behind: Behind) -> tuple[str, Any]:
    """Have rome join milan; return the request's uid, and since when the node is Ready."""
    peers = behind.peers
    peers.lab.kubectl("rome", "apply", "-f", "-", text=behind.manifest())
    peers.until(lambda: peers.is_ready("rome"))
    return standing(behind)


def standing(behind: Behind) -> tuple[str, Any]:
    (request,) = behind.peers.items("milan", "fr", "-n", "liqo")
    (node,) = behind.peers.virtual_nodes("rome")
    ready = next(c for c in node["status"]["conditions"] if c["type"] == "Ready")
    return request["metadata"]["uid"], (ready["status"], ready["lastTransitionTime"])


def until_renewed(behind: Behind, times: int, seconds: float) -> None:
    """Wait until both sides have handed over and taken so many further tokens."""
    taken: tuple[set[str], set[str]] = set(), set()

    def look() -> bool:
        (offer,) = behind.peers.items("rome", "advertisements", "-n", "liqo")
        taken[0].add(offer["status"]["tokenSeen"])  # foreign's, in use at home
        taken[1].add(offer["spec"]["tokenSeen"])  # home's, in use on foreign
        return min(map(len, taken)) > times

    behind.peers.until(look, seconds)


def test_a_peering_outlives_many_lifetimes_of_its_tokens(apart: Behind) -> None:
    apart.tell(seconds=SHORT_SECONDS)
    before = join(apart)
    until_renewed(apart, LIFETIMES, 2 * LIFETIMES * SHORT_SECONDS)
    assert standing(apart) == before


def test_a_peering_outlives_the_shortest_token_that_an_api_server_issues(apart: Behind) -> None:
    apart.tell(asked=LEAST_SECONDS)
    before = join(apart)
    until_renewed(apart, 2, 1.9 * LEAST_SECONDS)  # the second after 800 s: the first one is over by then
    assert standing(apart) == before
