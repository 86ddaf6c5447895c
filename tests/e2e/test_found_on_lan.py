"""Found on the LAN and entered by hand, in both orders, and joined by itself: on real clusters with real multicast."""

from collections.abc import Iterator

import pytest

from e2e_peers import Peers
from liqo.app.demo import NAME
from liqo.app.lab import up_with_liqo
from liqo.lab.lab import Lab
from liqo.lab.pytest_plugin import Eventually, LabFactory

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def neighbours(lab_factory: LabFactory) -> Iterator[Lab]:
    """Rome and milan with Liqo and its LAN agents."""
    lab = lab_factory()
    up_with_liqo(lab, ("rome", "milan"), lan=True)
    yield lab
    lab.down()


@pytest.fixture
def near(neighbours: Lab, eventually: Eventually) -> Peers:
    """Two clusters that see each other, as they are without a person's word."""
    found = Peers(neighbours, eventually)
    for side in ("rome", "milan"):
        neighbours.kubectl(side, "delete", "fc", "--all", "--wait=false")
    found.until(lambda: is_only_found(found, "rome", "milan") and is_only_found(found, "milan", "rome"))
    return found


def is_only_found(peers: Peers, side: str, other: str) -> bool:
    (foreign,) = peers.items(side, "fc")
    return (
        foreign["metadata"]["name"] == peers.id_of(other)
        and foreign["spec"]["discoveryType"] == "LAN"
        and not foreign["spec"].get("join")
        and "deletionTimestamp" not in foreign["metadata"]
        and [s["name"] for s in foreign["status"]["sources"]] == ["lan"]
        and peers.is_clean(side)
    )


def test_found_first_and_then_entered_is_one_peering_and_one_node(near: Peers) -> None:
    near.apply_seed("rome", "milan")
    near.until(lambda: near.is_ready("rome"))
    near.until(lambda: len(near.items("rome", "fc")) == 1)
    (foreign,) = near.items("rome", "fc")
    assert foreign["metadata"]["name"] == NAME
    near.until(lambda: [s["name"] for s in near.get("rome", "fc", NAME)["status"]["sources"]] == ["lan"])
    assert len(near.virtual_nodes("rome")) == 1
    assert len(near.items("milan", "federationrequests", "-n", "liqo")) == 1


def test_entered_first_and_then_found_is_one_peering_and_one_node(near: Peers) -> None:
    near.configure("rome", "discoveryConfig", enableDiscovery=False)
    try:
        near.until(lambda: near.items("rome", "fc") == [])
        near.apply_seed("rome", "milan")
        near.until(lambda: near.is_ready("rome"))
    finally:
        near.configure("rome", "discoveryConfig", enableDiscovery=True)
    near.until(lambda: near.condition("rome", "Discovered") == ("True", "Found"))
    assert len(near.items("rome", "fc")) == 1
    assert len(near.virtual_nodes("rome")) == 1
    near.until(lambda: near.is_ready("rome"))


def test_joined_where_it_was_found_and_then_entered_is_one_peering_and_one_node(near: Peers) -> None:
    name = near.id_of("milan")
    near.lab.kubectl("rome", "patch", "fc", name, "--type", "merge", "-p", '{"spec":{"join":true}}')
    near.until(lambda: near.is_ready("rome"))
    near.apply_seed("rome", "milan")
    near.until(lambda: near.condition("rome", "Requested") == ("False", "DuplicateClusterID"))
    assert len(near.virtual_nodes("rome")) == 1
    near.until(lambda: near.is_ready("rome"))
    assert len(near.items("milan", "federationrequests", "-n", "liqo")) == 1


def test_the_autojoin_rules_join_what_is_found_from_then_on(near: Peers) -> None:
    near.configure("rome", "discoveryConfig", autojoinUntrusted=True)
    try:
        (known,) = near.items("rome", "fc")
        assert known["spec"].get("join") is False
        near.lab.kubectl("rome", "delete", "fc", known["metadata"]["name"])
        near.until(lambda: near.is_ready("rome"))
    finally:
        near.configure("rome", "discoveryConfig", autojoinUntrusted=False)


def test_a_joined_one_that_leaves_the_lan_stays_joined(near: Peers) -> None:
    name = near.id_of("milan")
    near.lab.kubectl("rome", "patch", "fc", name, "--type", "merge", "-p", '{"spec":{"join":true}}')
    near.until(lambda: near.is_ready("rome"))
    near.configure("milan", "discoveryConfig", enableAdvertisement=False)
    try:

        def lost() -> bool:
            conditions = near.get("rome", "fc", name)["status"]["conditions"]
            return any(
                (c["type"], c["status"], c["reason"]) == ("Discovered", "False", "Lost") for c in conditions
            )

        near.until(lost)
        near.until(lambda: near.is_ready("rome"))
    finally:
        near.configure("milan", "discoveryConfig", enableAdvertisement=True)
