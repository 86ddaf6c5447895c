"""Tries to make our own controller do what it is not for, on a real API server.

Each attack has its negative control: with the one fence left out it succeeds, so that the fence is what stops
it.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial

import pytest

from liqo.adapters.kube import HttpCluster
from liqo.adapters.serving import forge_kubelet_request
from liqo.api.kinds import (
    ADVERTISEMENT,
    CERTIFICATE_REQUEST,
    CLUSTER_ROLE,
    CONFIG_MAP,
    LEASE,
    NAMESPACE,
    NODE,
    POD,
    ROLE,
    ROLE_BINDING,
    SECRET,
    SERVICE_ACCOUNT,
)
from liqo.api.meta import Key, Wire
from liqo.api.names import CONTROLLER, KUBELET_APPROVER, KUBELET_SIGNER, peer_account
from liqo.api.rights import (
    EDIT,
    forge_object,
    forge_peer_rights,
    forge_rule,
    forge_tenant_rights,
)
from liqo.app.kubelet_certificate import forge_approval, forge_signing_request
from liqo.errors import Forbidden
from liqo.runtime.ports import Selection
from rights_lab import (
    ID,
    NS,
    TENANT,
    Bench,
    eventually,
    forge_binding,
    forge_token_request,
    grant,
    stopped_by,
)

pytestmark = pytest.mark.lab


Attack = Callable[[HttpCluster, HttpCluster], Awaitable[object]]
"""(admin, controller): sets the stage as the first, and tries as the second."""


async def _real_node(admin: HttpCluster, name: str = "real") -> Key:
    key = Key("", name)
    await admin.delete(NODE, key)
    await admin.create(NODE, {"metadata": {"name": name}})
    return key


async def _patch_node(admin: HttpCluster, us: HttpCluster) -> None:
    key = await _real_node(admin)
    await us.patch(NODE, key, {"spec": {"unschedulable": True}})


async def _adopt_node(admin: HttpCluster, us: HttpCluster) -> None:
    key = await _real_node(admin, "liqo-real")
    label = {"metadata": {"labels": {"liqo.io/type": "virtual-node"}}}
    await us.patch(NODE, key, label)


async def _patch_node_status(admin: HttpCluster, us: HttpCluster) -> None:
    key = await _real_node(admin)
    body = {"status": {"capacity": {"cpu": "0"}}}
    await us.patch(NODE, key, body, subresource="status")


async def _delete_node(admin: HttpCluster, us: HttpCluster) -> None:
    key = await _real_node(admin)
    await us.delete(NODE, key)


async def _keep_node_alive(_admin: HttpCluster, us: HttpCluster) -> None:
    lease = {"metadata": {"name": "real", "namespace": "kube-node-lease"}, "spec": {"holderIdentity": "x"}}
    await us.apply(LEASE, lease, manager="test")


async def _delete_pod(admin: HttpCluster, us: HttpCluster) -> None:
    account = forge_object(SERVICE_ACCOUNT, "default", "kube-public")
    await admin.apply(SERVICE_ACCOUNT, account, manager="test")
    pod = {
        "metadata": {"name": "dns", "namespace": "kube-public"},
        "spec": {
            "nodeName": "real",
            "automountServiceAccountToken": False,
            "containers": [{"name": "c", "image": "i"}],
        },
    }
    await admin.apply(POD, pod, manager="test")
    await us.delete(POD, Key("kube-public", "dns"), grace=0)


async def _create_namespace(_admin: HttpCluster, us: HttpCluster) -> None:
    await us.apply(NAMESPACE, forge_object(NAMESPACE, "not-a-tenant"), manager="test")


async def _label_namespace(_admin: HttpCluster, us: HttpCluster) -> None:
    label = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "privileged"}}}
    await us.patch(NAMESPACE, Key("", "kube-public"), label)


async def _bind_elsewhere(_admin: HttpCluster, us: HttpCluster) -> None:
    binding = forge_binding("mine", "kube-system", CLUSTER_ROLE, "liqo-tenant-controller", CONTROLLER)
    await us.apply(ROLE_BINDING, binding, manager="test")


async def _unbind_elsewhere(admin: HttpCluster, us: HttpCluster) -> None:
    binding = forge_binding("theirs", "kube-system", CLUSTER_ROLE, "view", "someone")
    await admin.apply(ROLE_BINDING, binding, manager="test")
    await us.delete(ROLE_BINDING, Key("kube-system", "theirs"))


async def _clone_itself(_admin: HttpCluster, us: HttpCluster) -> None:
    binding = forge_binding("peer-clone", NS, ROLE, CONTROLLER, "peer-clone")
    await us.apply(ROLE_BINDING, binding, manager="test")


async def _bind_anonymous(_admin: HttpCluster, us: HttpCluster) -> None:
    await us.apply(
        ROLE, forge_object(ROLE, "peer-all", NS, rules=[forge_rule(ADVERTISEMENT, EDIT)]), manager="test"
    )
    group = {"apiGroup": ROLE.group, "kind": "Group", "name": "system:unauthenticated"}
    binding = forge_binding("peer-all", NS, ROLE, "peer-all", "unused")
    await us.apply(ROLE_BINDING, {**binding, "subjects": [group]}, manager="test")


async def _pass_secrets_on(_admin: HttpCluster, us: HttpCluster) -> None:
    rule = forge_rule(SECRET, ["get"], names=["cluster-identity"])
    await us.apply(ROLE, forge_object(ROLE, "peer-thief", NS, rules=[rule]), manager="test")


async def _change_strangers(_admin: HttpCluster, us: HttpCluster) -> None:
    rule = forge_rule(ADVERTISEMENT, EDIT)
    await us.apply(ROLE, forge_object(ROLE, "strangers", NS, rules=[rule]), manager="test")


async def _make_account(_admin: HttpCluster, us: HttpCluster) -> None:
    await us.apply(SERVICE_ACCOUNT, forge_object(SERVICE_ACCOUNT, "mine", NS), manager="test")


async def _own_token(_admin: HttpCluster, us: HttpCluster) -> None:
    await us.post(f"{SERVICE_ACCOUNT.path(NS, CONTROLLER)}/token", forge_token_request(3600))


async def _long_token(admin: HttpCluster, us: HttpCluster) -> None:
    account = forge_object(SERVICE_ACCOUNT, peer_account(ID), NS)
    await admin.apply(SERVICE_ACCOUNT, account, manager="test")
    path = f"{SERVICE_ACCOUNT.path(NS, peer_account(ID))}/token"
    await us.post(path, forge_token_request(2**32))


async def _other_secret(admin: HttpCluster, us: HttpCluster) -> None:
    await admin.delete(SECRET, Key(NS, "mine"))
    await us.create(SECRET, forge_object(SECRET, "mine", NS))


async def _token_secret(admin: HttpCluster, us: HttpCluster) -> None:
    await admin.delete(SECRET, Key(NS, "liqo-serving"))
    secret = forge_object(SECRET, "liqo-serving", NS, type="kubernetes.io/service-account-token")
    secret["metadata"]["annotations"] = {"kubernetes.io/service-account.name": CONTROLLER}
    await us.create(SECRET, secret)


async def _client_certificate(_admin: HttpCluster, us: HttpCluster) -> None:
    await us.create(
        CERTIFICATE_REQUEST, forge_csr("theirs", "kubernetes.io/kube-apiserver-client", "client auth")
    )


async def _csr_of_another_name(_admin: HttpCluster, us: HttpCluster) -> None:
    await us.create(CERTIFICATE_REQUEST, forge_csr("theirs", KUBELET_SIGNER, "server auth"))


async def _delete_csr(admin: HttpCluster, us: HttpCluster) -> None:
    made = await admin.create(CERTIFICATE_REQUEST, forge_csr("theirs", KUBELET_SIGNER, "server auth"))
    await us.delete(CERTIFICATE_REQUEST, Key.of(made))


def forge_csr(name: str, signer: str, usage: str) -> Wire:
    request, _key = forge_kubelet_request("192.0.2.1")
    spec = {**forge_signing_request(request)["spec"], "signerName": signer, "usages": [usage]}
    return {"metadata": {"generateName": name}, "spec": spec}


ATTACKS: dict[str, tuple[str, Attack]] = {
    "cordons a real node": ("nodes", _patch_node),
    "calls a real node its own": ("nodes", _adopt_node),
    "changes a real node's capacity": ("nodes", _patch_node_status),
    "deletes a real node": ("nodes", _delete_node),
    "keeps a dead node alive": ("leases", _keep_node_alive),
    "deletes a pod of a real node": ("pods", _delete_pod),
    "makes a namespace": ("namespaces", _create_namespace),
    "opens a namespace to privileged pods": ("namespaces", _label_namespace),
    "binds itself in kube-system": ("bindings", _bind_elsewhere),
    "takes away rights of others": ("bindings", _unbind_elsewhere),
    "gives another account its own rights": ("bindings", _clone_itself),
    "gives strangers rights": ("bindings", _bind_anonymous),
    "passes on its right to the identity": ("roles", _pass_secrets_on),
    "writes a role of nobody's": ("roles", _change_strangers),
    "makes an account": ("accounts", _make_account),
    "renews its own token": ("tokens", _own_token),
    "issues a token for 136 years": ("tokens", _long_token),
    "keeps another Secret": ("secrets", _other_secret),
    "has a Secret filled with a token": ("secrets", _token_secret),
    "asks for a certificate to come as somebody else": ("certificates", _client_certificate),
    "asks for a certificate under another name": ("certificates", _csr_of_another_name),
    "withdraws what others ask for": ("certificates", _delete_csr),
}

LEFT = (
    (NODE, Key("", "real")),
    (NODE, Key("", "liqo-real")),
    (LEASE, Key("kube-node-lease", "real")),
    (POD, Key("kube-public", "dns")),
    (NAMESPACE, Key("", "not-a-tenant")),
    (ROLE_BINDING, Key("kube-system", "mine")),
    (ROLE_BINDING, Key("kube-system", "theirs")),
    (ROLE_BINDING, Key(NS, "peer-clone")),
    (ROLE_BINDING, Key(NS, "peer-all")),
    (ROLE, Key(NS, "peer-all")),
    (ROLE, Key(NS, "peer-thief")),
    (ROLE, Key(NS, "strangers")),
    (SERVICE_ACCOUNT, Key(NS, "mine")),
    (SECRET, Key(NS, "mine")),
    (SECRET, Key(NS, "liqo-serving")),
)
"""What attacks leave behind that succeeded."""


@pytest.mark.parametrize("sentence", ATTACKS)
async def test_the_controller_never(bench: Bench, controller: HttpCluster, sentence: str) -> None:
    fence, attack = ATTACKS[sentence]
    await stopped_by(bench, f"liqo-controller-{fence}", partial(attack, bench.admin, controller), Forbidden)
    for kind, key in LEFT:
        await bench.admin.delete(kind, key, grace=0)


async def test_the_approver_approves_nothing_but_what_the_controller_asks_for(
    bench: Bench, controller: HttpCluster
) -> None:
    approver = await bench.account(NS, KUBELET_APPROVER)

    async def approve(made: Wire) -> Wire:
        patch = forge_approval(made, datetime(2026, 11, 23, tzinfo=UTC))
        return await approver.patch(CERTIFICATE_REQUEST, Key.of(made), patch, subresource="approval")

    async def attack() -> None:
        request, _key = forge_kubelet_request("192.0.2.1")
        await approve(await bench.admin.create(CERTIFICATE_REQUEST, forge_signing_request(request)))

    await stopped_by(bench, KUBELET_APPROVER, attack, Forbidden)
    request, _key = forge_kubelet_request("192.0.2.1")
    made = await controller.create(CERTIFICATE_REQUEST, forge_signing_request(request))
    answer = await approve(made)
    assert [c["type"] for c in answer["status"]["conditions"]] == ["Approved"]
    await controller.delete(CERTIFICATE_REQUEST, Key.of(made))
    made = await controller.create(CERTIFICATE_REQUEST, forge_signing_request(request))
    with pytest.raises(Forbidden):
        await controller.patch(
            CERTIFICATE_REQUEST, Key.of(made), {"metadata": {"labels": {"a": "b"}}}, subresource="approval"
        )
    client = forge_csr("theirs", "kubernetes.io/kube-apiserver-client", "client auth")
    theirs = await bench.admin.create(CERTIFICATE_REQUEST, client)
    with pytest.raises(Forbidden):
        await approve(theirs)


async def test_the_controller_has_no_right_that_reaches_other_secrets_or_roles(
    bench: Bench, controller: HttpCluster
) -> None:
    theirs = forge_object(SECRET, "theirs", "kube-system", stringData={"a": "b"})
    await bench.admin.apply(SECRET, theirs, manager="test")
    binding = forge_binding("peer-admin", NS, CLUSTER_ROLE, "cluster-admin", "peer-admin")
    attempts: list[
        tuple[Callable[..., Awaitable[object]], Callable[..., Awaitable[object]], tuple[object, ...]]
    ] = [
        (controller.get, bench.admin.get, (SECRET, Key("kube-system", "theirs"))),
        (controller.list, bench.admin.list, (Selection(SECRET, namespace="kube-system"),)),
        (controller.list, bench.admin.list, (Selection(SECRET, namespace=NS),)),
        (controller.list, bench.admin.list, (Selection(CONFIG_MAP, namespace="kube-system"),)),
        (controller.create, bench.admin.create, (ROLE_BINDING, binding)),
    ]
    for forbidden, control, arguments in attempts:
        with pytest.raises(Forbidden):
            await forbidden(*arguments)
        await control(*arguments)
    await bench.admin.delete(ROLE_BINDING, Key(NS, "peer-admin"))


async def test_the_controller_gives_and_issues_all_that_a_peering_needs(
    bench: Bench, controller: HttpCluster
) -> None:
    await grant(controller, forge_peer_rights(NS, ID))
    await grant(controller, forge_tenant_rights(NS, ID, [f"{ID}-own"]))
    for namespace, name in ((NS, peer_account(ID)), (TENANT, "home")):
        path = f"{SERVICE_ACCOUNT.path(namespace, name)}/token"
        await eventually(partial(controller.post, path, forge_token_request(43_200)))
    node = {"metadata": {"name": "liqo-milan", "labels": {"liqo.io/type": "virtual-node"}}}
    await bench.admin.delete(NODE, Key("", "liqo-milan"))
    await controller.create(NODE, node)
    patch = {"status": {"capacity": {"cpu": "1"}}}
    await controller.patch(NODE, Key("", "liqo-milan"), patch, subresource="status")
    lease = {"metadata": {"name": "liqo-milan", "namespace": "kube-node-lease"}, "spec": {}}
    await controller.apply(LEASE, lease, manager="test")
    await controller.delete(NODE, Key("", "liqo-milan"))
    await bench.admin.delete(SECRET, Key(NS, "liqo-serving"))
    serving = forge_object(SECRET, "liqo-serving", NS, stringData={"tls.crt": "", "tls.key": ""})
    await controller.create(SECRET, {**serving, "type": "kubernetes.io/tls"})
    await controller.get(SECRET, Key(NS, "liqo-serving"))
    await bench.admin.delete(SECRET, Key(NS, "liqo-serving"))
