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
    EVENT,
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
from liqo.api.names import (
    CONTROLLER,
    ENABLED_LABEL,
    KUBELET_APPROVER,
    KUBELET_SIGNER,
    TENANT_SERVICE_ACCOUNT,
    WORKLOAD_CLUSTER_ROLE,
    peer_account,
    remote_namespace,
    tenant_namespace,
)
from liqo.api.rights import (
    EDIT,
    POD_SECURITY_LABEL,
    forge_account_subject,
    forge_object,
    forge_peer_rights,
    forge_role_ref,
    forge_rule,
    forge_tenant_rights,
    forge_workload_rights,
)
from liqo.app.kubelet_certificate import forge_approval, forge_signing_request
from liqo.errors import Forbidden, Invalid
from liqo.runtime.ports import Selection
from liqo.sharing.place import forge_place
from rights_lab import (
    ID,
    NS,
    OTHER,
    TENANT,
    Bench,
    clear,
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


async def _pod(admin: HttpCluster, node: str) -> Key:
    """Make a pod on a node anew, in a namespace whose pods may run on virtual ones."""
    key = Key("enabled", "dns")
    namespace = forge_object(NAMESPACE, key.namespace, labels={ENABLED_LABEL: "true"})
    await admin.apply(NAMESPACE, namespace, manager="test")
    account = forge_object(SERVICE_ACCOUNT, "default", key.namespace)
    await admin.apply(SERVICE_ACCOUNT, account, manager="test")
    await clear(admin, POD, key)
    pod = {
        "metadata": {"name": key.name, "namespace": key.namespace},
        "spec": {
            "nodeName": node,
            "automountServiceAccountToken": False,
            "containers": [{"name": "c", "image": "i"}],
        },
    }
    await admin.create(POD, pod)
    return key


async def _delete_pod(admin: HttpCluster, us: HttpCluster) -> None:
    await us.delete(POD, await _pod(admin, "real"), grace=0)


async def _patch_pod_status(admin: HttpCluster, us: HttpCluster) -> None:
    key = await _pod(admin, "real")
    await us.patch(POD, key, {"status": {"phase": "Failed"}}, subresource="status")


def _through_status(**metadata: object) -> Attack:
    """Return the change of a pod's metadata by a write of its status."""

    async def attack(admin: HttpCluster, us: HttpCluster) -> None:
        key = await _pod(admin, "liqo-milan")
        patch = {"metadata": metadata, "status": {"phase": "Running"}}
        answer = await us.patch(POD, key, patch, subresource="status")
        for name, value in metadata.items():
            if answer["metadata"].get(name) != value:
                raise Invalid(f"the API server kept {name} as it was")

    return attack


async def _tell_of_another(_admin: HttpCluster, us: HttpCluster) -> None:
    about = {"kind": "Service", "namespace": "kube-public", "name": "web"}
    event = forge_object(EVENT, "mine", "kube-public", involvedObject=about, reason="Lost", type="Warning")
    await us.apply(EVENT, event, manager="test")


async def _create_namespace(_admin: HttpCluster, us: HttpCluster) -> None:
    await us.apply(NAMESPACE, forge_object(NAMESPACE, "not-a-tenant"), manager="test")


async def _label_namespace(_admin: HttpCluster, us: HttpCluster) -> None:
    label = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "privileged"}}}
    await us.patch(NAMESPACE, Key("", "kube-public"), label)


async def _adopt_namespace(admin: HttpCluster, us: HttpCluster) -> None:
    place = forge_place("prod", f"prod-{ID}", ID)
    key = Key.of(place)
    await admin.apply(NAMESPACE, {"metadata": {"name": key.name}}, manager="test")
    await admin.patch(NAMESPACE, key, {"metadata": {"labels": dict.fromkeys(place["metadata"]["labels"])}})
    await us.patch(NAMESPACE, key, {"metadata": {"labels": place["metadata"]["labels"]}})


async def _open_place(admin: HttpCluster, us: HttpCluster) -> None:
    place = await _place(admin)
    label = {"metadata": {"labels": {POD_SECURITY_LABEL: "privileged"}}}
    await us.patch(NAMESPACE, Key("", place), label)


async def _give_place_away(admin: HttpCluster, us: HttpCluster) -> None:
    place = await _place(admin)
    label = {"metadata": {"labels": {"liqo.io/cluster-id": OTHER}}}
    await us.patch(NAMESPACE, Key("", place), label)


async def _place(admin: HttpCluster) -> str:
    """Return a namespace of a home cluster here, as it should be, in which the controller has its rights."""
    place = remote_namespace("fenced", ID)
    await admin.apply(NAMESPACE, forge_place("fenced", place, ID), manager="test")
    await grant(admin, forge_workload_rights(NS, place, ID)[:1])
    return place


async def _let_another_in(admin: HttpCluster, us: HttpCluster) -> None:
    await us.apply(ROLE_BINDING, forge_workload_binding(await _place(admin), OTHER), manager="test")


async def _let_out(_admin: HttpCluster, us: HttpCluster) -> None:
    await us.apply(ROLE_BINDING, forge_workload_binding("kube-public", ID), manager="test")


def forge_workload_binding(namespace: str, home_id: str) -> Wire:
    """Return what lets a home cluster run pods in a namespace."""
    subject = forge_account_subject(tenant_namespace(home_id), TENANT_SERVICE_ACCOUNT)
    ref = forge_role_ref(CLUSTER_ROLE, WORKLOAD_CLUSTER_ROLE)
    return forge_object(ROLE_BINDING, "let-in", namespace, roleRef=ref, subjects=[subject])


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
    "ends a pod of a real node by its status": ("pods", _patch_pod_status),
    "labels a pod by its status": ("pods", _through_status(labels={"app": "bank"})),
    "notes on a pod by its status": ("pods", _through_status(annotations={"a/b": "c"})),
    "holds a pod by its status": ("pods", _through_status(finalizers=["liqo.io/mine"])),
    "tells of what is no pod": ("events", _tell_of_another),
    "makes a namespace": ("namespaces", _create_namespace),
    "opens a namespace to privileged pods": ("namespaces", _label_namespace),
    "calls a namespace of ours a home cluster's": ("namespaces", _adopt_namespace),
    "opens a home cluster's namespace to privileged pods": ("namespaces", _open_place),
    "gives a home cluster's namespace to another": ("namespaces", _give_place_away),
    "lets a home cluster into another's namespace": ("bindings", _let_another_in),
    "lets a home cluster's pods run in a namespace of ours": ("bindings", _let_out),
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
    (POD, Key("enabled", "dns")),
    (EVENT, Key("kube-public", "mine")),
    (NAMESPACE, Key("", "not-a-tenant")),
    (ROLE_BINDING, Key("kube-public", "let-in")),
    (ROLE_BINDING, Key(remote_namespace("fenced", ID), "let-in")),
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
