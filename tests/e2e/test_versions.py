"""A cluster of the newest Kubernetes and one of the oldest that the lab has."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from e2e_peers import Peers
from liqo.app.lab import up_with_liqo
from liqo.errors import Invalid
from liqo.lab.build import older_versions
from liqo.lab.lab import Lab
from liqo.lab.pytest_plugin import Eventually, LabFactory

pytestmark = [pytest.mark.lab, pytest.mark.long]  # long: the older one is built first, ten minutes

OLDEST = older_versions()[0]
NEW, OLD = "rome", "milan"
RULES = (
    "customresourcedefinitions,validatingadmissionpolicies,validatingadmissionpolicybindings,"
    "flowschemas,clusterroles"
)


@pytest.fixture(scope="module")
def mixed_pair(lab_factory: LabFactory) -> Iterator[Lab]:
    """Rome has the newest Kubernetes, milan the oldest."""
    lab = lab_factory()
    up_with_liqo(lab, (NEW,), kubernetes="", lan=False)
    up_with_liqo(lab, (OLD,), kubernetes=OLDEST, lan=False)
    yield lab
    lab.down()


@pytest.fixture
def mixed(mixed_pair: Lab, eventually: Eventually) -> Peers:
    found = Peers(mixed_pair, eventually)
    found.part()
    return found


def versions(lab: Lab, side: str) -> tuple[str, str]:
    """Return what kubectl and the API server say of themselves."""
    told = json.loads(lab.kubectl(side, "version", "-o", "json"))
    return told["clientVersion"]["gitVersion"], told["serverVersion"]["gitVersion"]


def test_each_cluster_has_its_own_kubernetes_and_the_kubectl_that_matches(mixed: Peers) -> None:
    new, old = versions(mixed.lab, NEW), versions(mixed.lab, OLD)
    assert new[0] == new[1]
    assert old[0] == old[1]
    assert old[0].startswith(f"v{OLDEST}.")
    assert not new[0].startswith(f"v{OLDEST}.")
    kubelets = {item["status"]["nodeInfo"]["kubeletVersion"] for item in mixed.items(OLD, "nodes")}
    assert kubelets == {old[0]}


def test_a_cluster_keeps_its_kubernetes(mixed: Peers) -> None:
    assert mixed.lab.up((OLD,)).started == {OLD: ()}
    for side, other in ((OLD, ""), (NEW, OLDEST)):
        with pytest.raises(Invalid, match="keeps the Kubernetes"):
            mixed.lab.up((side,), kubernetes=other)


@pytest.mark.parametrize(("home", "foreign"), [(OLD, NEW), (NEW, OLD)], ids=["old home", "old foreign"])
def test_they_join_and_part(mixed: Peers, home: str, foreign: str) -> None:
    mixed.apply_seed(home, foreign)
    mixed.until(lambda: mixed.is_ready(home))
    (node,) = mixed.virtual_nodes(home)
    assert node["status"]["allocatable"]["cpu"] != "0"
    mixed.set_join(home, join=False)
    mixed.until(lambda: mixed.is_clean(home) and mixed.is_clean(foreign))


def test_they_join_each_other(mixed: Peers) -> None:
    mixed.apply_seed(OLD, NEW)
    mixed.apply_seed(NEW, OLD)
    mixed.until(lambda: mixed.is_ready(OLD) and mixed.is_ready(NEW))
    mixed.part()


def rules(peers: Peers, side: str) -> dict[str, Any]:
    """Return Liqo's own rules in a cluster as its API server has stored them, by kind and name."""
    ours = [item for item in peers.items(side, RULES) if "liqo" in item["metadata"]["name"]]
    return {f"{item['kind']} {item['metadata']['name']}": item for item in ours}


def test_the_old_one_stores_every_rule_whole(mixed: Peers) -> None:
    # A field that a version does not know is dropped without a word.
    new, old = rules(mixed, NEW), rules(mixed, OLD)
    assert new.keys() == old.keys()
    for name, item in old.items():
        assert item.get("spec") == new[name].get("spec"), name
        assert item.get("rules") == new[name].get("rules"), name


def test_the_old_one_finds_no_fault_with_any_policy(mixed: Peers) -> None:
    def checked() -> list[Any]:
        found = [
            item for name, item in rules(mixed, OLD).items() if name.startswith("ValidatingAdmissionPolicy ")
        ]
        assert all("typeChecking" in item.get("status", {}) for item in found), "not yet looked at"
        return found

    assert (
        "".join(
            f"{policy['metadata']['name']} {warning['fieldRef']}: {warning['warning']}\n"
            for policy in mixed.until(checked)
            for warning in policy["status"]["typeChecking"].get("expressionWarnings", ())
        )
        == ""
    )
