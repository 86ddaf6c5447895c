"""Two joined clusters, and pods of home that run on foreign."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest

from e2e_peers import Peers
from liqo.app.lab import up_with_liqo
from liqo.lab.pytest_plugin import Eventually, LabFactory

HOME, FOREIGN = "rome", "milan"
REAL_NAMESPACE = "shop"
OWNERS = "deployments,daemonsets,jobs,statefulsets"
TOLERATION = {"key": "virtual-node.liqo.io/not-allowed", "operator": "Exists"}


@dataclass
class Shop:
    """A namespace at home whose pods may run on foreign."""

    peers: Peers
    name: str
    others: list[str] = field(default_factory=list)

    def other(self, name: str) -> "Shop":
        """Make one more such namespace, which ends with this one."""
        self.others.append(name)
        self.peers.lab.kubectl(HOME, "create", "namespace", name)
        self.peers.lab.kubectl(HOME, "label", "namespace", name, "liqo.io/enabled=true")
        return Shop(self.peers, name)

    @property
    def remote(self) -> str:
        """The namespace on foreign that stands for it; raises while there is none."""
        (found,) = self.peers.items(FOREIGN, "namespaces", "-l", f"liqo.io/home-namespace={self.name}")
        return str(found["metadata"]["name"])

    def apply(self, obj: dict[str, Any]) -> None:
        """Apply an object in the namespace at home."""
        self.peers.lab.kubectl(HOME, "apply", "-n", self.name, "-f", "-", text=json.dumps(obj))

    def kubectl(self, *args: str) -> str:
        return self.peers.lab.kubectl(HOME, *args, "-n", self.name)

    def deploy(
        self, replicas: int, name: str = "web", *, noted: dict[str, str] | None = None, **spec: Any
    ) -> None:
        """Have a Deployment of pods that run on the virtual node only, with these annotations."""
        labels = {"app": name}
        self.apply(
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": name},
                "spec": {
                    "replicas": replicas,
                    "selector": {"matchLabels": labels},
                    "template": {
                        "metadata": {"labels": labels, "annotations": noted or {}},
                        "spec": abroad(**spec),
                    },
                },
            }
        )

    def pod(self, name: str, **spec: Any) -> None:
        """Have one pod that runs on the virtual node only."""
        self.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": abroad(**spec)})

    def at_home(self) -> list[Any]:
        return self.peers.items(HOME, "pods", "-n", self.name)

    def on_foreign(self) -> list[Any]:
        return self.peers.items(FOREIGN, "pods", "-n", self.remote)

    def is_running(self, count: int) -> bool:
        """Return whether that many pods are Ready at home, and the same ones run on foreign, no others."""
        home, foreign = self.at_home(), self.on_foreign()
        uids = {p["metadata"]["uid"] for p in home}
        stands_for = [p["metadata"]["annotations"]["liqo.io/home-uid"] for p in foreign]
        return len(home) == count and all(is_ready(p) for p in home) and sorted(uids) == sorted(stands_for)

    def phases(self) -> dict[str, tuple[str, str]]:
        """Return phase and reason of each pod at home."""
        return {
            p["metadata"]["name"]: (p["status"]["phase"], p["status"].get("reason", ""))
            for p in self.at_home()
        }

    def waiting(self, name: str) -> tuple[str, str]:
        """Return why a pod waits, as kubectl shows it, and in words."""
        pod = self.peers.get(HOME, "pod", name, "-n", self.name)
        state = pod["status"]["containerStatuses"][0]["state"]["waiting"]
        return state["reason"], state["message"]


def abroad(**spec: Any) -> dict[str, Any]:
    """Return the spec of a pod that only the virtual node can take."""
    return {
        "nodeSelector": {"liqo.io/type": "virtual-node"},
        "tolerations": [TOLERATION],
        "containers": [{"name": "web", "image": "web:1"}],
        **spec,
    }


def is_ready(pod: Any) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", ()))


@pytest.fixture
def shop(peers: Peers, request: pytest.FixtureRequest) -> Any:
    """Join the two, and let one namespace's pods run abroad; afterwards it is gone, with its pods and the peering."""
    found = Shop(peers, f"shop-{abs(hash(request.node.name)) % 10**6}")
    try:
        found.other(found.name)
        peers.apply_seed(HOME, FOREIGN)
        peers.until(partial(peers.is_ready, HOME))
        yield found
    finally:
        peers.lab.heal(HOME, FOREIGN)
        part_with(peers, *found.others)


def part_with(peers: Peers, *names: str) -> None:
    """End the peering and namespaces of home, and wait until all of it is gone."""
    # Pods first: a namespace that is deleted with pods in it looks again after half their grace.
    for name in names:
        peers.lab.kubectl(HOME, "delete", f"{OWNERS},pods", "--all", "-n", name, "--wait=false")
    peers.until(lambda: not any(peers.items(HOME, "pods", "-n", name) for name in names))
    # It takes five seconds at least to end: those of home and of the peering do so side by side.
    peers.lab.kubectl(HOME, "delete", "namespace", *names, "--ignore-not-found", "--wait=false")
    peers.part()
    peers.until(lambda: not {n["metadata"]["name"] for n in peers.items(HOME, "namespaces")} & set(names))


@pytest.fixture(scope="module")
def real_shop(lab_factory: LabFactory, eventually: Eventually) -> Iterator[Shop]:
    """Two clusters with a real node each that are joined, and a namespace whose pods may run abroad."""
    with ExitStack() as stack:
        lab = lab_factory()
        stack.callback(lab.down)
        up_with_liqo(lab, (HOME, FOREIGN), lan=False, real=True)
        peers = Peers(lab, eventually)
        lab.kubectl(HOME, "create", "namespace", REAL_NAMESPACE)
        lab.kubectl(HOME, "label", "namespace", REAL_NAMESPACE, "liqo.io/enabled=true")
        peers.apply_seed(HOME, FOREIGN)
        peers.until(partial(peers.is_ready, HOME))
        yield Shop(peers, REAL_NAMESPACE)
