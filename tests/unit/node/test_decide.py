"""The virtual node: when there is one, what is believed, and what its status says."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from liqo.api.advertisement import Advertisement
from liqo.api.foreign_cluster import ForeignCluster
from liqo.api.quantity import parse_amounts
from liqo.api.reasons import Reason
from liqo.node.capacity import believed, believed_labels, limit_of
from liqo.node.decide import (
    Address,
    Readiness,
    forge_conditions,
    forge_labels,
    forge_metadata_patch,
    forge_status_patch,
    readiness,
    wanted,
)
from liqo.runtime.ports import Cluster, Health, Session

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
READY = Readiness(True, Reason.READY)
HERE = Address("192.0.2.1", 10250)
AWAY = Readiness(False, Reason.FOREIGN_AWAY, "no route")


def foreign(phase: str | None, *, join: bool = True) -> ForeignCluster:
    return ForeignCluster.parse(
        {
            "metadata": {"name": "milan"},
            "spec": {"clusterID": "a" * 32, "join": join},
            "status": {"outgoing": {"phase": phase}} if phase else {},
        }
    )


@pytest.mark.parametrize(
    ("phase", "there", "expected"),
    [
        ("Established", False, True),
        ("Requested", False, False),
        ("Requested", True, True),
        ("Requesting", True, True),
        ("Refused", True, False),
        ("Ending", True, False),
        (None, True, False),
    ],
)
def test_there_is_a_node_while_the_peering_stands(phase: str | None, there: bool, expected: bool) -> None:
    assert wanted(foreign(phase), counts=True, node_there=there) is expected


def test_no_node_for_what_is_not_joined_or_does_not_count() -> None:
    assert not wanted(foreign("Established", join=False), counts=True, node_there=True)
    assert not wanted(foreign("Established"), counts=False, node_there=True)


def test_only_known_positive_resources_within_the_limit_are_believed() -> None:
    offered = {
        "cpu": "3500m",
        "memory": "1Gi",
        "pods": "-5",
        "foo": "1",
        "example.com/gpu": "2500m",
        "kubernetes.io/batch": "7",
        "sub.kubernetes.io/x": "7",
    }
    limit = parse_amounts({"cpu": "2", "memory": "100Gi"})
    assert believed(offered, limit) == {"cpu": "2", "example.com/gpu": "2", "memory": "1Gi"}


def test_the_limit_is_the_cluster_s_then_the_config_s_then_ten_times_home() -> None:
    own = parse_amounts({"cpu": "4"})
    assert limit_of({"cpu": "1"}, {"cpu": "2"}, own) == parse_amounts({"cpu": "1"})
    assert limit_of({}, {"cpu": "2"}, own) == parse_amounts({"cpu": "2"})
    assert limit_of({}, {}, own) == parse_amounts({"cpu": "40"})


def test_a_foreign_cluster_sets_no_label_that_means_something_here() -> None:
    offered = {
        "kubernetes.io/arch": "arm64",
        "foreign.liqo.io/color": "red",
        "foreign.liqo.io/bad": "not a value!",
        "node-role.kubernetes.io/control-plane": "",
        "liqo.io/type": "real",
    }
    assert believed_labels(offered) == {"foreign.liqo.io/color": "red", "kubernetes.io/arch": "arm64"}


def offer(**labels: str) -> Advertisement:
    spec = {
        "protocol": 1,
        "clusterID": "a" * 32,
        "clusterName": "milan",
        "phase": "Offered",
        "answers": "j",
        "labels": labels,
    }
    return Advertisement.parse({"metadata": {"name": "a" * 32}, "spec": spec})


def named(name: str, **labels: str) -> ForeignCluster:
    return ForeignCluster.parse(
        {"metadata": {"name": name, "labels": labels}, "spec": {"clusterID": "a" * 32, "join": True}}
    )


def test_a_node_says_which_foreign_cluster_it_is_and_who_joined_it() -> None:
    by_person = forge_labels("liqo-milan-aaaaaa", named("milan"), offer())
    assert by_person["liqo.io/foreign-cluster"] == "milan"
    assert "liqo.io/autojoined" not in by_person
    by_rule = forge_labels("liqo-milan-aaaaaa", named("milan", **{"liqo.io/autojoined": "true"}), offer())
    assert by_rule["liqo.io/autojoined"] == "true"
    assert "liqo.io/foreign-cluster" not in forge_labels("n", named("m" * 64), offer())


def test_labels_follow_the_offer_and_the_foreign_cluster_and_people_s_own_stay() -> None:
    before = forge_labels(
        "n", named("milan", **{"liqo.io/autojoined": "true"}), offer(**{"foreign.liqo.io/gpu": "a"})
    )
    noted = {"metrics.k8s.io/resource-metrics-path": "/metrics/resource/n"}
    wire = {"metadata": {"name": "n", "labels": {**before, "mine": "stays"}, "annotations": noted}}
    assert forge_metadata_patch(wire, before) is None
    after = forge_labels("n", named("milan"), offer(**{"kubernetes.io/arch": "arm64"}))
    patch = forge_metadata_patch(wire, after)
    assert patch == {
        "metadata": {
            "labels": {"kubernetes.io/arch": "arm64", "foreign.liqo.io/gpu": None, "liqo.io/autojoined": None}
        }
    }
    before_that = {"metadata": {**wire["metadata"], "annotations": {"mine": "stays"}}}
    assert forge_metadata_patch(before_that, before) == {"metadata": {"annotations": noted}}


def node(capacity: dict[str, str], ready: Readiness, at: datetime) -> dict[str, Any]:
    return {
        "status": {
            "capacity": capacity,
            "allocatable": capacity,
            "conditions": forge_conditions(ready, at),
            **HERE.forge(),
        }
    }


def test_a_node_follows_the_kubelet_endpoint_and_keeps_the_last_one_known() -> None:
    before = node({"cpu": "1"}, READY, NOW)
    moved = forge_status_patch(before, {"cpu": "1"}, Address("192.0.2.2", 10251), READY, NOW)
    assert moved == {
        "status": {
            "addresses": [{"type": "InternalIP", "address": "192.0.2.2"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10251}},
        }
    }
    assert forge_status_patch(before, {"cpu": "1"}, Address(), READY, NOW) is None


def test_nothing_is_written_while_nothing_changes() -> None:
    assert (
        forge_status_patch(
            node({"cpu": "1"}, READY, NOW), {"cpu": "1"}, HERE, READY, NOW + timedelta(hours=1)
        )
        is None
    )


def test_a_resource_that_is_offered_no_more_goes() -> None:
    patch = forge_status_patch(node({"cpu": "1", "pods": "5"}, READY, NOW), {"cpu": "2"}, HERE, READY, NOW)
    assert patch is not None
    assert patch["status"]["capacity"] == {"cpu": "2", "pods": None}
    assert "conditions" not in patch["status"]


def test_only_what_changes_gets_a_new_transition_time() -> None:
    later = NOW + timedelta(hours=1)
    patch = forge_status_patch(node({"cpu": "1"}, READY, NOW), {"cpu": "1"}, HERE, AWAY, later)
    assert patch is not None
    times = {c["type"]: c["lastTransitionTime"] for c in patch["status"]["conditions"]}
    assert times["Ready"] == "2026-11-23T13:00:00Z"
    assert times["MemoryPressure"] == "2026-11-23T12:00:00Z"
    ready = next(c for c in patch["status"]["conditions"] if c["type"] == "Ready")
    assert (ready["status"], ready["reason"], ready["message"]) == ("False", "ForeignAway", "no route")


@pytest.mark.parametrize(
    ("health", "ready", "reason"),
    [
        (Health.READY, True, Reason.READY),
        (Health.AWAY, False, Reason.FOREIGN_AWAY),
        (Health.EXPIRED, False, Reason.EXPIRED),
        (Health.REFUSED, False, Reason.FOREIGN_REFUSED),
    ],
)
def test_readiness_is_the_connection_s_health(health: Health, ready: bool, reason: Reason) -> None:
    nobody: Cluster = None  # type: ignore[assignment]  # never called
    session = Session(
        cluster=nobody,
        namespace="x",
        server="https://10.0.0.2",
        health=health,
        since=NOW,
        heard=NOW,
        failures=0,
        message="why",
    )
    found = readiness(session)
    assert (found.ready, found.reason) == (ready, reason)
