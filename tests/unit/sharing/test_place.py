"""What a home cluster's namespace is here, field by field."""

from ipaddress import ip_address, ip_network

import pytest

from liqo.api.meta import Wire
from liqo.api.quantity import parse_amounts
from liqo.sharing.place import (
    forge_limits,
    forge_network,
    forge_open_network,
    forge_place,
    forge_quota,
    is_place,
    refusal,
)

ID = "a" * 32
REMOTE = f"shop-{ID}"
NODES = ("203.0.113.7", "2001:db8::7", "10.0.0.7", "api.example.com")


def reaches(policy: Wire, address: str) -> bool:
    """Return whether pods under a network policy reach an address outside the cluster's namespaces, on any port."""
    target = ip_address(address)
    for rule in policy["spec"]["egress"]:
        if "ports" in rule:
            continue
        if "to" not in rule:
            return True
        for block in (to["ipBlock"] for to in rule["to"] if "ipBlock" in to):
            closed = (target in ip_network(cidr) for cidr in block["except"])
            if target in ip_network(block["cidr"]) and not any(closed):
                return True
    return False


@pytest.mark.parametrize("address", ["192.0.2.1", "203.0.113.8", "8.8.8.8", "2001:db8::8"])
def test_pods_reach_the_world(address: str) -> None:
    assert reaches(forge_network(REMOTE, ID, NODES), address)


@pytest.mark.parametrize(
    "address",
    [
        "10.96.0.1",  # where the Service of an API server is
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "fd00::1",
        "fe80::1",
        "203.0.113.7",
        "2001:db8::7",
    ],
)
def test_pods_reach_nothing_private_no_node_and_no_api_server(address: str) -> None:
    assert not reaches(forge_network(REMOTE, ID, NODES), address)
    assert reaches(forge_open_network(REMOTE, ID), address)


def test_pods_reach_those_of_their_own_cluster_and_names_everywhere() -> None:
    spec = forge_network(REMOTE, ID, NODES)["spec"]
    own, names, world = spec["egress"]
    assert spec["podSelector"] == {}
    assert spec["policyTypes"] == ["Egress"]
    assert own == {"to": [{"namespaceSelector": {"matchLabels": {"liqo.io/cluster-id": ID}}}]}
    assert names == {"ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]}
    assert all(set(to) == {"ipBlock"} for to in world["to"])


def test_a_network_policy_is_one_that_an_api_server_takes() -> None:
    """Each exception is inside its block, and each block is said once."""
    _, _, world = forge_network(REMOTE, ID, [*NODES, *NODES, "::ffff:10.0.0.1"])["spec"]["egress"]
    for block in (to["ipBlock"] for to in world["to"]):
        assert len(set(block["except"])) == len(block["except"])
        for cidr in block["except"]:
            assert ip_network(cidr).version == ip_network(block["cidr"]).version
            assert ip_network(cidr) != ip_network(block["cidr"])


def test_the_same_nodes_in_another_order_give_the_same_policy() -> None:
    assert forge_network(REMOTE, ID, NODES) == forge_network(REMOTE, ID, reversed(NODES))


def test_a_quota_says_what_pods_ask_for_and_bounds_what_is_stored() -> None:
    amounts = parse_amounts({"cpu": "1500m", "memory": "2Gi", "pods": "10", "nvidia.com/gpu": "1"})
    hard = forge_quota(REMOTE, ID, amounts)["spec"]["hard"]
    asked = {name: text for name, text in hard.items() if name == "pods" or name.startswith("requests.")}
    assert parse_amounts({name.removeprefix("requests."): text for name, text in asked.items()}) == amounts
    stored = {name: text for name, text in hard.items() if name not in asked}
    assert stored == {
        "count/pods": "20",
        "configmaps": "500",
        "secrets": "500",
        "services": "100",
        "services.loadbalancers": "0",
        "services.nodeports": "0",
        "count/endpointslices.discovery.k8s.io": "500",
        "persistentvolumeclaims": "0",
    }


def test_who_asks_for_nothing_asks_for_0() -> None:
    assert forge_limits(REMOTE, ID)["spec"]["limits"] == [
        {"type": "Container", "defaultRequest": {"cpu": "0", "memory": "0"}}
    ]


def test_a_place_says_whose_it_is_and_keeps_pods_off_the_host() -> None:
    place = forge_place("shop", REMOTE, ID)
    assert place["metadata"]["name"] == REMOTE
    assert place["metadata"]["labels"] == {
        "app.kubernetes.io/managed-by": "liqo",
        "liqo.io/cluster-id": ID,
        "liqo.io/tenant": "true",
        "liqo.io/home-namespace": "shop",
        "pod-security.kubernetes.io/enforce": "baseline",
    }
    assert is_place(place, "shop", ID)
    assert not is_place(place, "shop", "b" * 32)
    assert not is_place(place, "bank", ID)
    assert not is_place({"metadata": {"name": REMOTE}}, "shop", ID)


@pytest.mark.parametrize(
    ("name", "taken"),
    [
        ("shop", True),
        ("kube", True),
        ("liqo", True),
        ("kube-system", False),
        ("kube-public", False),
        ("liqo-tenant", False),
        ("liqo-tenant-x", False),
    ],
)
def test_names_of_the_system_s_are_not_taken(name: str, taken: bool) -> None:
    assert (refusal(name) is None) == taken
