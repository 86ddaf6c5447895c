"""Two real clusters that have peered: each tries to reach more of the other with the accounts that it was given."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import pytest

from e2e_peers import Peers
from liqo.adapters.clock import SystemClock, SystemRandom
from liqo.adapters.kube import HttpCluster
from liqo.adapters.kubeconfig import make_context
from liqo.api.kinds import (
    ADVERTISEMENT,
    CONFIG_MAP,
    FEDERATION_REQUEST,
    NAMESPACE_MAP,
    NODE,
    POD,
    SECRET,
    SERVICE_ACCOUNT,
)
from liqo.api.meta import Key, Wire
from liqo.api.names import IDENTITY_SECRET, peer_account, tenant_namespace
from liqo.app.setup import connected
from liqo.errors import Fault, Forbidden
from liqo.runtime.ports import Selection
from offloading import FOREIGN, HOME, Shop
from rights_lab import NS, forge_token_request

pytestmark = pytest.mark.lab

OTHER = "hijklmnopqrstuvwxyz234567abcdefg"
Attack = Callable[[HttpCluster], Awaitable[object]]


def forge_offer(cluster_id: str) -> Wire:
    spec = {"protocol": 1, "clusterID": cluster_id, "clusterName": "m", "phase": "Offered", "answers": "a"}
    return {"metadata": {"name": cluster_id, "namespace": NS}, "spec": spec}


def _token_of(name: str) -> Attack:
    path = f"{SERVICE_ACCOUNT.path(NS, name)}/token"
    return lambda us: us.post(path, forge_token_request(600))


ATTACKS: dict[str, Attack] = {
    "reads the identity's key": lambda us: us.get(SECRET, Key(NS, IDENTITY_SECRET)),
    "lists Liqo's Secrets": lambda us: us.list(Selection(SECRET, namespace=NS)),
    "lists all Secrets": lambda us: us.list(Selection(SECRET)),
    "lists Liqo's ConfigMaps": lambda us: us.list(Selection(CONFIG_MAP, namespace=NS)),
    "lists who asks": lambda us: us.list(Selection(FEDERATION_REQUEST, namespace=NS)),
    "lists all offers": lambda us: us.list(Selection(ADVERTISEMENT, namespace=NS)),
    "offers in another's name": lambda us: us.apply(ADVERTISEMENT, forge_offer(OTHER), manager="test"),
    "takes an offer of another's away": lambda us: us.delete(ADVERTISEMENT, Key(NS, OTHER)),
    "lists who has namespaces here": lambda us: us.list(Selection(NAMESPACE_MAP)),
    "lists nodes": lambda us: us.list(Selection(NODE)),
    "lists all pods": lambda us: us.list(Selection(POD)),
    "asks for the controller's token": _token_of("liqo-controller"),
}


@asynccontextmanager
async def coming_as(
    peers: Peers, side: str, accounts: dict[str, tuple[str, str]]
) -> AsyncIterator[tuple[HttpCluster, dict[str, HttpCluster]]]:
    """Yield an administrator's client of a cluster, and one for each account; "" is nobody's."""
    async with AsyncExitStack() as stack:
        kubeconfig = peers.lab.cluster(side).kubeconfig
        admin, access = await stack.enter_async_context(connected(kubeconfig, None))
        clients = {}
        for who, (namespace, name) in accounts.items():
            token: Callable[[], str] | None = None
            if name:
                path = f"{SERVICE_ACCOUNT.path(namespace, name)}/token"
                answer = await admin.post(path, forge_token_request(3600))
                token = partial(str, answer["status"]["token"])
            clients[who] = HttpCluster(
                access.server,
                ssl_context=make_context(access.ca_pem),
                token=token,
                clock=SystemClock(),
                random=SystemRandom(),
            )
            stack.push_async_callback(clients[who].close)
        yield admin, clients


async def all_refused(admin: HttpCluster, clients: dict[str, HttpCluster]) -> None:
    for what, attack in ATTACKS.items():
        for who, client in clients.items():
            try:
                await attack(client)
            except Forbidden:
                continue
            except Fault as fault:
                raise AssertionError(f"{who} {what}: {fault}") from fault
            raise AssertionError(f"{who} {what}: nobody refused that")
        await attack(admin)


async def test_with_the_tokens_of_a_running_peering_nothing_of_another_s_is_reached(shop: Shop) -> None:
    peers, own = shop.peers, {"metadata": {"name": "own"}, "stringData": {"a": "b"}}
    shop.apply({"apiVersion": "v1", "kind": "Secret", **own})
    volume = {"name": "own", "secret": {"secretName": "own"}}
    shop.deploy(1, volumes=[volume])
    peers.until(partial(shop.is_running, 1))
    tenant = tenant_namespace(peers.id_of(HOME))
    there = {
        "a stranger": ("", ""),
        "home": (tenant, "home"),
        "a pod of home's": (shop.remote, "default"),
        "the door": (NS, "liqo-door"),
    }
    async with coming_as(peers, FOREIGN, there) as (admin, clients):
        await all_refused(admin, clients)
        await clients["home"].get(SECRET, Key(shop.remote, "own"))
        with pytest.raises(Forbidden):
            await clients["a pod of home's"].get(SECRET, Key(shop.remote, "own"))
    foreign_id = peers.id_of(FOREIGN)
    here = {"a stranger": ("", ""), "foreign": (NS, peer_account(foreign_id))}
    async with coming_as(peers, HOME, here) as (admin, clients):
        await all_refused(admin, clients)
        await clients["foreign"].get(ADVERTISEMENT, Key(NS, foreign_id))
        with pytest.raises(Forbidden):
            await clients["foreign"].get(SECRET, Key(shop.name, "own"))
