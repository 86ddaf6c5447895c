"""What draws a pod to virtual nodes, and what keeps one off them."""

from typing import Any

import pytest

from liqo.api.meta import Wire
from liqo.node.magnet import JOINED, REAL, TOLERATION, Drawn, draw, draw_template, tolerates
from liqo.node.optin import named_clusters

ID = "a" * 32
IN_MILAN = {"key": "liqo.io/foreign-cluster", "operator": "In", "values": ["milan"]}
SSD = {"key": "disk", "operator": "In", "values": ["ssd"]}
HDD = {"key": "disk", "operator": "In", "values": ["hdd"]}
EVERYTHING = {"operator": "Exists"}


def namespace(clusters: str | None = None, enabled: str = "true") -> Wire:
    metadata: Wire = {"name": "shop", "labels": {"liqo.io/enabled": enabled}}
    if clusters is not None:
        metadata["annotations"] = {"liqo.io/clusters": clusters}
    return {"metadata": metadata}


def pod(*terms: Wire, owner: str = "", **spec: Any) -> Wire:
    if terms:
        required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": list(terms)}}
        spec["affinity"] = {"nodeAffinity": required, "podAffinity": {}}
    metadata: Wire = {"name": "web", "namespace": "shop"}
    if owner:
        metadata["ownerReferences"] = [{"kind": owner, "apiVersion": "apps/v1", "name": "x"}]
    return {"metadata": metadata, "spec": {"containers": [{"name": "c"}], **spec}}


def term(*expressions: Wire, **more: Any) -> Wire:
    return {"matchExpressions": list(expressions), **more}


def terms_of(drawn: Drawn, path: str = "/spec/affinity") -> list[Wire]:
    """Return the required terms that a pod gets."""
    (affinity,) = (p["value"] for p in drawn.patch if p["path"] == path)
    required: Wire = affinity["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    found: list[Wire] = required["nodeSelectorTerms"]
    return found


def applied(wire: Wire, drawn: Drawn) -> Wire:
    """Return the pod with its changes; each sets one field of the spec."""
    changes = {p["path"].removeprefix("/spec/"): p["value"] for p in drawn.patch}
    return {**wire, "spec": {**wire["spec"], **changes}}


def test_a_pod_of_an_enabled_namespace_may_go_to_clusters_that_a_person_joined() -> None:
    drawn = draw(pod(), namespace())
    assert terms_of(drawn) == [term(JOINED)]
    assert drawn.patch[1] == {"op": "add", "path": "/spec/tolerations", "value": [TOLERATION]}


def test_tolerations_that_it_had_stay() -> None:
    mine = {"key": "mine", "operator": "Exists"}
    assert draw(pod(tolerations=[mine]), namespace()).patch[1]["value"] == [mine, TOLERATION]


@pytest.mark.parametrize(
    "toleration",
    [
        EVERYTHING,
        {"operator": "Exists", "effect": "NoExecute"},
        {"key": "virtual-node.liqo.io/not-allowed", "operator": "Exists"},
        {"key": "virtual-node.liqo.io/not-allowed", "value": "true", "effect": "NoExecute"},
    ],
)
def test_what_tolerates_virtual_nodes_is_kept_off_them_elsewhere(toleration: Wire) -> None:
    stranger = pod(tolerations=[toleration])
    assert terms_of(draw(stranger, None)) == [term(REAL)]
    assert terms_of(draw(stranger, namespace(enabled="false"))) == [term(REAL)]
    assert [p["path"] for p in draw(stranger, namespace()).patch] == ["/spec/affinity"]


@pytest.mark.parametrize(
    "toleration", [{"key": "mine", "operator": "Exists"}, {"operator": "Exists", "effect": "NoSchedule"}]
)
def test_what_does_not_tolerate_them_is_left_alone_elsewhere(toleration: Wire) -> None:
    assert not tolerates({"tolerations": [toleration]})
    assert draw(pod(tolerations=[toleration]), None) == Drawn([])


def test_its_own_affinity_holds_too() -> None:
    mine = [term(SSD), term(HDD, matchFields=[{"key": "metadata.name"}])]
    drawn = draw(pod(*mine), namespace())
    assert terms_of(drawn) == [term(SSD, JOINED), {**mine[1], "matchExpressions": [HDD, JOINED]}]
    assert drawn.patch[0]["value"]["podAffinity"] == {}


def test_named_clusters_are_alternatives_to_real_nodes_in_each_of_its_terms() -> None:
    drawn = draw(pod(term(SSD), term(HDD)), namespace("milan"))
    assert terms_of(drawn) == [term(SSD, REAL), term(SSD, IN_MILAN), term(HDD, REAL), term(HDD, IN_MILAN)]


def test_a_cluster_is_named_by_its_id_too() -> None:
    by_id = {"key": "liqo.io/cluster-id", "operator": "In", "values": [ID]}
    by_name = {"key": "liqo.io/foreign-cluster", "operator": "In", "values": [ID, "milan"]}
    assert terms_of(draw(pod(), namespace(f"milan, {ID}"))) == [term(REAL), term(by_name), term(by_id)]


def test_a_term_that_matches_nothing_still_does() -> None:
    assert terms_of(draw(pod({}, term(SSD)), namespace())) == [{}, term(SSD, JOINED)]


@pytest.mark.parametrize("clusters", [None, "milan", f"milan,{ID}", "!"])
@pytest.mark.parametrize("terms", [(), (term(SSD),), (term(SSD), {}, term(HDD))])
def test_a_pod_that_was_changed_is_not_changed_again(clusters: str | None, terms: tuple[Wire, ...]) -> None:
    once = applied(pod(*terms), draw(pod(*terms), namespace(clusters)))
    assert draw(once, namespace(clusters)).patch == []


@pytest.mark.parametrize("clusters", ["", " , "])
def test_an_empty_list_names_no_cluster_and_so_narrows_nothing(clusters: str) -> None:
    assert terms_of(draw(pod(), namespace(clusters))) == [term(JOINED)]


@pytest.mark.parametrize("clusters", ["!", "a b", "x" * 64, "-a", "A"])
def test_where_no_name_could_be_one_pods_stay_home_and_are_told(clusters: str) -> None:
    drawn = draw(pod(), namespace(clusters))
    assert terms_of(drawn) == [term(REAL)]
    assert "names no cluster" in drawn.warnings[0]


def test_no_more_clusters_are_named_than_the_bound() -> None:
    assert len(named_clusters(namespace(",".join(f"c{n}" for n in range(10_000))))) == 32


@pytest.mark.parametrize("where", [None, namespace()], ids=["elsewhere", "enabled"])
def test_a_pod_of_a_daemon_set_never_goes(where: Wire | None) -> None:
    fields = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["liqo-milan-aaaaaa"]}]}
    drawn = draw(pod(fields, owner="DaemonSet", tolerations=[EVERYTHING]), where)
    assert terms_of(drawn) == [{**fields, "matchExpressions": [REAL]}]
    assert draw(pod(owner="DaemonSet"), where) == Drawn([])
    assert terms_of(draw(pod(owner="ReplicaSet"), namespace())) == [term(JOINED)]


def test_a_daemon_set_that_tolerates_everything_wants_no_virtual_node() -> None:
    template = pod(tolerations=[EVERYTHING])
    drawn = draw_template({"spec": {"template": template}})
    assert terms_of(drawn, "/spec/template/spec/affinity") == [term(REAL)]
    assert draw_template({"spec": {"template": pod()}}) == Drawn([])


def test_a_pod_that_can_only_run_here_is_not_drawn_and_told_why() -> None:
    disk: Wire = {"volumes": [{"name": "disk", "persistentVolumeClaim": {"claimName": "x"}}]}
    drawn = draw(pod(**disk), namespace())
    assert [p["path"] for p in drawn.patch] == ["/spec/affinity", "/metadata/annotations"]
    assert drawn.patch[1]["value"]["liqo.io/stays-home"].startswith("volume disk is a persistentVolumeClaim")
    assert drawn.warnings[0].startswith("this pod stays on its own cluster: volume disk")


def test_a_pod_with_an_owner_says_why_it_stays_and_nobody_is_warned() -> None:
    token: Wire = {"sources": [{"serviceAccountToken": {"path": "token"}}]}
    mine = pod(owner="ReplicaSet", volumes=[{"name": "token", "projected": token}])
    mine["metadata"]["annotations"] = {"mine": "1"}
    drawn = draw(mine, namespace())
    assert not drawn.warnings
    changed = drawn.patch[1]["value"]
    assert changed["mine"] == "1"
    assert "token" in changed["liqo.io/stays-home"]
    mine["metadata"]["annotations"] = changed
    assert [p["path"] for p in draw(mine, namespace()).patch] == ["/spec/affinity"]
