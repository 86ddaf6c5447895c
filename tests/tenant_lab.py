"""A home cluster's account in its place on this cluster, and what it tries there."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from liqo.adapters.kube import HttpCluster
from liqo.api.kinds import (
    CLUSTER_ROLE,
    NAMESPACE,
    POD,
    ROLE_BINDING,
    SERVICE_ACCOUNT,
)
from liqo.api.meta import Wire
from liqo.api.names import (
    POD_CIDRS_ANNOTATION,
    WORKLOAD_CLUSTER_ROLE,
    remote_namespace,
)
from liqo.api.rights import (
    forge_account_subject,
    forge_object,
    forge_role_ref,
    forge_tenant_rights,
    forge_workload_rights,
)
from liqo.errors import Fault, Forbidden
from liqo.node.forge_pod import forge_pod
from liqo.runtime.ports import Selection
from liqo.sharing.place import forge_place
from rights_lab import ID, NS, OTHER, TENANT, Bench, Call, eventually, grant, left_out, refused

PLACE = remote_namespace("shop", ID)
STRANGE = {
    "another tenant's place": remote_namespace("shop", OTHER),
    "its tenant namespace": TENANT,
    "a namespace of nobody's": "kube-public",
}
OWNER = {"apiVersion": "v1", "kind": "Namespace", "name": PLACE, "uid": "1"}
Attack = Callable[[HttpCluster, HttpCluster], Awaitable[object]]
"""(admin, tenant): sets the stage as the first, and tries as the second."""


async def settle(bench: Bench) -> HttpCluster:
    """Return a client with the token of a home cluster that has one place here, and far too many rights elsewhere."""
    admin = bench.admin
    await grant(admin, forge_tenant_rights(NS, ID, []))
    for home_id in (ID, OTHER):
        place = forge_place("shop", remote_namespace("shop", home_id), home_id)
        # Pod Security is tried elsewhere: here it would hide what these policies miss.
        place["metadata"]["annotations"] = {POD_CIDRS_ANNOTATION: "fd00:77::/64,10.222.0.0/16"}
        place["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] = "privileged"
        await admin.apply(NAMESPACE, place, manager="test")
    await grant(admin, forge_workload_rights(NS, PLACE, ID))
    for namespace in (PLACE, *STRANGE.values()):
        await admin.apply(
            SERVICE_ACCOUNT, forge_object(SERVICE_ACCOUNT, "default", namespace), manager="test"
        )
    for namespace in STRANGE.values():
        binding = forge_object(
            ROLE_BINDING,
            "far-too-much",
            namespace,
            roleRef=forge_role_ref(CLUSTER_ROLE, WORKLOAD_CLUSTER_ROLE),
            subjects=[forge_account_subject(TENANT, "home")],
        )
        await admin.apply(ROLE_BINDING, binding, manager="test")
    client = await bench.account(TENANT, "home")
    for namespace in (PLACE, *STRANGE.values()):
        await eventually(partial(client.list, Selection(POD, namespace=namespace)))
    return client


def forge_mine(namespace: str = PLACE, **spec: Any) -> Wire:
    """Return a pod as a home cluster sends it."""
    home: Wire = {
        "metadata": {"name": "web", "namespace": "shop", "uid": "5a", "labels": {"app": "web"}},
        "spec": {"nodeName": "liqo-milan", "containers": [{"name": "web", "image": "web:1"}]},
    }
    pod = forge_pod(home, namespace)
    pod["spec"].update(spec)
    return pod


async def stopped(
    bench: Bench, tenant: HttpCluster, policy: str, attacks: dict[str, tuple[str, Attack]]
) -> None:
    """See that each attack is refused with its reason, and that all succeed while that policy is left out."""

    async def all_refused() -> None:
        for sentence, (says, attack) in attacks.items():
            try:
                message = await refusal(partial(attack, bench.admin, tenant))
            except AssertionError as nobody:
                raise AssertionError(f"{sentence}: {nobody}") from nobody
            assert says in message, f"{sentence}: {message}"

    await all_refused()
    async with left_out(bench, policy):
        for sentence, (_, attack) in attacks.items():
            try:
                await eventually(partial(attack, bench.admin, tenant))
            except Fault as fault:
                raise AssertionError(f"{sentence} is not stopped by {policy}: {fault}") from fault
    await all_refused()


async def refusal(attack: Call) -> str:
    """Return with what words an attack is refused, once it is."""
    found: list[str] = []

    async def attempt() -> None:
        try:
            await attack()
        except Forbidden as fault:
            found.append(fault.message)
            raise

    await refused(attempt, Forbidden)
    return found[-1]
