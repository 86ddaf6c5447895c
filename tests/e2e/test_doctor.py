"""`liqo doctor` on a real cluster: silent about what was installed, one sentence for each change of it."""

import json
import subprocess
import sys
from functools import partial
from typing import Any

import pytest

from e2e_peers import Peers
from liqo.adapters.clock import SystemClock
from liqo.api.names import peer_account
from liqo.app.doctor import Diagnosis, diagnose
from liqo.app.installing import install
from liqo.app.setup import connected
from liqo.install.manifests import Install
from liqo.install.webhook import Url
from offloading import FOREIGN, HOME, Shop

pytestmark = pytest.mark.lab

TOKEN = {
    "apiVersion": "v1",
    "kind": "Secret",
    "type": "kubernetes.io/service-account-token",
    "metadata": {
        "name": "forever",
        "namespace": "liqo",
        "annotations": {"kubernetes.io/service-account.name": "liqo-door"},
    },
}
REQUESTS = {"apiGroups": ["discovery.liqo.io"], "resources": ["federationrequests"]}
CSR = {
    "apiGroups": ["certificates.k8s.io"],
    "resources": ["certificatesigningrequests"],
    "verbs": ["approve"],
}
RULE = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
MAX_LENGTH = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/kubeConfig/maxLength"

CREATED = {
    "clusterrole reader": ["--verb=get", "--resource=secrets"],
    "clusterrolebinding all-secrets": ["--clusterrole=reader", "--serviceaccount=liqo:liqo-controller"],
    "clusterrolebinding owner": ["--clusterrole=cluster-admin", "--serviceaccount=liqo:liqo-door"],
    "clusterrolebinding by-name": ["--clusterrole=reader", "--user=system:serviceaccount:liqo:liqo-lan"],
    "clusterrolebinding accounts": ["--clusterrole=reader", "--group=system:serviceaccounts"],
    "clusterrolebinding all": ["--clusterrole=reader", "--group=system:authenticated"],
    "clusterrolebinding open": ["--clusterrole=system:node-proxier", "--user=system:anonymous"],
    "rolebinding ours -n liqo": ["--clusterrole=reader", "--group=system:serviceaccounts:liqo"],
}
DELETED = (
    "validatingadmissionpolicy liqo-lan-create",
    "validatingadmissionpolicybinding liqo-lan-status",
    "flowschema liqo-strangers",
)
EDITED: dict[str, Any] = {
    "role liqo-strangers -n liqo": {"rules": [{**REQUESTS, "verbs": ["get", "create"]}]},
    "clusterrole liqo-kubelet-approver": {"rules": [CSR]},
    "validatingadmissionpolicybinding liqo-peers": {"spec": {"validationActions": ["Warn"]}},
    "validatingadmissionpolicy liqo-tenants": {
        "spec": {"matchConstraints": {"excludeResourceRules": [RULE]}}
    },
    "validatingadmissionpolicy liqo-requests": [
        {"op": "replace", "path": "/spec/validations/0/expression", "value": "true"}
    ],
    "validatingwebhookconfiguration liqo": [
        {"op": "replace", "path": "/webhooks/0/failurePolicy", "value": "Ignore"}
    ],
    "prioritylevelconfiguration liqo-strangers": {"spec": {"limited": {"nominalConcurrencyShares": 100}}},
    "crd federationrequests.discovery.liqo.io": [{"op": "remove", "path": MAX_LENGTH}],
    "serviceaccount liqo-door -n liqo": {"automountServiceAccountToken": True},
}
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


def tamper(peers: Peers) -> None:
    kubectl = partial(peers.lab.kubectl, FOREIGN)
    for what, options in CREATED.items():
        kubectl("create", *what.split(), *options)
    kubectl("apply", "-f", "-", text=json.dumps(TOKEN))
    for what in DELETED:
        kubectl("delete", *what.split())
    for what, patch in EDITED.items():
        how = "json" if isinstance(patch, list) else "merge"
        kubectl("patch", *what.split(), "--type", how, "-p", json.dumps(patch))


async def repair(peers: Peers) -> None:
    """Do what the hints say."""
    kept = ("crd ", "serviceaccount ", "validatingwebhookconfiguration ")
    gone = [*CREATED, "secret forever -n liqo", *(what for what in EDITED if not what.startswith(kept))]
    for what in gone:
        peers.lab.kubectl(FOREIGN, "delete", *what.split(), "--ignore-not-found")
    async with connected(peers.lab.cluster(FOREIGN).kubeconfig, None) as (cluster, _):
        url = f"https://{peers.lab.cluster(FOREIGN).host}:9443/admission"
        what_was = Install(namespace="liqo", webhook=Url(url), request_policy="Accept")
        await install(cluster, what_was, lambda _line: None, SystemClock())


async def look(peers: Peers, side: str = FOREIGN) -> Diagnosis:
    async with connected(peers.lab.cluster(side).kubeconfig, None) as (cluster, access):
        return await diagnose(cluster, access, "liqo", SystemClock())


def run(peers: Peers, *options: str) -> subprocess.CompletedProcess[str]:
    kubeconfig = str(peers.lab.cluster(FOREIGN).kubeconfig)
    command = [sys.executable, "-m", "liqo", "doctor", "--kubeconfig", kubeconfig, *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


async def test_each_thing_that_was_changed_is_told_once_and_nothing_else_is(peers: Peers) -> None:
    well = run(peers)
    assert well.returncode == 0, well.stdout + well.stderr
    assert "system:unauthenticated" in well.stdout
    assert "All is well" in well.stdout
    try:
        tamper(peers)
        told = run(peers, "-o", "json")
    finally:
        await repair(peers)
    assert told.returncode == 1
    left = [warning["message"] for warning in json.loads(told.stdout)["warnings"]]
    for sentence in SAID:
        (match,) = [message for message in left if message.startswith(sentence)] or [f"not said: {sentence}"]
        left.remove(match)
    assert left == []
    again = await look(peers)
    assert (again.warnings, [check for check in again.checks if not check.ok]) == ([], [])


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
