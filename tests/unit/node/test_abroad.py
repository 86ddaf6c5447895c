"""Where pods on foreign clusters may be: which addresses home believes, and of whom."""

from datetime import UTC, datetime

import pytest

from liqo.api.foreign_cluster import ForeignCluster
from liqo.api.meta import Wire
from liqo.app.stores import make_stores
from liqo.node.abroad import Abroad, Place
from liqo.node.networks import Claim, claim_of

MILAN, PARIS = "b" * 32, "c" * 32
SHOP = {"shop": Place(remote="shop-a")}
OLD, NEW = "2026-01-01T00:00:00+00:00", "2026-02-01T00:00:00+00:00"
TOLD = Claim(["10.129.0.0/16"], since=OLD)


@pytest.fixture
def abroad() -> Abroad:
    nodes = make_stores().nodes
    nodes.replace([forge_node("rome-1", "10.128.1.0/24", "192.0.2.10")], "1")
    return Abroad(nodes, lambda: ["10.190.0.0/16", "198.51.100.1", "rome.example.com"])


def forge_node(name: str, cidr: str, address: str) -> Wire:
    return {
        "metadata": {"name": name, "resourceVersion": "1"},
        "spec": {"podCIDRs": [cidr]},
        "status": {"addresses": [{"type": "InternalIP", "address": address}]},
    }


def test_an_address_counts_inside_what_its_cluster_told(abroad: Abroad) -> None:
    abroad.told(MILAN, SHOP, TOLD)
    assert abroad.is_pod_address(MILAN, "10.129.7.4")
    assert not abroad.is_pod_address(MILAN, "10.130.7.4")
    assert not abroad.is_pod_address(PARIS, "10.129.7.4")
    assert abroad.refused(MILAN) == []


@pytest.mark.parametrize(
    "told",
    [
        [],
        ["10.128.0.0/16"],  # our pods
        ["192.0.2.0/24"],  # our node
        ["192.0.2.64/28"],  # a machine beside our node
        ["10.190.0.0/16"],  # our Services
        ["10.190.7.0/24"],  # some of our Services
        ["198.51.100.0/24"],  # our API server
        ["0.0.0.0/0"],
        ["10.0.0.0/7", "169.254.0.0/16", "nonsense"],
    ],
)
def test_of_a_cluster_that_told_nothing_that_can_be_no_address_is_believed(
    abroad: Abroad, told: list[str]
) -> None:
    abroad.told(MILAN, SHOP, Claim(told))
    for address in ("10.129.7.4", "10.128.1.9", "10.190.0.10", "192.0.2.77", "198.51.100.1", "203.0.113.9"):
        assert not abroad.is_pod_address(MILAN, address)
    assert abroad.refused(MILAN) == told


def test_no_cluster_has_pods_where_an_older_one_has_whoever_tells_first(abroad: Abroad) -> None:
    abroad.told(PARIS, SHOP, Claim(["10.129.0.0/17", "10.130.0.0/16"], since=NEW))
    assert abroad.is_pod_address(PARIS, "10.129.7.4")
    assert abroad.told(MILAN, {}, TOLD) == {"shop"}
    assert abroad.is_pod_address(MILAN, "10.129.7.4")
    assert not abroad.is_pod_address(PARIS, "10.129.7.4")
    assert abroad.is_pod_address(PARIS, "10.130.7.4")
    assert abroad.refused(PARIS) == ["10.129.0.0/17"]


def test_what_a_person_entered_counts_before_whatever_others_tell(abroad: Abroad) -> None:
    abroad.told(MILAN, SHOP, Claim(["10.0.0.0/9", "10.129.0.0/16"], since=OLD))
    abroad.told(PARIS, SHOP, Claim(["10.129.0.0/16"], entered=True, since=NEW))
    assert abroad.is_pod_address(PARIS, "10.129.7.4")
    assert not abroad.is_pod_address(MILAN, "10.129.7.4")


def test_what_a_person_entered_counts_instead_of_what_the_cluster_tells() -> None:
    spec = {"clusterID": MILAN, "podCIDRs": ["10.129.0.0/16"]}
    at = datetime(2026, 1, 1, tzinfo=UTC)
    wire = {"metadata": {"name": "milan", "creationTimestamp": at.isoformat()}, "spec": spec}
    assert claim_of(ForeignCluster.parse(wire), ["10.0.0.0/8"]) == Claim(["10.129.0.0/16"], True, OLD)
    wire["spec"] = {"clusterID": MILAN}
    assert claim_of(ForeignCluster.parse(wire), ["10.130.0.0/16"]) == Claim(["10.130.0.0/16"], since=OLD)


def test_a_person_may_enter_what_is_beside_our_nodes_but_not_our_nodes(abroad: Abroad) -> None:
    abroad.told(MILAN, SHOP, Claim(["192.0.2.64/28", "192.0.2.0/28"], entered=True))
    assert abroad.is_pod_address(MILAN, "192.0.2.77")
    assert abroad.refused(MILAN) == ["192.0.2.0/28"]


def test_a_network_is_free_again_once_its_cluster_is_gone(abroad: Abroad) -> None:
    abroad.told(MILAN, SHOP, TOLD)
    later = Claim(TOLD.cidrs, since=NEW)
    abroad.told(PARIS, SHOP, later)
    abroad.forget(MILAN)
    abroad.told(PARIS, SHOP, later)
    assert abroad.is_pod_address(PARIS, "10.129.7.4")
    assert abroad.remotes("shop") == [(PARIS, "shop-a")]


def test_home_s_own_pods_and_nodes_are_looked_at_each_time(abroad: Abroad) -> None:
    abroad.told(MILAN, SHOP, TOLD)
    abroad.nodes.put(forge_node("rome-2", "10.129.9.0/24", "192.0.2.11") | {})
    assert abroad.told(MILAN, SHOP, TOLD) == {"shop"}
    assert not abroad.is_pod_address(MILAN, "10.129.7.4")


def test_news_are_the_namespaces_whose_place_is_another(abroad: Abroad) -> None:
    assert abroad.told(MILAN, SHOP, TOLD) == {"shop"}
    assert abroad.told(MILAN, SHOP, TOLD) == set()
    assert abroad.told(MILAN, {}, TOLD) == {"shop"}
    assert abroad.homes_of("shop-a") == {}


def test_two_clusters_may_have_a_namespace_of_one_name_for_ours(abroad: Abroad) -> None:
    abroad.told(MILAN, SHOP, TOLD)
    abroad.told(PARIS, SHOP, Claim())
    assert abroad.homes_of("shop-a") == {MILAN: "shop", PARIS: "shop"}
