"""Free resources are exact; offers follow the formula."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from liqo.api.pod_requests import requests
from liqo.api.quantity import UNIT, format_amounts, parse_amounts
from liqo.sharing.capacity import common_labels, free
from liqo.sharing.offer import Tenant, matters, offers

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def node(
    name: str, *, ready: str = "True", labels: dict[str, str] | None = None, **spec: Any
) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "labels": labels or {}},
        "spec": spec,
        "status": {
            "allocatable": {"cpu": "4", "memory": "8Gi", "pods": "110"},
            "conditions": [{"type": "Ready", "status": ready}],
        },
    }


def pod(
    name: str, on: str, namespace: str = "default", phase: str = "Running", **requested: str
) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"nodeName": on, "containers": [{"resources": {"requests": requested}}]},
        "status": {"phase": phase},
    }


def test_only_real_ready_schedulable_nodes_count() -> None:
    nodes = [
        node("real"),
        node("virtual", labels={"liqo.io/type": "virtual-node"}),
        node("broken", ready="False"),
        node("cordoned", unschedulable=True),
    ]
    assert format_amounts(free(nodes, [], frozenset())) == {"cpu": "4", "memory": "8Gi", "pods": "110"}


def test_only_labels_that_all_nodes_that_count_share_are_told() -> None:
    shared = {"kubernetes.io/os": "linux", "foreign.liqo.io/tier": "gold"}
    nodes = [
        node("a", labels={**shared, "kubernetes.io/arch": "amd64", "secret": "1"}),
        node("b", labels={**shared, "kubernetes.io/arch": "arm64", "topology.kubernetes.io/region": "x"}),
        node("broken", ready="False", labels={"kubernetes.io/os": "windows"}),
    ]
    assert common_labels(nodes) == shared
    assert common_labels(nodes[2:]) == {}


def test_pods_of_tenants_finished_pods_and_pods_elsewhere_are_not_counted() -> None:
    pods = [
        pod("a", "real", cpu="1", memory="1Gi"),
        pod("b", "real", namespace="liqo-tenant-x", cpu="1"),
        pod("c", "real", phase="Succeeded", cpu="1"),
        pod("d", "elsewhere", cpu="1"),
    ]
    found = free([node("real")], pods, frozenset({"liqo-tenant-x"}))
    assert format_amounts(found) == {"cpu": "3", "memory": "7Gi", "pods": "109"}


def test_a_pod_asks_for_the_larger_of_its_containers_and_each_init_container() -> None:
    wire = {
        "spec": {
            "containers": [{"resources": {"requests": {"cpu": "100m"}}}],
            "initContainers": [
                {"restartPolicy": "Always", "resources": {"requests": {"cpu": "50m"}}},
                {"resources": {"requests": {"cpu": "1", "memory": "64Mi"}}},
            ],
            "overhead": {"cpu": "10m"},
        }
    }
    assert format_amounts(requests(wire)) == {"cpu": "1010m", "memory": "64Mi", "pods": "1"}


def tenant(name: str, order: int, used: dict[str, str] | None = None) -> Tenant:
    return Tenant(name, NOW + timedelta(seconds=order), parse_amounts(used or {}), None)


def test_each_offer_is_a_share_of_what_those_before_it_leave() -> None:
    left = parse_amounts({"cpu": "10", "memory": "10Gi", "pods": "100"})
    found = offers(left, [tenant("second", 2), tenant("first", 1)], 30)
    assert format_amounts(found["first"]) == {"cpu": "3", "memory": "3Gi", "pods": "30"}
    assert format_amounts(found["second"]) == {"cpu": "2100m", "memory": "2150Mi", "pods": "21"}


def test_what_a_tenant_uses_beyond_its_offer_is_gone_for_the_next_one() -> None:
    left = parse_amounts({"cpu": "10"})
    found = offers(left, [tenant("first", 1, {"cpu": "8"}), tenant("second", 2)], 50)
    assert format_amounts(found["first"]) == {"cpu": "5", "memory": "0", "pods": "0"}
    assert format_amounts(found["second"]) == {"cpu": "1", "memory": "0", "pods": "0"}


@given(
    st.dictionaries(st.sampled_from(["cpu", "memory", "pods"]), st.integers(-(10**15), 10**21)),
    st.integers(0, 100),
    st.integers(1, 6),
)
def test_offers_are_never_negative_and_never_more_than_what_is_free(
    left: dict[str, int], percentage: int, count: int
) -> None:
    found = offers(left, [tenant(f"t{i}", i) for i in range(count)], percentage)
    for name, amount in left.items():
        given_away = sum(o.get(name, 0) for o in found.values())
        assert 0 <= given_away <= max(amount, 0)


def test_small_changes_do_not_matter_and_a_whole_pod_does() -> None:
    old = parse_amounts({"cpu": "10", "pods": "100"})
    assert not matters(old, {**old, "cpu": old["cpu"] - old["cpu"] // 20})
    assert matters(old, {**old, "cpu": old["cpu"] - old["cpu"] // 20 - UNIT})
    assert matters(old, {**old, "pods": old["pods"] - UNIT})
    assert matters(old, {"cpu": old["cpu"]})
    assert matters(None, {})
