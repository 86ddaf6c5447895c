"""Which pods the scheduler of a real cluster puts on a virtual node: those of namespaces that asked for it."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from e2e_peers import Peers
from liqo.app.demo import NAME
from liqo.lab.lab import LIQO
from offloading import HOME, part_with

pytestmark = pytest.mark.lab

ENABLED = "liqo.io/enabled=true"
EVERYTHING = [{"operator": "Exists"}]
REAL_NODES = 3
HOOKS = "mutatingwebhookconfiguration"


@dataclass
class Shop:
    """Namespaces of one test at home, which has joined another cluster."""

    peers: Peers
    made: list[str]

    def namespace(self, name: str, *labels: str) -> str:
        """Make a namespace."""
        self.made.append(name)
        self.peers.lab.kubectl(HOME, "create", "namespace", name)
        if labels:
            self.peers.lab.kubectl(HOME, "label", "namespace", name, *labels)
        return name

    def deploy(self, namespace: str, replicas: int, kind: str = "Deployment", **spec: Any) -> None:
        """Apply a workload called `web`."""
        labels = {"app": "web"}
        pod = {"containers": [{"name": "web", "image": "web:1"}], **spec}
        body: dict[str, Any] = {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        }
        if kind == "Deployment":
            body["replicas"] = replicas
        obj = {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": "web"}, "spec": body}
        self.peers.lab.kubectl(HOME, "apply", "-n", namespace, "-f", "-", text=json.dumps(obj))

    def again(self, namespace: str, count: int) -> dict[str, int]:
        """Make all pods of a namespace anew; return where they are."""
        self.peers.lab.kubectl(HOME, "scale", "deployment", "web", "--replicas=0", "-n", namespace)
        self.peers.until(lambda: not self.peers.items(HOME, "pods", "-n", namespace))
        self.peers.lab.kubectl(HOME, "scale", "deployment", "web", f"--replicas={count}", "-n", namespace)
        return self.placed(namespace, count)

    def name_clusters(self, namespace: str, names: str) -> None:
        """Say on which clusters pods of a namespace may run; "-" takes that back."""
        text = f"liqo.io/clusters{names if names == '-' else '=' + names}"
        self.peers.lab.kubectl(HOME, "annotate", "namespace", namespace, text, "--overwrite")

    def desired(self, namespace: str) -> int:
        """Return on how many nodes the DaemonSet wants a pod."""
        status = self.peers.get(HOME, "daemonset", "web", "-n", namespace)["status"]
        return int(status["desiredNumberScheduled"])

    def pods(self, namespace: str) -> list[str]:
        """Return the node of each pod, "" for one that waits."""
        found = self.peers.items(HOME, "pods", "-n", namespace)
        return sorted(p["spec"].get("nodeName", "") for p in found)

    def placed(self, namespace: str, count: int) -> dict[str, int]:
        """Return how many pods are on which node, as soon as so many are bound."""

        def look() -> Counter[str] | None:
            bound = [p["spec"].get("nodeName") for p in self.peers.items(HOME, "pods", "-n", namespace)]
            return Counter(bound) if len(bound) == count and all(bound) else None

        return dict(self.peers.until(look))

    def node(self) -> str:
        """Return the name of the virtual node."""
        (node,) = self.peers.virtual_nodes(HOME)
        return str(node["metadata"]["name"])


@pytest.fixture
def shop(peers: Peers) -> Iterator[Shop]:
    peers.apply_seed(HOME, "milan")
    peers.until(lambda: peers.is_ready(HOME))
    found = Shop(peers, [])
    yield found
    part_with(peers, *found.made)


def test_pods_of_an_enabled_namespace_spread_over_real_and_virtual_nodes_and_others_do_not(
    shop: Shop,
) -> None:
    enabled, other = shop.namespace("enabled", ENABLED), shop.namespace("other")
    for namespace in (enabled, other):
        shop.deploy(namespace, 20)
    placed, elsewhere = shop.placed(enabled, 20), shop.placed(other, 20)
    assert len(placed) == 4, placed  # three real ones and the virtual one
    assert placed[shop.node()] >= 2
    assert shop.node() not in elsewhere


def test_pods_elsewhere_that_tolerate_everything_stay_on_real_nodes(shop: Shop) -> None:
    other = shop.namespace("other")
    shop.deploy(other, 20, tolerations=EVERYTHING)
    assert shop.node() not in shop.placed(other, 20)


def test_only_named_clusters_count_and_a_new_word_counts_for_new_pods(shop: Shop) -> None:
    named, cluster_id = shop.namespace("named", ENABLED), shop.peers.id_of("milan")
    shop.name_clusters(named, f"nobody,{'a' * 32}")
    shop.deploy(named, 10)
    assert shop.node() not in shop.placed(named, 10)
    for names in (f"nobody, {NAME}", cluster_id):
        shop.name_clusters(named, names)
        assert shop.node() in shop.again(named, 10)
        shop.name_clusters(named, "nobody")
        assert shop.node() not in shop.again(named, 10)
    shop.name_clusters(named, "-")
    assert shop.node() in shop.again(named, 10)


def test_what_nobody_joined_counts_only_where_it_is_named(shop: Shop) -> None:
    default, named = shop.namespace("default-choice", ENABLED), shop.namespace("named", ENABLED)
    shop.name_clusters(named, NAME)
    shop.peers.lab.kubectl(HOME, "label", "fc", NAME, "liqo.io/autojoined=true")
    shop.peers.until(lambda: _labels(shop).get("liqo.io/autojoined") == "true")
    for namespace in (default, named):
        shop.deploy(namespace, 10)
    assert shop.node() not in shop.placed(default, 10)
    assert shop.node() in shop.placed(named, 10)
    shop.peers.lab.kubectl(HOME, "label", "fc", NAME, "liqo.io/autojoined-")
    shop.peers.until(lambda: "liqo.io/autojoined" not in _labels(shop))
    assert shop.node() in shop.again(default, 10)


def _labels(shop: Shop) -> dict[str, str]:
    (node,) = shop.peers.virtual_nodes(HOME)
    found: dict[str, str] = node["metadata"]["labels"]
    return found


@pytest.mark.parametrize("labels", [(), (ENABLED,)], ids=["elsewhere", "enabled"])
def test_a_daemon_set_that_tolerates_everything_wants_real_nodes_only(
    shop: Shop, labels: tuple[str, ...]
) -> None:
    where = shop.namespace("agents", *labels)
    shop.deploy(where, 0, "DaemonSet", tolerations=EVERYTHING)
    shop.peers.until(lambda: shop.desired(where) == REAL_NODES)
    assert shop.node() not in shop.placed(where, REAL_NODES)
    shop.peers.lab.kubectl(HOME, "rollout", "status", "daemonset/web", "-n", where, "--timeout=30s")


def test_a_daemon_set_of_before_waits_for_nothing_after_its_next_rollout(shop: Shop) -> None:
    where = shop.namespace("agents")
    saved = shop.peers.get(HOME, HOOKS, "liqo")
    others = [h for h in saved["webhooks"] if h["name"] != "daemonsets.liqo.io"]
    shop.peers.lab.kubectl(
        HOME, "patch", HOOKS, "liqo", "--type", "merge", "-p", json.dumps({"webhooks": others})
    )
    try:
        shop.peers.until(partial(_wants_a_pod_on_the_virtual_node, shop, where))
    finally:
        back = json.dumps({"webhooks": saved["webhooks"]})
        shop.peers.lab.kubectl(HOME, "patch", HOOKS, "liqo", "--type", "merge", "-p", back)
    shop.peers.until(lambda: len(shop.pods(where)) == REAL_NODES + 1)
    shop.peers.until(lambda: shop.pods(where).count("") == 1)  # it waits, and holds up no other
    assert shop.node() not in shop.pods(where)

    def rolled_out() -> bool:
        shop.peers.lab.kubectl(HOME, "rollout", "restart", "daemonset/web", "-n", where)
        return shop.desired(where) == REAL_NODES

    shop.peers.until(rolled_out)
    shop.peers.lab.kubectl(HOME, "rollout", "status", "daemonset/web", "-n", where, "--timeout=60s")
    assert shop.node() not in shop.placed(where, REAL_NODES)


def _wants_a_pod_on_the_virtual_node(shop: Shop, where: str) -> bool:
    """Return whether a fresh DaemonSet does; a change to webhooks takes a moment to be in force."""
    shop.peers.lab.kubectl(HOME, "delete", "daemonset", "web", "-n", where, "--ignore-not-found")
    shop.deploy(where, 0, "DaemonSet", tolerations=EVERYTHING)
    spec = shop.peers.get(HOME, "daemonset", "web", "-n", where)["spec"]["template"]["spec"]
    return "affinity" not in spec


def test_a_controller_that_is_down_stops_no_pod_and_lets_none_through(shop: Shop) -> None:
    enabled, other = shop.namespace("enabled", ENABLED), shop.namespace("other")
    shop.peers.lab.kill(HOME, LIQO)
    try:
        shop.deploy(enabled, 5)
        shop.deploy(other, 5, tolerations=EVERYTHING)
        assert shop.node() not in shop.placed(enabled, 5)  # without the toleration they stay home
        shop.peers.until(lambda: len(shop.pods(other)) == 5)
        shop.peers.until(lambda: _was_refused(shop, other) or all(shop.pods(other)))
        assert shop.node() not in shop.pods(other)
    finally:
        shop.peers.lab.start(HOME, LIQO)


def _was_refused(shop: Shop, namespace: str) -> bool:
    """Return whether the scheduler was told that a pod of a namespace may not be bound there."""
    events = shop.peers.items(HOME, "events", "-n", namespace)
    return any("liqo offload NAMESPACE" in e.get("message", "") for e in events)
