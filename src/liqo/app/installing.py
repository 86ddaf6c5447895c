"""Puts Liqo into a cluster and takes it out again, with a person's own rights."""

import base64
from collections.abc import Awaitable, Callable
from datetime import timedelta
from ipaddress import ip_address
from urllib.parse import urlsplit

import yaml

from liqo.adapters.kubeconfig import Access
from liqo.api.kinds import (
    CUSTOM_RESOURCE_DEFINITION,
    FEDERATION_REQUEST,
    FOREIGN_CLUSTER,
    NAMESPACE,
    NODE,
    SEARCH_DOMAIN,
)
from liqo.api.meta import Key, Wire
from liqo.api.names import CONTROLLER, NODE_TYPE_LABEL, TENANT_LABEL, VIRTUAL_NODE
from liqo.errors import Absent, Unavailable
from liqo.install.manifests import (
    Install,
    RequestPolicy,
    forge_finders_removal,
    forge_left_out,
    forge_manifests,
    forge_removal,
)
from liqo.runtime.plan import create_once
from liqo.runtime.ports import Clock, Cluster, Selection

MANAGER = "liqo-install"
ESTABLISHED_WITHIN = timedelta(seconds=30)
UNJOINED_WITHIN = timedelta(seconds=60)
GONE_WITHIN = timedelta(seconds=60)
POLL = timedelta(milliseconds=200)
Say = Callable[[str], None]


async def install(cluster: Cluster, what: Install, say: Say, clock: Clock) -> None:
    """Apply everything that Liqo needs; what an owner may edit is created once and left alone after.

    What an earlier installation brought and this one leaves out is deleted.
    """
    waiting = False
    for item in forge_manifests(what):
        if item.kind is CUSTOM_RESOURCE_DEFINITION:
            waiting = True
        elif waiting:
            await _established(cluster, clock)
            waiting = False
        if item.once:
            await create_once(cluster, item.kind, item.obj)
        else:
            await cluster.apply(item.kind, item.obj, manager=MANAGER)
        say(f"{item.kind.kind} {item.obj['metadata']['name']}")
    for kind, key in forge_left_out(what):
        await cluster.delete(kind, key)


async def _established(cluster: Cluster, clock: Clock) -> None:
    """Wait until the API server serves our kinds."""
    end = clock.now() + ESTABLISHED_WITHIN
    while True:
        page = await cluster.list(
            Selection(CUSTOM_RESOURCE_DEFINITION, labels="app.kubernetes.io/managed-by=liqo")
        )
        if page.items and all(_is_established(crd) for crd in page.items):
            return
        if clock.now() >= end:
            raise Unavailable("the API server does not serve Liqo's kinds", reason="NotEstablished")
        await clock.sleep(POLL)


def _is_established(crd: Wire) -> bool:
    conditions = crd.get("status", {}).get("conditions") or ()
    return any(c["type"] == "Established" and c["status"] == "True" for c in conditions)


async def uninstall(cluster: Cluster, namespace: str, say: Say, clock: Clock) -> None:
    """End all peerings in good order, then take everything out.

    What finds clusters goes first, or it would find again what was just deleted.

    Raises:
        Unavailable: a peering does not end; nothing else was removed.
    """
    for kind, key in forge_finders_removal(namespace):
        await cluster.delete(kind, key)
    await _unjoin_all(cluster, say, clock)
    for kind, key in forge_removal(namespace):
        await cluster.delete(kind, key)
        say(f"{kind.kind} {key} deleted")
    await _until(
        lambda: _gone(cluster, namespace), clock, GONE_WITHIN, f"namespace {namespace} is still there"
    )


async def _unjoin_all(cluster: Cluster, say: Say, clock: Clock) -> None:
    """Delete all SearchDomains, ForeignClusters and requests, and wait until nothing of a peering is left."""
    try:
        for kind in (SEARCH_DOMAIN, FEDERATION_REQUEST):
            for found in (await cluster.list(Selection(kind))).items:
                await cluster.delete(kind, Key.of(found))
    except Absent:
        return  # the kinds are gone already

    async def nothing_left() -> bool:
        left = (await cluster.list(Selection(FOREIGN_CLUSTER))).items
        for foreign in left:  # also one that was found while its finder was being stopped
            if "deletionTimestamp" not in foreign["metadata"]:
                say(f"unjoin {foreign['metadata']['name']}")
                await cluster.delete(FOREIGN_CLUSTER, Key.of(foreign))
        nodes = (await cluster.list(Selection(NODE, labels=f"{NODE_TYPE_LABEL}={VIRTUAL_NODE}"))).items
        tenants = (await cluster.list(Selection(NAMESPACE, labels=TENANT_LABEL))).items
        return not left and not nodes and not tenants

    await _until(
        nothing_left, clock, UNJOINED_WITHIN, "a peering does not end; is Liqo's controller running?"
    )


async def _until(
    done: Callable[[], Awaitable[bool]], clock: Clock, within: timedelta, otherwise: str
) -> None:
    end = clock.now() + within
    while not await done():
        if clock.now() >= end:
            raise Unavailable(otherwise, reason="StillThere")
        await clock.sleep(POLL)


async def _gone(cluster: Cluster, namespace: str) -> bool:
    try:
        await cluster.get(NAMESPACE, Key("", namespace))
    except Absent:
        return True
    return False


def policy_for(server: str) -> RequestPolicy:
    """Return the request policy that suits an API server's address: Manual where anyone can reach it."""
    host = urlsplit(server).hostname or ""
    try:
        return "Accept" if ip_address(host).is_private else "Manual"
    except ValueError:
        return "Manual"  # a name: who can reach it is not known here


async def own_kubeconfig(cluster: Cluster, access: Access, namespace: str, clock: Clock, account: str) -> str:
    """Return a kubeconfig of a ServiceAccount of Liqo's own, for a process that runs outside the cluster."""
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
    spec = {"expirationSeconds": int(timedelta(days=365).total_seconds())}
    end = clock.now() + ESTABLISHED_WITHIN
    while True:
        try:
            answer = await cluster.post(
                path, {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
            )
            break
        except Absent:
            if clock.now() >= end:
                raise
            await clock.sleep(POLL)
    return forge_kubeconfig(access, answer["status"]["token"], namespace)


def forge_kubeconfig(access: Access, token: str, namespace: str) -> str:
    """Return a kubeconfig with a token, as YAML."""
    ca = base64.b64encode(access.ca_pem.encode()).decode()
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {"name": "home", "cluster": {"server": access.server, "certificate-authority-data": ca}}
            ],
            "users": [{"name": CONTROLLER, "user": {"token": token}}],
            "contexts": [
                {
                    "name": "liqo",
                    "context": {"cluster": "home", "user": CONTROLLER, "namespace": namespace},
                }
            ],
            "current-context": "liqo",
        }
    )
