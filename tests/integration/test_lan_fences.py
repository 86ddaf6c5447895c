"""Tries to make the LAN agent do what it is not for, on a real API server; each fence has its negative control."""

from functools import partial

import pytest

from liqo.adapters.kube import HttpCluster
from liqo.api.kinds import CLUSTER_CONFIG, CONFIG_MAP, FOREIGN_CLUSTER, SECRET
from liqo.api.meta import Key, Wire
from liqo.api.names import LAN_AGENT, WELL_KNOWN_CONFIG_MAP
from liqo.errors import Absent, Forbidden
from liqo.install.rights import PUBLIC_NAMESPACE
from rights_lab import ID, NS, OTHER, Bench, Call, allowed, clear, eventually, stopped_by

pytestmark = pytest.mark.lab

USER = {"user": f"system:serviceaccount:{NS}:{LAN_AGENT}", "groups": ["system:serviceaccounts"]}
FC = FOREIGN_CLUSTER.resource


def forge_found(name: str = ID, **spec: object) -> Wire:
    return {
        "apiVersion": FOREIGN_CLUSTER.api_version,
        "kind": FOREIGN_CLUSTER.kind,
        "metadata": {"name": name},
        "spec": {"clusterID": ID, "discoveryType": "LAN", "join": False, **spec},
    }


def forge_status(**status: object) -> Wire:
    return {
        "apiVersion": FOREIGN_CLUSTER.api_version,
        "kind": FOREIGN_CLUSTER.kind,
        "metadata": {"name": ID},
        "status": status,
    }


@pytest.mark.seconds(300)
async def test_the_agent_may_do_this_and_nothing_else(bench: Bench) -> None:
    everywhere = {
        (FC, "create"),
        (FC, "list"),
        (FC, "watch"),
        (f"{FC.partition('.')[0]}/status.{FC.partition('.')[2]}", "patch"),
        (CLUSTER_CONFIG.resource, "get"),
        (CLUSTER_CONFIG.resource, "list"),
        (CLUSTER_CONFIG.resource, "watch"),
        ("nodes", "list"),
        ("nodes", "watch"),
    }
    own = {("configmaps", "get")}
    anybody = {**USER, "user": f"system:serviceaccount:{NS}:nobody"}
    for namespace, name, wanted in (
        ("", "", everywhere),
        (NS, "", everywhere),
        (NS, "cluster-id", everywhere | own),
        (NS, WELL_KNOWN_CONFIG_MAP, everywhere | own | {("configmaps", "list"), ("configmaps", "watch")}),
        (PUBLIC_NAMESPACE, "cluster-info", everywhere | own),
    ):
        more = await allowed(bench, USER, namespace, name) - await allowed(bench, anybody, namespace, name)
        assert more == wanted


async def test_the_agent_adds_a_found_cluster_and_its_source(bench: Bench, agent: HttpCluster) -> None:
    await clear(bench.admin, FOREIGN_CLUSTER, Key("", ID))
    await agent.create(FOREIGN_CLUSTER, forge_found())
    entry = {
        "name": "lan",
        "endpoints": ["https://10.0.0.1:6443"],
        "ttlSeconds": 120,
        "lastSeen": "2026-01-01T00:00:00Z",
    }
    for sources in ([entry], []):
        wanted = forge_status(sources=sources)
        found = await agent.apply(FOREIGN_CLUSTER, wanted, manager=LAN_AGENT, subresource="status")
        assert [s["name"] for s in found.get("status", {}).get("sources", [])] == [s["name"] for s in sources]


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        (ID, {"spec": {"join": True}}),
        (ID, {"spec": {"discoveryType": "Manual"}}),
        (ID, {"spec": {"incoming": "Allow"}}),
        (ID, {"spec": {"incoming": "Deny"}}),
        (ID, {"spec": {"maxCapacity": {"cpu": "1"}}}),
        (ID, {"spec": {"pin": {"signingKey": "mine"}}}),
        (ID, {"spec": {"podCIDRs": ["10.244.0.0/16"]}}),
        (ID, {"spec": {"acceptOffer": True}}),
        (ID, {"spec": {"invite": "sealed"}}),
        (OTHER, {}),
        (ID, {"metadata": {"finalizers": ["example.com/hang"]}}),
        (ID, {"metadata": {"labels": {"a": "b"}}}),
        (ID, {"metadata": {"annotations": {"a": "b"}}}),
        (
            ID,
            {
                "metadata": {
                    "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "gone", "uid": "1"}]
                }
            },
        ),
    ],
)
async def test_the_agent_adds_nothing_else(
    bench: Bench, agent: HttpCluster, name: str, changes: Wire
) -> None:
    wanted = forge_found(name, **changes.get("spec", {}))
    wanted["metadata"] |= changes.get("metadata", {})

    async def attack() -> None:
        await clear(bench.admin, FOREIGN_CLUSTER, Key("", name))
        await agent.create(FOREIGN_CLUSTER, wanted)

    await stopped_by(bench, "liqo-lan-create", attack, Forbidden)
    await clear(bench.admin, FOREIGN_CLUSTER, Key("", name))


@pytest.mark.parametrize(
    "status",
    [
        {"sources": [{"name": "manual", "endpoints": ["https://10.0.0.1:6443"]}]},
        {"sources": [{"name": "dns/example", "endpoints": ["https://10.0.0.1:6443"]}]},
        {"outgoing": {"phase": "Established"}},
        {"incoming": {"phase": "Accepted"}},
        {"signingKey": "mine"},
        {"pin": {"signingKey": "mine"}},
        {"shown": {"signingKey": "mine"}},
        {
            "conditions": [
                {
                    "type": "Trusted",
                    "status": "True",
                    "reason": "Verified",
                    "message": "",
                    "lastTransitionTime": "2026-01-01T00:00:00Z",
                }
            ]
        },
    ],
    ids=lambda s: next(iter(s)),
)
async def test_the_agent_writes_no_other_status(bench: Bench, agent: HttpCluster, status: Wire) -> None:
    async def attack() -> None:
        await clear(bench.admin, FOREIGN_CLUSTER, Key("", ID))
        await eventually(partial(bench.admin.create, FOREIGN_CLUSTER, forge_found()))
        await agent.apply(FOREIGN_CLUSTER, forge_status(**status), manager=LAN_AGENT, subresource="status")

    await stopped_by(bench, "liqo-lan-status", attack, Forbidden)


async def test_the_agent_changes_no_spec_deletes_nothing_and_reads_no_secret(
    bench: Bench, agent: HttpCluster
) -> None:
    await clear(bench.admin, FOREIGN_CLUSTER, Key("", ID))
    await bench.admin.create(FOREIGN_CLUSTER, forge_found())
    attempts: list[Call] = [
        partial(agent.patch, FOREIGN_CLUSTER, Key("", ID), {"spec": {"join": True}}),
        partial(agent.apply, FOREIGN_CLUSTER, forge_found(join=True), manager=LAN_AGENT),
        partial(agent.delete, FOREIGN_CLUSTER, Key("", ID)),
        partial(agent.get, SECRET, Key(NS, "cluster-identity")),
        partial(agent.get, CONFIG_MAP, Key(NS, "trusted-ca-certificates")),
    ]
    for attempt in attempts:
        with pytest.raises((Forbidden, Absent)):
            await attempt()
    found = await bench.admin.get(FOREIGN_CLUSTER, Key("", ID))
    assert found["spec"].get("join", False) is False


async def test_nothing_but_a_status_comes_through_a_status(bench: Bench, agent: HttpCluster) -> None:
    await clear(bench.admin, FOREIGN_CLUSTER, Key("", ID))
    await bench.admin.create(FOREIGN_CLUSTER, forge_found())
    metadata = {"labels": {"a": "b"}, "finalizers": ["example.com/hang"]}
    patch = {"metadata": metadata, "spec": {"join": True}, "status": {"sources": []}}
    await agent.patch(FOREIGN_CLUSTER, Key("", ID), patch, subresource="status")
    found = await bench.admin.get(FOREIGN_CLUSTER, Key("", ID))
    assert not metadata.keys() & found["metadata"].keys()
    assert not found["spec"]["join"]
    await clear(bench.admin, FOREIGN_CLUSTER, Key("", ID))
