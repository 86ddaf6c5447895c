"""`liqo doctor` on a real cluster: silent about what was installed, one sentence for each change of it."""

import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from e2e_peers import Peers
from liqo.adapters.clock import SystemClock
from liqo.adapters.kube import HttpCluster
from liqo.api.kinds import (
    ADMISSION_POLICY,
    ADMISSION_POLICY_BINDING,
    CERTIFICATE_REQUEST,
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    CUSTOM_RESOURCE_DEFINITION,
    FEDERATION_REQUEST,
    FLOW_SCHEMA,
    PRIORITY_LEVEL,
    ROLE,
    ROLE_BINDING,
    SECRET,
    SERVICE_ACCOUNT,
    VALIDATING_WEBHOOK,
)
from liqo.api.meta import Key, Kind, Wire
from liqo.api.names import CONTROLLER, DOOR, LAN_AGENT, NAMESPACE, peer_account
from liqo.api.rights import (
    Objects,
    forge_account_subject,
    forge_group_subject,
    forge_object,
    forge_role_ref,
    forge_rule,
)
from liqo.app.doctor import Diagnosis, diagnose
from liqo.app.installing import install
from liqo.app.setup import connected
from liqo.install.manifests import Install
from liqo.install.webhook import Url
from offloading import FOREIGN, HOME, Shop

pytestmark = pytest.mark.lab

READER = "reader"
STRANGERS_ROLE = {
    "apiGroups": ["discovery.liqo.io"],
    "resources": ["federationrequests"],
    "verbs": ["get", "create"],
}
APPROVER_ROLE = {
    "apiGroups": [CERTIFICATE_REQUEST.group],
    "resources": [CERTIFICATE_REQUEST.plural],
    "verbs": ["approve"],
}
RULE = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}


def bound(name: str, subject: Wire, role: str = READER, namespace: str = "") -> tuple[Kind, Wire]:
    kind = ROLE_BINDING if namespace else CLUSTER_ROLE_BINDING
    ref = forge_role_ref(CLUSTER_ROLE, role)
    return kind, forge_object(kind, name, namespace, roleRef=ref, subjects=[subject])


def user(name: str) -> Wire:
    return {"apiGroup": ROLE.group, "kind": "User", "name": name}


def forge_token_secret() -> Wire:
    secret = forge_object(SECRET, "forever", NAMESPACE, type="kubernetes.io/service-account-token")
    secret["metadata"]["annotations"] = {"kubernetes.io/service-account.name": DOOR}
    return secret


CREATED: Objects = [
    (CLUSTER_ROLE, forge_object(CLUSTER_ROLE, READER, rules=[forge_rule(SECRET, ["get"])])),
    bound("all-secrets", forge_account_subject(NAMESPACE, CONTROLLER)),
    bound("owner", forge_account_subject(NAMESPACE, DOOR), "cluster-admin"),
    bound("by-name", user(f"system:serviceaccount:{NAMESPACE}:{LAN_AGENT}")),
    bound("accounts", forge_group_subject("system:serviceaccounts")),
    bound("all", forge_group_subject("system:authenticated")),
    bound("open", user("system:anonymous"), "system:node-proxier"),
    bound("ours", forge_group_subject(f"system:serviceaccounts:{NAMESPACE}"), namespace=NAMESPACE),
    (SECRET, forge_token_secret()),
]
DELETED = (
    (ADMISSION_POLICY, "liqo-lan-create"),
    (ADMISSION_POLICY_BINDING, "liqo-lan-status"),
    (FLOW_SCHEMA, "liqo-strangers"),
)


def sets(*path: str | int, value: Any) -> Callable[[Wire], None]:
    """Return the change of one field."""

    def change(obj: Any) -> None:
        for step in path[:-1]:
            obj = obj[step]
        obj[path[-1]] = value

    return change


def _forget_a_bound(crd: Wire) -> None:
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    schema["properties"]["spec"]["properties"]["kubeConfig"]["maxLength"] = None


EDITED: dict[tuple[Kind, str], Callable[[Wire], None]] = {
    (ROLE, "liqo-strangers"): sets("rules", value=[STRANGERS_ROLE]),
    (CLUSTER_ROLE, "liqo-kubelet-approver"): sets("rules", value=[APPROVER_ROLE]),
    (ADMISSION_POLICY_BINDING, "liqo-peers"): sets("spec", "validationActions", value=["Warn"]),
    (ADMISSION_POLICY, "liqo-tenants"): sets(
        "spec", "matchConstraints", "excludeResourceRules", value=[RULE]
    ),
    (ADMISSION_POLICY, "liqo-requests"): sets("spec", "validations", 0, "expression", value="true"),
    (VALIDATING_WEBHOOK, "liqo"): sets("webhooks", 0, "failurePolicy", value="Ignore"),
    (PRIORITY_LEVEL, "liqo-strangers"): sets("spec", "limited", "nominalConcurrencyShares", value=100),
    (CUSTOM_RESOURCE_DEFINITION, FEDERATION_REQUEST.resource): _forget_a_bound,
    (SERVICE_ACCOUNT, DOOR): sets("automountServiceAccountToken", value=True),
}
KEPT = {CUSTOM_RESOURCE_DEFINITION, SERVICE_ACCOUNT, VALIDATING_WEBHOOK}  # with what depends on them
SAID = [
    "ClusterRoleBinding all-secrets (ClusterRole reader) lets liqo-controller get secrets, ",
    "ClusterRoleBinding owner (ClusterRole cluster-admin) lets liqo-door * /*; * everything, ",
    "ClusterRoleBinding by-name (ClusterRole reader) lets liqo-lan get secrets, ",
    "ClusterRoleBinding accounts (ClusterRole reader) lets system:serviceaccounts get secrets, ",
    "ClusterRoleBinding all (ClusterRole reader) lets system:authenticated get secrets, ",
    "ClusterRoleBinding open (ClusterRole system:node-proxier) lets system:anonymous ",
    "RoleBinding liqo/ours (ClusterRole reader) lets system:serviceaccounts:liqo get secrets in liqo, ",
    *(
        f"RoleBinding liqo/liqo-strangers (Role liqo-strangers) lets {who} get federationrequests"
        for who in ("system:unauthenticated", "liqo-door")
    ),
    "ClusterRoleBinding liqo-kubelet-approver (ClusterRole liqo-kubelet-approver) lets liqo-kubelet-approver ",
    "liqo-kubelet-approver may not patch certificatesigningrequests.certificates.k8s.io/approval; approve ",
    "ValidatingAdmissionPolicy liqo-lan-create is not there",
    "ValidatingAdmissionPolicyBinding liqo-lan-status is not there",
    "FlowSchema liqo-strangers is not there",
    "ValidatingAdmissionPolicyBinding liqo-peers was edited: spec.validationActions[0] ",
    "ValidatingAdmissionPolicy liqo-tenants was edited: spec.matchConstraints.excludeResourceRules ",
    "ValidatingAdmissionPolicy liqo-requests was edited: spec.validations[0].expression ",
    "ValidatingWebhookConfiguration liqo was edited: webhooks[0].failurePolicy ",
    "PriorityLevelConfiguration liqo-strangers was edited: spec.limited.nominalConcurrencyShares ",
    "CustomResourceDefinition federationrequests.discovery.liqo.io was edited: spec.versions[0].schema.",
    "pods that run as ServiceAccount liqo-door would get its token",
    "Secret liqo/forever holds a token of liqo-door that never ends",
]


def key_of(kind: Kind, name: str) -> Key:
    return Key(NAMESPACE if kind.namespaced else "", name)


async def tamper(admin: HttpCluster) -> None:
    for kind, obj in CREATED:
        await admin.create(kind, obj)
    for kind, name in DELETED:
        await admin.delete(kind, Key("", name))
    for (kind, name), change in EDITED.items():
        found = await admin.get(kind, key_of(kind, name))
        change(found)
        await admin.patch(kind, key_of(kind, name), found)


async def repair(peers: Peers, admin: HttpCluster) -> None:
    """Do what the hints say."""
    for kind, obj in CREATED:
        await admin.delete(kind, Key.of(obj))
    for kind, name in EDITED:
        if kind not in KEPT:
            await admin.delete(kind, key_of(kind, name))
    webhook = Url(f"https://{peers.lab.cluster(FOREIGN).host}:9443/admission")
    what_was = Install(namespace=NAMESPACE, webhook=webhook, request_policy="Accept")
    await install(admin, what_was, lambda _line: None, SystemClock())


async def look(peers: Peers, side: str = FOREIGN) -> Diagnosis:
    async with connected(peers.lab.cluster(side).kubeconfig, None) as (cluster, access):
        return await diagnose(cluster, access, "liqo", SystemClock())


def run(peers: Peers, *options: str) -> subprocess.CompletedProcess[str]:
    kubeconfig = str(peers.lab.cluster(FOREIGN).kubeconfig)
    command = [sys.executable, "-m", "liqo", "doctor", "--kubeconfig", kubeconfig, *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def is_well(done: subprocess.CompletedProcess[str]) -> subprocess.CompletedProcess[str]:
    assert done.returncode == 0, done.stdout + done.stderr
    return done


async def test_each_thing_that_was_changed_is_told_once_and_nothing_else_is(peers: Peers) -> None:
    well = peers.until(lambda: is_well(run(peers)))
    assert "system:unauthenticated" in well.stdout
    assert "All is well" in well.stdout
    async with connected(peers.lab.cluster(FOREIGN).kubeconfig, None) as (admin, _):
        try:
            await tamper(admin)
            told = run(peers, "-o", "json")
        finally:
            await repair(peers, admin)
    assert told.returncode == 1
    left = [warning["message"] for warning in json.loads(told.stdout)["warnings"]]
    for sentence in SAID:
        (match,) = [message for message in left if message.startswith(sentence)] or [f"not said: {sentence}"]
        left.remove(match)
    assert left == []
    peers.until(lambda: is_well(run(peers)))


async def test_a_peering_is_nothing_to_warn_about_but_more_for_a_peer_than_its_own_is(shop: Shop) -> None:
    shop.deploy(1)
    shop.peers.until(partial(shop.is_running, 1))
    peer = peer_account(shop.peers.id_of(FOREIGN))
    kubectl = partial(shop.peers.lab.kubectl, HOME)
    for side, who in ((HOME, f":{peer}"), (FOREIGN, ":home")):
        found = await look(shop.peers, side)
        assert found.well, [*found.checks, *found.warnings]
        assert any(grant.subject.name.endswith(who) for grant in found.grants)
    account = f"--serviceaccount=liqo:{peer}"
    kubectl("create", "rolebinding", "thief", "-n", "liqo", "--clusterrole=view", account)
    try:
        (warning,) = (await look(shop.peers, HOME)).warnings
    finally:
        kubectl("delete", "rolebinding", "thief", "-n", "liqo")
    assert warning.message.startswith(f"RoleBinding liqo/thief (ClusterRole view) lets {peer} ")
