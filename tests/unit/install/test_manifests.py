"""What an installation brings, in which order, and what takes it away."""

from dataclasses import replace
from typing import Any

import pytest
import yaml

from liqo.api.kinds import (
    CLUSTER_CONFIG,
    CONFIG_MAP,
    CUSTOM_RESOURCE_DEFINITION,
    DEPLOYMENT,
    FLOW_SCHEMA,
    NAMESPACE,
    PRIORITY_LEVEL,
    ROLE_BINDING,
    VALIDATING_WEBHOOK,
)
from liqo.api.meta import Key, Kind, labels_of
from liqo.api.names import LAN_AGENT
from liqo.install.deployment import forge_deployment
from liqo.install.entry import opening
from liqo.install.flow import forge_flow
from liqo.install.magnet import PATIENCE_SECONDS, forge_magnet
from liqo.install.manifests import Install, forge_left_out, forge_manifests, forge_removal
from liqo.install.webhook import Service, Url, forge_webhook

OUTSIDE = Install(namespace="liqo", webhook=Url("https://192.0.2.1:9443/admission"), request_policy="Accept")
INSIDE = Install(namespace="x", webhook=Service(), request_policy="Manual", image="liqo:1")


def test_namespace_and_crds_come_before_what_needs_them() -> None:
    kinds = [m.kind for m in forge_manifests(OUTSIDE)]
    assert kinds[0] is NAMESPACE
    assert kinds[1] is CUSTOM_RESOURCE_DEFINITION
    last_crd = len(kinds) - 1 - kinds[::-1].index(CUSTOM_RESOURCE_DEFINITION)
    assert last_crd < kinds.index(CLUSTER_CONFIG)


def test_the_fences_stand_before_a_stranger_may_come() -> None:
    kinds = [m.kind for m in forge_manifests(OUTSIDE)]
    assert kinds.index(VALIDATING_WEBHOOK) < kinds.index(ROLE_BINDING)
    assert kinds.index(FLOW_SCHEMA) < kinds.index(ROLE_BINDING)


def test_what_an_owner_edits_is_written_once() -> None:
    once = {(m.kind, Key.of(m.obj)) for m in forge_manifests(OUTSIDE) if m.once}
    assert once == {
        (CONFIG_MAP, Key("liqo", "trusted-ca-certificates")),
        (CLUSTER_CONFIG, Key("", "clusterconfig")),
    }


def test_the_request_policy_is_written_openly() -> None:
    (config,) = (m.obj for m in forge_manifests(INSIDE) if m.kind is CLUSTER_CONFIG)
    assert config["spec"] == {"peeringConfig": {"requestPolicy": "Manual"}}


def test_every_object_says_whose_it_is() -> None:
    for manifest in forge_manifests(INSIDE):
        labels = labels_of(manifest.obj)
        assert labels["app.kubernetes.io/managed-by"] == "liqo"
        assert labels["app.kubernetes.io/part-of"] == "liqo"


def test_a_deployment_comes_only_with_an_image() -> None:
    assert DEPLOYMENT not in [m.kind for m in forge_manifests(OUTSIDE)]
    assert DEPLOYMENT in [m.kind for m in forge_manifests(INSIDE)]


@pytest.mark.parametrize("install", [OUTSIDE, INSIDE], ids=["outside", "inside"])
def test_without_a_lan_agent_what_it_would_have_is_left_out(install: Install) -> None:
    def names(what: Install) -> set[tuple[Kind, Key]]:
        return {(m.kind, Key.of(m.obj)) for m in forge_manifests(what)}

    without = replace(install, lan=False)
    left_out = forge_left_out(without)
    assert {key.name for _, key in left_out} == {LAN_AGENT, f"{LAN_AGENT}-cluster-info"}
    assert left_out[0] == (DEPLOYMENT, Key(install.namespace, LAN_AGENT))
    assert names(install) - names(without) == set(left_out) & names(install)
    assert not names(without) & set(left_out)
    assert forge_left_out(install) == []


def test_removal_names_all_that_any_installation_brings_and_the_namespace_last() -> None:
    removal = forge_removal("x")
    assert removal[0][0] is DEPLOYMENT
    assert removal[-1] == (NAMESPACE, Key("", "x"))
    assert {(m.kind, Key.of(m.obj)) for m in forge_manifests(INSIDE)} == set(removal)


def test_the_webhook_leaves_the_ca_bundle_to_the_controller() -> None:
    outside = forge_webhook("liqo", Url("https://192.0.2.1:9443/admission"))["webhooks"][0]["clientConfig"]
    assert outside == {"url": "https://192.0.2.1:9443/admission"}
    inside = forge_webhook("x", Service())["webhooks"][0]
    assert inside["clientConfig"] == {
        "service": {"name": "liqo-webhook", "namespace": "x", "path": "/admission", "port": 9443}
    }
    assert inside["failurePolicy"] == "Fail"
    assert inside["namespaceSelector"] == {"matchLabels": {"kubernetes.io/metadata.name": "x"}}


def test_while_no_controller_answers_pods_are_made_as_they_were_sent() -> None:
    hooks = forge_magnet("x", Service())["webhooks"]
    assert [h["name"] for h in hooks] == ["enabled.pods.liqo.io", "other.pods.liqo.io", "daemonsets.liqo.io"]
    for hook in hooks:
        assert hook["failurePolicy"] == "Ignore"
        assert hook["timeoutSeconds"] <= PATIENCE_SECONDS
        assert "caBundle" not in hook["clientConfig"]
        assert not any("*" in values for rule in hook["rules"] for values in rule.values())


def test_strangers_have_one_share_to_ask_and_one_to_read_and_borrow_none() -> None:
    objects = forge_flow("liqo")
    for limited in (o["spec"]["limited"] for kind, o in objects if kind == PRIORITY_LEVEL):
        assert (limited["nominalConcurrencyShares"], limited["borrowingLimitPercent"]) == (1, 0)
    found = []
    for name, spec in ((o["metadata"]["name"], o["spec"]) for kind, o in objects if kind == FLOW_SCHEMA):
        assert spec["priorityLevelConfiguration"]["name"] == name
        (rule,) = spec["rules"]
        assert rule["subjects"] == [
            {"kind": "Group", "group": {"name": "system:unauthenticated"}},
            {"kind": "ServiceAccount", "serviceAccount": {"namespace": "liqo", "name": "liqo-door"}},
        ]
        found += [(name, r["verbs"], r["resources"]) for r in rule["resourceRules"]]
    assert found == [
        ("liqo-strangers", ["create"], ["federationrequests"]),
        ("liqo-strangers-reading", ["get"], ["configmaps"]),
    ]


def test_the_pod_has_no_privileges_to_lose() -> None:
    deployment = dict(forge_deployment("liqo", "liqo:1"))[DEPLOYMENT]
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_without_a_door_no_port_of_the_node_is_taken_and_the_controller_opens_none() -> None:
    def container(*, door: bool) -> Any:
        deployment = dict(forge_deployment("liqo", "liqo:1", door=door))[DEPLOYMENT]
        return deployment["spec"]["template"]["spec"]["containers"][0]

    assert "--no-door" not in container(door=True)["command"]
    assert [p["name"] for p in container(door=True)["ports"] if "hostPort" in p] == ["door"]
    assert "--no-door" in container(door=False)["command"]
    assert [p for p in container(door=False)["ports"] if "hostPort" in p] == []


def test_an_api_server_opens_the_two_paths_at_which_strangers_ask_and_its_own_health() -> None:
    lines = opening("x")
    config = yaml.safe_load("\n".join(lines[: lines.index("")]))
    paths = [condition["path"] for condition in config["anonymous"]["conditions"]]
    assert paths == [
        "/api/v1/namespaces/x/configmaps/liqo-well-known",
        "/apis/discovery.liqo.io/v1/namespaces/x/federationrequests",
        "/livez",
        "/readyz",
        "/healthz",
    ]
