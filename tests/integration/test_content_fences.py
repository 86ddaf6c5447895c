"""Tries to get more out of this cluster with what pods refer to, with the token of a home cluster.

Each attack has its negative control: with the one policy left out it succeeds.
"""

from typing import Any

import pytest

from liqo.adapters.kube import HttpCluster
from liqo.api.kinds import (
    CONFIG_MAP,
    ENDPOINT_SLICE,
    POD,
    SECRET,
    SERVICE,
)
from liqo.api.meta import Key, Kind, Wire
from liqo.api.names import (
    MANAGED_LABEL,
)
from liqo.api.rights import (
    forge_object,
)
from rights_lab import Bench, clear
from tenant_lab import OWNER, PLACE, STRANGE, Attack, forge_mine, stopped

pytestmark = pytest.mark.lab

RUNTIME_CLASS = Kind("node.k8s.io", "v1", "RuntimeClass", "runtimeclasses", namespaced=False)


async def _away(admin: HttpCluster, kind: Kind, key: Key) -> None:
    if kind == SECRET:  # which nobody here may change
        await admin.delete(kind, key)
    else:
        await clear(admin, kind, key)


def _put(kind: Kind, namespace: str = PLACE, *, metadata: Wire | None = None, **body: Any) -> Attack:
    """Return the creation of an object as a home cluster labels it, with that body."""

    async def attack(admin: HttpCluster, tenant: HttpCluster) -> None:
        obj = forge_object(kind, "thing", namespace, **body)
        obj["metadata"] |= metadata or {}
        await _away(admin, kind, Key(namespace, "thing"))
        await tenant.create(kind, obj)

    return attack


def _overwrite(kind: Kind, **body: Any) -> Attack:
    """Return the change of an object of this cluster's own."""

    async def attack(admin: HttpCluster, tenant: HttpCluster) -> None:
        await clear(admin, kind, Key(PLACE, "thing"))
        await admin.create(kind, {"metadata": {"name": "thing", "namespace": PLACE}, **body})
        await tenant.patch(kind, Key(PLACE, "thing"), {"metadata": {"labels": {MANAGED_LABEL: "liqo"}}})

    return attack


def _take_away(kind: Kind, **body: Any) -> Attack:
    async def attack(admin: HttpCluster, tenant: HttpCluster) -> None:
        await clear(admin, kind, Key(PLACE, "thing"))
        await admin.create(kind, {"metadata": {"name": "thing", "namespace": PLACE}, **body})
        await tenant.delete(kind, Key(PLACE, "thing"))

    return attack


async def _take_away_a_pod(admin: HttpCluster, tenant: HttpCluster) -> None:
    pod = forge_mine()
    await clear(admin, POD, Key.of(pod))
    await admin.create(POD, {**pod, "metadata": {"name": "web", "namespace": PLACE}})
    await tenant.delete(POD, Key.of(pod), grace=0)


def _slice(*addresses: str, **fields: Any) -> Attack:
    return _put(
        ENDPOINT_SLICE,
        addressType=fields.pop("address_type", "IPv4"),
        endpoints=[{"addresses": list(addresses), **fields}],
        ports=[{"port": 80}],
    )


PORTS = [{"port": 80}]
TOKEN_OF = {"annotations": {"kubernetes.io/service-account.name": "default"}}
TOKEN_TYPE = "kubernetes.io/service-account-token"
CONTENT_ATTACKS: dict[str, tuple[str, Attack]] = {
    **{f"is in {what}": ("not one of that cluster's", _put(CONFIG_MAP, ns)) for what, ns in STRANGE.items()},
    "hangs for ever": ("finalizers", _put(CONFIG_MAP, metadata={"finalizers": ["liqo.io/mine"]})),
    "vanishes with another": ("ownerReferences", _put(SECRET, metadata={"ownerReferences": [OWNER]})),
    "is not marked": ("have the label", _put(SERVICE, metadata={"labels": {}}, spec={"ports": PORTS})),
    "is one of ours": ("changes those only", _overwrite(CONFIG_MAP)),
    "is filled with a token": ("token of this cluster", _put(SECRET, type=TOKEN_TYPE, metadata=TOKEN_OF)),
}
SERVICE_ATTACKS: dict[str, tuple[str, Attack]] = {
    "takes a port of all nodes": (
        "inside this cluster",
        _put(SERVICE, spec={"type": "NodePort", "ports": PORTS}),
    ),
    "takes a public address": (
        "inside this cluster",
        _put(SERVICE, spec={"type": "LoadBalancer", "ports": PORTS}),
    ),
    "takes over an address": (
        "inside this cluster",
        _put(SERVICE, spec={"externalIPs": ["192.0.2.1"], "ports": PORTS}),
    ),
    "is another name": (
        "inside this cluster",
        _put(SERVICE, spec={"type": "ExternalName", "externalName": "kubernetes.default.svc"}),
    ),
}
SLICE_ATTACKS: dict[str, tuple[str, Attack]] = {
    "leads to a host": ("its pods only", _slice("192.0.2.7")),
    "leads next to its pods": ("its pods only", _slice("10.222.1.9", "10.223.0.1")),
    "leads anywhere by name": ("its pods only", _slice("example.com", address_type="FQDN")),
    "is on a node of ours": ("on no node", _slice("10.222.1.9", nodeName="rome-node-1")),
}
REACH_ATTACKS: dict[str, tuple[str, Attack]] = {
    "takes a pod of ours away": ("it made itself", _take_away_a_pod),
    "takes a ConfigMap of ours away": ("it made itself", _take_away(CONFIG_MAP)),
}


@pytest.mark.parametrize(
    ("policy", "attacks"),
    [
        ("liqo-tenants-content", CONTENT_ATTACKS),
        ("liqo-tenants-services", SERVICE_ATTACKS),
        ("liqo-tenants-slices", SLICE_ATTACKS),
        ("liqo-tenants-reach", REACH_ATTACKS),
    ],
)
async def test_what_pods_refer_to_never(
    bench: Bench, tenant: HttpCluster, policy: str, attacks: dict[str, tuple[str, Attack]]
) -> None:
    await stopped(bench, tenant, policy, attacks)


async def test_nobody_else_puts_a_secret_where_a_home_cluster_reads_all(
    bench: Bench, tenant: HttpCluster
) -> None:
    async def ours(admin: HttpCluster, _tenant: HttpCluster) -> None:
        await admin.delete(SECRET, Key(PLACE, "ours"))
        await admin.create(SECRET, {"metadata": {"name": "ours", "namespace": PLACE}})

    await stopped(bench, tenant, "liqo-places-secrets", {"is ours": ("reads all Secrets", ours)})


GOOD_THINGS: dict[str, Attack] = {
    "a ConfigMap": _put(CONFIG_MAP, data={"a": "1"}),
    "a Secret": _put(SECRET, type="kubernetes.io/dockerconfigjson", data={".dockerconfigjson": "e30="}),
    "a Service": _put(SERVICE, spec={"ports": PORTS, "selector": {"app": "web"}}),
    "a headless Service": _put(SERVICE, spec={"ports": PORTS, "clusterIP": "None"}),
    "a slice of its pods": _slice("10.222.1.9", conditions={"ready": True}),
}


@pytest.mark.parametrize("what", GOOD_THINGS)
async def test_what_its_pods_need_is_taken_and_goes_again(
    bench: Bench, tenant: HttpCluster, what: str
) -> None:
    await GOOD_THINGS[what](bench.admin, tenant)
    kind = {"a Secret": SECRET, "a ConfigMap": CONFIG_MAP, "a slice of its pods": ENDPOINT_SLICE}.get(
        what, SERVICE
    )
    await tenant.delete(kind, Key(PLACE, "thing"))
