"""Two real clusters with Liqo in them, as `liqo lab up` makes them."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from liqo.app.demo import MANIFEST, NAME, fill
from liqo.app.lab import up_with_liqo
from liqo.lab.lab import Lab
from liqo.lab.pytest_plugin import Eventually, LabFactory
from standing import standing

READY_SECONDS = 60.0
AT_NEED = "ServiceAccount/kube-system/"  # the controller-manager makes those of its parts one after another
BAD_INPUT = Path(__file__).parents[1] / "docs" / "reference" / "bad-input.md"


def bad_input_rows(title: str) -> dict[str, list[str]]:
    """Return a table of that page: the cells after the first, by the first."""
    section = BAD_INPUT.read_text().split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| ")]
    return {cells[0]: cells[1:] for cells in lines[1:]}


@dataclass
class Peers:
    """Two clusters and what a person does with them."""

    lab: Lab
    eventually: Eventually

    def get(self, side: str, *what: str) -> Any:
        """Return what kubectl get shows, as JSON."""
        return json.loads(self.lab.kubectl(side, "get", *what, "-o", "json"))

    def items(self, side: str, *what: str) -> list[Any]:
        found: list[Any] = self.get(side, *what)["items"]
        return found

    def id_of(self, side: str) -> str:
        """Return a cluster's ClusterID, from where the seed says that it is."""
        return str(self.get(side, "configmap", "cluster-id", "-n", "liqo")["data"]["cluster-id"])

    def configure(self, side: str, section: str, **fields: Any) -> None:
        """Change fields of one section of a ClusterConfig; None takes one out."""
        patch = json.dumps({"spec": {section: fields}})
        self.lab.kubectl(side, "patch", "clusterconfig", "clusterconfig", "--type", "merge", "-p", patch)

    def apply_seed(self, home: str, foreign: str) -> None:
        """Apply the seed's ForeignCluster, with its placeholders filled."""
        manifest = fill(MANIFEST, self.id_of(foreign), self.lab.cluster(foreign))
        self.lab.kubectl(home, "apply", "-f", "-", text=manifest)

    def set_join(self, side: str, *, join: bool) -> None:
        patch = json.dumps({"spec": {"join": join}})
        self.lab.kubectl(side, "patch", "fc", NAME, "--type", "merge", "-p", patch)

    def virtual_nodes(self, side: str) -> list[Any]:
        return self.items(side, "nodes", "-l", "liqo.io/type=virtual-node")

    def condition(self, side: str, kind: str) -> tuple[str, str] | None:
        found = self.get(side, "fc", NAME).get("status", {}).get("conditions", [])
        return next(((c["status"], c["reason"]) for c in found if c["type"] == kind), None)

    def nobody(self) -> str:
        """Return an address of the LAN that no host has."""
        return self.lab.cluster("milan").host.rsplit(".", 1)[0] + ".199"

    def plain(self, text: str) -> str:
        """Return a sentence with names in place of what differs from lab to lab, as bad-input.md has it."""
        for name, value in (
            ("HOME", self.lab.cluster("rome").host),
            ("FOREIGN", self.lab.cluster("milan").host),
            ("NOBODY", self.nobody()),
        ):
            text = re.sub(rf"{re.escape(value)}(?![0-9])", name, text)
        text = re.sub(r"\b(?!([ab])\1{31})[a-z2-7]{32}\b", "ID", text)
        return re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME", text)

    def until(self, look: Callable[[], Any], seconds: float = READY_SECONDS) -> Any:
        """Wait until `look` is true, and return that; a failure tells how both clusters stand."""
        try:
            return self.eventually(look, seconds)
        except AssertionError as failure:
            raise AssertionError(f"{failure}\n{standing(self.lab)}") from failure

    def is_ready(self, side: str) -> bool:
        """Return whether the one virtual node there is Ready, by what the node itself says."""
        (node,) = self.virtual_nodes(side)
        return any(c["type"] == "Ready" and c["status"] == "True" for c in node["status"]["conditions"])

    def is_clean(self, side: str) -> bool:
        """Return whether nothing of any peering is left in a cluster."""
        mine = ["-l", "liqo.io/cluster-id", "-A"]
        left = self.items(side, "nodes,namespaces,serviceaccounts,roles,rolebindings", *mine)
        return not left and not self.items(side, "advertisements,federationrequests", "-A")

    def is_apart(self, side: str) -> bool:
        """Return whether a cluster knows of no other."""
        return self.is_clean(side) and not self.items(side, "fc")

    def part(self) -> None:
        """End all peerings and wait until both are as before."""
        for side in ("rome", "milan"):
            self.lab.kubectl(side, "delete", "fc", "--all", "--wait=false")
            # Nobody takes back what a made-up cluster has asked.
            self.lab.kubectl(side, "delete", "fr", "--all", "-n", "liqo", "--wait=false")
        for side in ("rome", "milan"):
            self.until(partial(self.is_apart, side))


def liqo(peers: Peers, side: str, *args: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as a person does, with that cluster's kubeconfig."""
    config = str(peers.lab.cluster(side).kubeconfig)
    argv = [sys.executable, "-m", "liqo", *args, "--kubeconfig", config]
    return subprocess.run(argv, capture_output=True, text=True, timeout=90, check=False)


def names(peers: Peers, side: str) -> set[str]:
    """Return the kinds of a cluster and the names of all its objects, but for what comes and goes by itself."""
    kinds = set(peers.lab.kubectl(side, "api-resources", "--verbs", "list", "-o", "name").split())
    kinds -= {"events", "events.events.k8s.io", "leases.coordination.k8s.io", "componentstatuses"}
    found = peers.items(side, ",".join(sorted(kinds)), "-A")
    named = {"/".join((o["kind"], o["metadata"].get("namespace", ""), o["metadata"]["name"])) for o in found}
    return kinds | {name for name in named if not name.startswith(AT_NEED)}


def uninstall(peers: Peers, before: dict[str, set[str]]) -> None:
    """Take Liqo out of both clusters, and wait until there is what was there before it came, no more and no less."""
    for side in before:
        done = liqo(peers, side, "uninstall")
        assert done.returncode == 0, done.stderr
    for side, old in before.items():
        peers.until(partial(_is_as_before, peers, side, old))


def _is_as_before(peers: Peers, side: str, before: set[str]) -> bool:
    assert names(peers, side) ^ before == set()
    return True


@pytest.fixture(scope="session")
def liqo_pair(lab_factory: LabFactory) -> Lab:
    lab = lab_factory()
    up_with_liqo(lab, ("rome", "milan"), lan=False)
    return lab


@pytest.fixture
def peers(liqo_pair: Lab, eventually: Eventually) -> Peers:
    """Two clusters with Liqo, without any peering between them."""
    found = Peers(liqo_pair, eventually)
    for side in ("rome", "milan"):
        liqo_pair.start(side)
    found.part()
    return found
