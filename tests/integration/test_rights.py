"""Tries to get past Liqo's rights and fences on a real API server.

Each attack has its negative control: with the one fence left out it succeeds, so that the fence is what stops
it.
"""

from contextlib import suppress
from datetime import UTC, datetime
from functools import partial

import pytest

from liqo.adapters.kube import HttpCluster
from liqo.adapters.transport import Request
from liqo.api.kinds import (
    ADVERTISEMENT,
    CONFIG_MAP,
    FEDERATION_REQUEST,
    NAMESPACE,
    NAMESPACE_MAP,
    POD_METRICS,
    ROLE_BINDING,
    SECRET,
    SERVICE_ACCOUNT,
)
from liqo.api.meta import Key, Kind, Wire
from liqo.api.names import INVITE_PREFIX, WELL_KNOWN_CONFIG_MAP, peer_account, remote_namespace
from liqo.api.rights import EDIT, forge_object, forge_peer_rights, forge_tenant_rights, forge_workload_rights
from liqo.errors import Absent, Forbidden, Invalid
from liqo.peering.invites import forge_account, forge_binding
from liqo.runtime.ports import Selection
from rights_lab import (
    ID,
    NS,
    OTHER,
    TENANT,
    Bench,
    Call,
    allowed,
    clear,
    eventually,
    forge_advertisement,
    forge_request,
    forge_token_request,
    grant,
    rules,
    stopped_by,
)

pytestmark = pytest.mark.lab

NODE_METRICS = Kind("metrics.k8s.io", "v1beta1", "NodeMetrics", "nodes", namespaced=False)


# Strangers.


async def test_a_stranger_may_create_a_request_and_get_one_config_map_and_nothing_else(bench: Bench) -> None:
    user = {"user": "system:anonymous", "groups": ["system:unauthenticated"]}
    request = (FEDERATION_REQUEST.resource, "create")
    assert await allowed(bench, user, NS) == {request}
    assert await allowed(bench, user, NS, WELL_KNOWN_CONFIG_MAP) == {request, ("configmaps", "get")}
    assert await allowed(bench, user, "") == set()


async def test_a_stranger_asks_and_cannot_look_at_what_came_of_it(bench: Bench) -> None:
    stranger, name = bench.stranger(), f"{ID}-strange"
    key = Key(NS, name)
    await bench.admin.delete(FEDERATION_REQUEST, key)
    await stranger.create(FEDERATION_REQUEST, forge_request(name))
    attempts: list[Call] = [
        partial(stranger.get, FEDERATION_REQUEST, key),
        partial(stranger.list, Selection(FEDERATION_REQUEST, namespace=NS)),
        partial(stranger.patch, FEDERATION_REQUEST, key, {"metadata": {"labels": {"a": "b"}}}),
        partial(stranger.apply, FEDERATION_REQUEST, forge_request(f"{ID}-new"), manager="test"),
        partial(stranger.delete, FEDERATION_REQUEST, key),
        partial(stranger.get, SECRET, Key(NS, "cluster-identity")),
        partial(stranger.get, CONFIG_MAP, Key(NS, "trusted-ca-certificates")),
    ]
    for attempt in attempts:
        with pytest.raises(Forbidden):
            await attempt()
    await bench.admin.get(FEDERATION_REQUEST, key)


async def test_everybody_reads_the_well_known_document(bench: Bench) -> None:
    document = forge_object(CONFIG_MAP, WELL_KNOWN_CONFIG_MAP, NS, data={"document": "signed"})
    await bench.admin.apply(CONFIG_MAP, document, manager="test")
    await bench.admin.apply(SERVICE_ACCOUNT, forge_object(SERVICE_ACCOUNT, "nobody", NS), manager="test")
    for client in (bench.stranger(), await bench.account(NS, "nobody")):
        found = await client.get(CONFIG_MAP, Key(NS, WELL_KNOWN_CONFIG_MAP))
        assert found["data"] == {"document": "signed"}


@pytest.mark.parametrize(
    "metadata",
    [
        {"finalizers": ["example.com/hang"]},
        {"labels": {"a": "b"}},
        {"annotations": {"a": "b" * 1000}},
        {"ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "gone", "uid": "1"}]},
    ],
    ids=lambda m: next(iter(m)),
)
async def test_a_stranger_sets_no_metadata(bench: Bench, metadata: Wire) -> None:
    stranger, name = bench.stranger(), f"{ID}-metadata"

    async def attack() -> None:
        await clear(bench.admin, FEDERATION_REQUEST, Key(NS, name))
        await stranger.create(FEDERATION_REQUEST, forge_request(name, **metadata))

    await stopped_by(bench, "liqo-requests", attack, Invalid)


async def test_a_stranger_makes_no_dry_run(bench: Bench) -> None:
    path, body = FEDERATION_REQUEST.path(NS), forge_request(f"{ID}-dry")
    dry = Request("create", "raw", "POST", path, "dryRun=All", body)
    attack = partial(bench.stranger()._transport.send, dry)
    await stopped_by(bench, "liqo-requests", attack, Invalid)


# Invites.


async def invited(bench: Bench, name: str) -> HttpCluster:
    """Make an invite as `liqo invite` does; return a client with its token."""
    end = datetime(2099, 1, 1, tzinfo=UTC)
    account = await bench.admin.apply(SERVICE_ACCOUNT, forge_account(name, NS, expires=end), manager="test")
    await bench.admin.apply(ROLE_BINDING, forge_binding(account), manager="test")
    return await bench.account(NS, name)


async def test_an_invite_creates_a_request_that_names_it_and_nothing_else(bench: Bench) -> None:
    name = f"{INVITE_PREFIX}rights"
    guest = await invited(bench, name)
    groups = ["system:serviceaccounts", f"system:serviceaccounts:{NS}"]
    user, anybody = (
        {"user": f"system:serviceaccount:{NS}:{name}", "groups": groups},
        {"user": "x", "groups": groups},
    )
    request = (FEDERATION_REQUEST.resource, "create")
    assert await allowed(bench, user, NS) == await allowed(bench, anybody, NS) | {request}
    wire = forge_request(f"{ID}-guest", invite=name)
    await clear(bench.admin, FEDERATION_REQUEST, Key(NS, f"{ID}-guest"))
    await eventually(partial(guest.create, FEDERATION_REQUEST, wire))


@pytest.mark.parametrize("named", ["invite-another", ""])
async def test_an_invite_s_token_names_no_other_invite(bench: Bench, named: str) -> None:
    guest, name = await invited(bench, f"{INVITE_PREFIX}mine"), f"{ID}-other"
    wire = forge_request(name, invite=named)

    async def attack() -> None:
        await clear(bench.admin, FEDERATION_REQUEST, Key(NS, name))
        await guest.create(FEDERATION_REQUEST, wire)

    await stopped_by(bench, "liqo-requests", attack, Invalid)


async def test_a_stranger_names_no_invite(bench: Bench) -> None:
    stranger, name = bench.stranger(), f"{ID}-named"
    wire = forge_request(name, invite=f"{INVITE_PREFIX}mine")

    async def attack() -> None:
        await clear(bench.admin, FEDERATION_REQUEST, Key(NS, name))
        await stranger.create(FEDERATION_REQUEST, wire)

    await stopped_by(bench, "liqo-requests", attack, Invalid)


# Peers and tenants.


async def test_a_peer_has_six_verbs_on_its_own_name_and_nothing_else(
    bench: Bench, controller: HttpCluster
) -> None:
    await grant(controller, forge_peer_rights(NS, ID))
    await bench.admin.apply(SERVICE_ACCOUNT, forge_object(SERVICE_ACCOUNT, "nobody", NS), manager="test")
    peer, nobody = await bench.account(NS, peer_account(ID)), await bench.account(NS, "nobody")
    own = f'{{"apiGroups": ["{ADVERTISEMENT.group}"], "resourceNames": ["{ID}"], ' + (
        f'"resources": ["{ADVERTISEMENT.plural}"], "verbs": {list(EDIT)}}}'.replace("'", '"')
    )

    async def in_force() -> None:
        if (found := await rules(peer, NS) - await rules(nobody, NS)) != {own}:
            raise Absent(f"it may {found}")

    await eventually(in_force)
    assert await rules(peer, "kube-system") == await rules(nobody, "kube-system")


async def test_a_peer_writes_its_own_advertisement_only(bench: Bench, controller: HttpCluster) -> None:
    await grant(controller, forge_peer_rights(NS, ID))
    peer = await bench.account(NS, peer_account(ID))
    own, key = forge_advertisement(ID), Key(NS, ID)
    await eventually(partial(peer.apply, ADVERTISEMENT, own, manager="liqo-incoming"))
    await peer.get(ADVERTISEMENT, key)
    await peer.list(Selection(ADVERTISEMENT, namespace=NS, name=ID))
    attempts: list[Call] = [
        partial(peer.apply, ADVERTISEMENT, forge_advertisement(OTHER), manager="liqo-incoming"),
        partial(peer.create, ADVERTISEMENT, forge_advertisement(OTHER)),
        partial(peer.list, Selection(ADVERTISEMENT, namespace=NS)),
        partial(peer.patch, ADVERTISEMENT, key, {"status": {"phase": "Accepted"}}, subresource="status"),
        partial(peer.post, f"{SERVICE_ACCOUNT.path(NS, peer_account(ID))}/token", forge_token_request(600)),
        partial(peer.get, SECRET, Key(NS, "cluster-identity")),
    ]
    for attempt in attempts:
        with pytest.raises(Forbidden):
            await attempt()
    with pytest.raises(Invalid):
        await peer.patch(ADVERTISEMENT, key, {"spec": {"clusterID": OTHER}})
    await peer.delete(ADVERTISEMENT, key)


async def test_a_peer_sets_no_metadata_and_keeps_what_home_set(bench: Bench, controller: HttpCluster) -> None:
    await grant(controller, forge_peer_rights(NS, ID))
    peer, key = await bench.account(NS, peer_account(ID)), Key(NS, ID)
    hang = forge_advertisement(ID, finalizers=["example.com/hang"])

    async def attack() -> None:
        await clear(bench.admin, ADVERTISEMENT, key)
        await peer.apply(ADVERTISEMENT, hang, manager="liqo-incoming")

    await stopped_by(bench, "liqo-peers", attack, Invalid)
    labelled = forge_advertisement(ID, labels={"team": "edge"})
    await bench.admin.apply(ADVERTISEMENT, labelled, manager="test")
    await peer.apply(ADVERTISEMENT, forge_advertisement(ID), manager="liqo-incoming")
    with pytest.raises(Invalid):
        await peer.patch(ADVERTISEMENT, key, {"metadata": {"labels": {"team": None}}})
    await peer.delete(ADVERTISEMENT, key)


async def test_a_tenant_has_its_own_namespace_and_requests_and_nothing_else(
    bench: Bench, controller: HttpCluster
) -> None:
    await grant(controller, forge_tenant_rights(NS, ID, [f"{ID}-own"]))
    await controller.apply(SERVICE_ACCOUNT, forge_object(SERVICE_ACCOUNT, "nobody", TENANT), manager="test")
    home, nobody = await bench.account(TENANT, "home"), await bench.account(TENANT, "nobody")

    async def in_force() -> None:
        here = await rules(home, TENANT) - await rules(nobody, TENANT)
        if [NAMESPACE_MAP.plural in rule for rule in here] != [True]:
            raise Absent(f"in its namespace it may {here}")
        there = await rules(home, NS) - await rules(nobody, NS)
        if [FEDERATION_REQUEST.plural in rule for rule in there] != [True, True]:
            raise Absent(f"it may {there}")

    await eventually(in_force)
    assert await rules(home, "kube-system") == await rules(nobody, "kube-system")


@pytest.mark.parametrize(
    "metadata", [{"name": ID, "finalizers": ["example.com/hang"]}, {"name": OTHER}], ids=["hang", "second"]
)
async def test_a_tenant_has_one_namespace_map_that_hangs_nothing(
    bench: Bench, controller: HttpCluster, metadata: Wire
) -> None:
    await grant(controller, forge_tenant_rights(NS, ID, []))
    home = await bench.account(TENANT, "home")
    body = {"metadata": {**metadata, "namespace": TENANT}, "spec": {"namespaces": ["x"]}}

    async def attack() -> None:
        await clear(bench.admin, NAMESPACE_MAP, Key(TENANT, metadata["name"]))
        await home.apply(NAMESPACE_MAP, body, manager="test")

    await stopped_by(bench, "liqo-tenants", attack, Invalid)


async def test_a_home_cluster_sees_what_is_used_where_it_has_a_place_and_nowhere_else(
    bench: Bench, controller: HttpCluster
) -> None:
    place, elsewhere = remote_namespace("usage", ID), "default"
    await grant(controller, forge_tenant_rights(NS, ID, []))
    for namespace in (place, elsewhere):
        await bench.admin.apply(NAMESPACE, forge_object(NAMESPACE, namespace), manager="test")
    await grant(bench.admin, forge_workload_rights(NS, place, ID))
    home = await bench.account(TENANT, "home")

    async def sees(kind: Kind, namespace: str) -> None:
        with suppress(Absent):  # who may is told that there is no metrics-server here
            await home.list(Selection(kind, namespace=namespace))

    await eventually(partial(sees, POD_METRICS, place))
    for kind, namespace in ((POD_METRICS, elsewhere), (POD_METRICS, ""), (NODE_METRICS, "")):
        with pytest.raises(Forbidden):
            await sees(kind, namespace)
    _, too_much = forge_workload_rights(NS, elsewhere, ID)
    await bench.admin.apply(*too_much, manager="test")
    try:
        await eventually(partial(sees, POD_METRICS, elsewhere))
    finally:
        await bench.admin.delete(ROLE_BINDING, Key.of(too_much[1]))
