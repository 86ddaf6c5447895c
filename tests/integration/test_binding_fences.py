"""Tries to let our own controller read or give more by the roles that it may bind, on a real API server.

A policy allows its RoleBindings of Liqo's fixed roles, in opted-in namespaces and those of home clusters, only. With
the policy left out each attack succeeds.
"""

from collections.abc import Awaitable, Callable
from functools import partial

import pytest

from liqo.adapters.kube import HttpCluster
from liqo.api.kinds import CLUSTER_ROLE, CLUSTER_ROLE_BINDING, NAMESPACE, ROLE_BINDING, SECRET
from liqo.api.meta import Key
from liqo.api.names import (
    CONTROLLER,
    ENABLED_LABEL,
    WORKLOAD_CLUSTER_ROLE,
    peer_account,
    remote_namespace,
)
from liqo.api.rights import (
    OFFLOAD_ROLE,
    forge_account_subject,
    forge_object,
    forge_offload_rights,
    forge_role_ref,
    forge_rule,
    forge_workload_rights,
)
from liqo.errors import Forbidden
from liqo.sharing.place import forge_place
from rights_lab import ID, NS, Bench, eventually, forge_binding, grant, stopped_by

pytestmark = pytest.mark.lab

OPEN, CLOSED = "opted-in", "kube-public"
PLACE = remote_namespace("bound", ID)
THEIRS = "theirs"
Attack = Callable[[HttpCluster, HttpCluster], Awaitable[object]]
"""(admin, controller): sets the stage as the first, and tries as the second."""


@pytest.fixture
async def stage(bench: Bench) -> Bench:
    """Have a namespace that a person opted in, one of a home cluster, and Secrets."""
    opted_in = forge_object(NAMESPACE, OPEN, labels={ENABLED_LABEL: "true"})
    await bench.admin.apply(NAMESPACE, opted_in, manager="test")
    await bench.admin.apply(NAMESPACE, forge_place("bound", PLACE, ID), manager="test")
    await grant(bench.admin, forge_workload_rights(NS, PLACE, ID)[:1])
    for namespace in (OPEN, CLOSED):
        secret = forge_object(SECRET, THEIRS, namespace, stringData={"a": "b"})
        await bench.admin.apply(SECRET, secret, manager="test")
    return bench


async def _read_unasked(_admin: HttpCluster, us: HttpCluster) -> None:
    await us.apply(ROLE_BINDING, forge_offload_rights(NS, CLOSED), manager="test")
    await us.get(SECRET, Key(CLOSED, THEIRS))


async def _opt_in(admin: HttpCluster, us: HttpCluster) -> None:
    def label(value: str | None) -> dict[str, object]:
        return {"metadata": {"labels": {ENABLED_LABEL: value}}}

    await admin.patch(NAMESPACE, Key("", CLOSED), label(None))
    await us.patch(NAMESPACE, Key("", CLOSED), label("true"))


async def _let_another_read(_admin: HttpCluster, us: HttpCluster) -> None:
    subjects = [forge_account_subject(NS, peer_account(ID))]
    await us.apply(ROLE_BINDING, {**forge_offload_rights(NS, OPEN), "subjects": subjects}, manager="test")


async def _take_more(admin: HttpCluster, us: HttpCluster) -> None:
    binding = forge_offload_rights(NS, OPEN)
    await admin.delete(ROLE_BINDING, Key.of(binding))
    ref = forge_role_ref(CLUSTER_ROLE, WORKLOAD_CLUSTER_ROLE)
    await us.apply(ROLE_BINDING, {**binding, "roleRef": ref}, manager="test")


async def _bind_another_role(admin: HttpCluster, us: HttpCluster) -> None:
    """Bind a role of the cluster's own; RBAC alone stops that too, so the right to is given here."""
    rule = forge_rule(CLUSTER_ROLE, ["bind"], names=["view"])
    await admin.apply(CLUSTER_ROLE, forge_object(CLUSTER_ROLE, "binds-view", rules=[rule]), manager="test")
    ref, subjects = forge_role_ref(CLUSTER_ROLE, "binds-view"), [forge_account_subject(NS, CONTROLLER)]
    given = forge_object(CLUSTER_ROLE_BINDING, "binds-view", roleRef=ref, subjects=subjects)
    await admin.apply(CLUSTER_ROLE_BINDING, given, manager="test")
    binding = forge_binding("viewer", PLACE, CLUSTER_ROLE, "view", CONTROLLER)
    await us.apply(ROLE_BINDING, binding, manager="test")


ATTACKS: dict[str, tuple[str, Attack]] = {
    "reads the Secrets of a namespace that did not ask": ("bindings", _read_unasked),
    "opts a namespace in itself": ("namespaces", _opt_in),
    "lets another read where pods may go": ("bindings", _let_another_read),
    "takes more rights where pods may go": ("bindings", _take_more),
    "binds a role that is not one of Liqo's": ("bindings", _bind_another_role),
}
LEFT = (
    (ROLE_BINDING, Key(CLOSED, OFFLOAD_ROLE)),
    (ROLE_BINDING, Key(OPEN, OFFLOAD_ROLE)),
    (ROLE_BINDING, Key(PLACE, "viewer")),
    (CLUSTER_ROLE_BINDING, Key("", "binds-view")),
    (CLUSTER_ROLE, Key("", "binds-view")),
)
"""What attacks leave behind that succeeded."""


@pytest.mark.parametrize("sentence", ATTACKS)
async def test_the_controller_never(stage: Bench, controller: HttpCluster, sentence: str) -> None:
    fence, attack = ATTACKS[sentence]
    await stopped_by(stage, f"liqo-controller-{fence}", partial(attack, stage.admin, controller), Forbidden)
    await stage.admin.patch(NAMESPACE, Key("", CLOSED), {"metadata": {"labels": {ENABLED_LABEL: None}}})
    for kind, key in LEFT:
        await stage.admin.delete(kind, key)


@pytest.mark.usefixtures("stage")
async def test_the_controller_reads_secrets_once_it_is_bound_where_a_person_opted_in(
    controller: HttpCluster,
) -> None:
    key, binding = Key(OPEN, THEIRS), forge_offload_rights(NS, OPEN)
    with pytest.raises(Forbidden):
        await controller.get(SECRET, key)
    await eventually(partial(controller.apply, ROLE_BINDING, binding, manager="test"))
    await eventually(partial(controller.get, SECRET, key))
    await controller.delete(ROLE_BINDING, Key.of(binding))
