"""Which pods the scheduler of a real cluster puts on a virtual node: those of namespaces that asked for it."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from e2e_peers import Peers

pytestmark = pytest.mark.lab

HOME = "rome"
ENABLED = "liqo.io/enabled=true"


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
    for name in found.made:
        peers.lab.kubectl(HOME, "delete", "namespace", name, "--wait=false")
    peers.part()
    for name in found.made:
        peers.until(partial(_is_gone, peers, name))


def _is_gone(peers: Peers, name: str) -> bool:
    return name not in {n["metadata"]["name"] for n in peers.items(HOME, "namespaces")}


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
