"""What each attacker would try on an API server, and which rules would let him."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from liqo.adapters.kube import HttpCluster
from liqo.adapters.transport import Request
from liqo.api.kinds import (
    ADVERTISEMENT,
    CLUSTER_CONFIG,
    CLUSTER_ROLE,
    FEDERATION_REQUEST,
    FOREIGN_CLUSTER,
    NAMESPACE,
    NAMESPACE_MAP,
    NODE,
    POD,
    RESOURCE_QUOTA,
    ROLE_BINDING,
    SECRET,
    SERVICE,
    SERVICE_ACCOUNT,
)
from liqo.api.meta import Key, Kind, Wire
from liqo.api.names import (
    CONFIG_NAME,
    IDENTITY_SECRET,
    INVITE_PREFIX,
    TENANT_SERVICE_ACCOUNT,
    peer_account,
    remote_namespace,
    request_name,
    tenant_namespace,
)
from liqo.api.rights import (
    forge_object,
)
from liqo.node.forge_pod import forge_pod
from liqo.runtime.ports import Selection
from liqo.sharing.place import BOUND
from rights_lab import NS, clear, forge_advertisement, forge_binding, forge_request, forge_token_request

A, B, C = (
    "efghijklmnopqrstuvwxyz234567abcd",
    "fghijklmnopqrstuvwxyz234567abcde",
    "ghijklmnopqrstuvwxyz234567abcdef",
)
PLACE_A, PLACE_B = remote_namespace("mall", A), remote_namespace("mall", B)
INVITE = f"{INVITE_PREFIX}guest"
OWN, THEIRS = request_name(A, "own"), request_name(B, "theirs")

Attack = Callable[[HttpCluster, HttpCluster], Awaitable[object]]
"""(admin, attacker): sets the stage as the first, and tries as the second."""


@dataclass(frozen=True)
class Try:
    """Who tries what, and which rules would let him: `2020` those of then, `bare` ours without the policies."""

    who: str
    attack: Attack
    open_to: str = ""


def forge_own_pod(namespace: str = PLACE_A, **spec: object) -> Wire:
    """Return a pod as a home cluster sends it."""
    home: Wire = {
        "metadata": {"name": "web", "namespace": "mall", "uid": "5a", "labels": {"app": "web"}},
        "spec": {"nodeName": "liqo-milan", "containers": [{"name": "web", "image": "web:1"}]},
    }
    pod = forge_pod(home, namespace)
    pod["spec"].update(spec)
    return pod


# What is tried, each with a stage of its own.


def reads(kind: Kind, namespace: str, name: str) -> Attack:
    return lambda _admin, us: us.get(kind, Key(namespace, name))


def lists(kind: Kind, namespace: str = "") -> Attack:
    return lambda _admin, us: us.list(Selection(kind, namespace=namespace))


def changes(kind: Kind, namespace: str, name: str, patch: Wire, subresource: str = "") -> Attack:
    return lambda _admin, us: us.patch(kind, Key(namespace, name), patch, subresource=subresource)


def makes(kind: Kind, obj: Wire) -> Attack:
    """Return the creation of an object; whatever had its name before goes first."""

    async def attack(admin: HttpCluster, us: HttpCluster) -> None:
        await clear(admin, kind, Key.of(obj))
        await us.create(kind, {"apiVersion": kind.api_version, "kind": kind.kind, **obj})

    return attack


def applies(kind: Kind, obj: Wire) -> Attack:
    """Return the creation of an object as peers and home clusters do it: by server-side apply."""

    async def attack(admin: HttpCluster, us: HttpCluster) -> None:
        await clear(admin, kind, Key.of(obj))
        await us.apply(kind, obj, manager="test")

    return attack


def takes_away(kind: Kind, obj: Wire) -> Attack:
    async def attack(admin: HttpCluster, us: HttpCluster) -> None:
        await admin.apply(kind, obj, manager="test")
        await us.delete(kind, Key.of(obj))

    return attack


async def overwrites_a_request(admin: HttpCluster, us: HttpCluster) -> None:
    """Replace it whole (PUT), as only those could who may update."""
    there = await admin.apply(FEDERATION_REQUEST, forge_request(THEIRS), manager="test")
    path = FEDERATION_REQUEST.path(NS, THEIRS)
    await us._transport.send(Request("update", "raw", "PUT", path, "", there))


async def asks_as_a_dry_run(admin: HttpCluster, us: HttpCluster) -> None:
    name = request_name(A, "dry")
    await clear(admin, FEDERATION_REQUEST, Key(NS, name))
    path = FEDERATION_REQUEST.path(NS)
    await us._transport.send(Request("create", "raw", "POST", path, "dryRun=All", forge_request(name)))


def asks_for_a_token(namespace: str, name: str) -> Attack:
    path = f"{SERVICE_ACCOUNT.path(namespace, name)}/token"
    return lambda _admin, us: us.post(path, forge_token_request(600))


HANG = ["example.com/hang"]
HOLE = forge_binding("hole", NS, CLUSTER_ROLE, "view", "nobody")
FOUND = {"metadata": {"name": A}, "spec": {"clusterID": A, "discoveryType": "LAN", "join": True}}
ALLOW = {"spec": {"incoming": "Allow"}}
OPEN = {"spec": {"peeringConfig": {"requestPolicy": "Accept"}}}
ACCEPTED = {"status": {"phase": "Accepted"}}
PLAIN_POD = {
    "metadata": {"name": "miner", "namespace": NS},
    "spec": {"containers": [{"name": "c", "image": "i"}], "automountServiceAccountToken": False},
}
OWN_SECRET = forge_object(SECRET, "planted", NS, stringData={"a": "b"})
PORTS = [{"port": 80}]

EVERYBODY = {
    "reads our identity's key": reads(SECRET, NS, IDENTITY_SECRET),
    "reads a Secret of the cluster's": reads(SECRET, "kube-system", "theirs"),
    "lists all Secrets": lists(SECRET),
    "lists the nodes": lists(NODE),
    "lists all pods": lists(POD),
    "runs a pod beside our controller": makes(POD, PLAIN_POD),
    "lets everybody in": changes(CLUSTER_CONFIG, "", CONFIG_NAME, OPEN),
    "lets himself in": changes(FOREIGN_CLUSTER, "", B, ALLOW),
    "gives rights away": makes(ROLE_BINDING, HOLE),
    "asks for our controller's token": asks_for_a_token(NS, "liqo-controller"),
    "lists who asks": lists(FEDERATION_REQUEST, NS),
    "lists all offers": lists(ADVERTISEMENT, NS),
}
"""What no attacker may; read rights of those who have them are left out below."""

STRANGER = {
    "reads another's request": reads(FEDERATION_REQUEST, NS, THEIRS),
    "replaces another's request": overwrites_a_request,
    "withdraws another's request": takes_away(FEDERATION_REQUEST, forge_request(request_name(B, "late"))),
    "accepts a request": changes(FEDERATION_REQUEST, NS, THEIRS, ACCEPTED, "status"),
    "plants a Secret": makes(SECRET, OWN_SECRET),
    "adds a cluster that is joined": makes(FOREIGN_CLUSTER, FOUND),
}
HANGING = {
    "makes a request that cannot be deleted": makes(
        FEDERATION_REQUEST, forge_request(request_name(A, "hang"), finalizers=HANG)
    ),
    "tries names without a trace": asks_as_a_dry_run,
}
NAMING = {
    "asks with another's invite": makes(
        FEDERATION_REQUEST, forge_request(request_name(A, "named"), invite=INVITE)
    )
}
INVITED = {"asks without its invite": makes(FEDERATION_REQUEST, forge_request(request_name(A, "named")))}
PEER = {
    "reads another's offer": reads(ADVERTISEMENT, NS, B),
    "writes another's offer": applies(ADVERTISEMENT, forge_advertisement(B)),
    "takes another's offer away": takes_away(ADVERTISEMENT, forge_advertisement(B)),
    "accepts its own offer": changes(ADVERTISEMENT, NS, A, ACCEPTED, "status"),
    "reads a request": reads(FEDERATION_REQUEST, NS, THEIRS),
    "renews its own token": asks_for_a_token(NS, peer_account(A)),
    "asks for another's token": asks_for_a_token(NS, peer_account(B)),
}
TENANT = {
    "reads another's map": reads(NAMESPACE_MAP, tenant_namespace(B), B),
    "lists another's pods": lists(POD, PLACE_B),
    "runs a pod among another's": makes(POD, forge_own_pod(PLACE_B)),
    "reads another's request": reads(FEDERATION_REQUEST, NS, THEIRS),
    "withdraws another's request": takes_away(FEDERATION_REQUEST, forge_request(request_name(B, "late"))),
    "accepts its own request": changes(FEDERATION_REQUEST, NS, OWN, ACCEPTED, "status"),
    "raises its quota": changes(RESOURCE_QUOTA, PLACE_A, BOUND, {"spec": {"hard": {"pods": "999"}}}),
    "opens its namespace to privileged pods": changes(
        NAMESPACE, "", PLACE_A, {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "privileged"}}}
    ),
    "renews its own token": asks_for_a_token(tenant_namespace(A), TENANT_SERVICE_ACCOUNT),
    "asks for the token of its pods' account": asks_for_a_token(PLACE_A, "default"),
}
TENANT_BOUND = {
    "chooses a node": makes(POD, forge_own_pod(nodeName="rome-node-1")),
    "takes a port of all nodes": makes(
        SERVICE, forge_object(SERVICE, "door", PLACE_A, spec={"type": "NodePort", "ports": PORTS})
    ),
    "makes a map that cannot be deleted": applies(
        NAMESPACE_MAP,
        {
            "metadata": {"name": A, "namespace": tenant_namespace(A), "finalizers": HANG},
            "spec": {"namespaces": ["x"]},
        },
    ),
}
POD_TOKEN = {
    "reads a Secret beside it": reads(SECRET, PLACE_A, "its-own"),
    "lists pods beside it": lists(POD, PLACE_A),
    "runs another pod": makes(POD, forge_own_pod()),
    "reads another's Secret": reads(SECRET, PLACE_B, "its-own"),
}
AGENT = {
    "takes a cluster away": takes_away(
        FOREIGN_CLUSTER, {"metadata": {"name": C}, "spec": {"clusterID": C, "discoveryType": "Manual"}}
    ),
    "joins a cluster that is known": changes(FOREIGN_CLUSTER, "", B, {"spec": {"join": True}}),
    "asks in our name": makes(FEDERATION_REQUEST, forge_request(request_name(A, "lan"))),
}
AGENT_BOUND = {"adds a cluster that is joined": makes(FOREIGN_CLUSTER, FOUND)}

SECRETS = ("reads our identity's key", "reads a Secret of the cluster's", "lists all Secrets")
THEN = {
    "anonymous": (
        *("lists who asks", "reads another's request", "replaces another's request"),
        *("withdraws another's request", "plants a Secret"),
    ),
    "a peer": SECRETS,
    "a home cluster": (*SECRETS, "reads another's Secret"),
}
"""What the rules of 2020 let whom do."""

OF_ANOTHER = {"reads another's Secret": reads(SECRET, PLACE_B, "its-own")}
MAY = {"the LAN agent": {"lists the nodes"}}  # to learn our own address


def _tries() -> dict[str, Try]:
    found: dict[str, Try] = {}
    for who, own, bound in (
        ("anonymous", STRANGER, {**HANGING, **NAMING}),
        ("the door", STRANGER, {**HANGING, **NAMING}),
        ("an invite", STRANGER, INVITED),
        ("a peer", PEER, {"makes an offer that cannot be deleted": _hanging_offer}),
        ("a home cluster", {**TENANT, **OF_ANOTHER}, TENANT_BOUND),
        ("a pod of a home cluster", POD_TOKEN, {}),
        ("the LAN agent", AGENT, AGENT_BOUND),
    ):
        for what, attack in {**EVERYBODY, **own, **bound}.items():
            if what not in MAY.get(who, ()):
                open_to = "bare" if what in bound else "2020" if what in THEN.get(who, ()) else ""
                found[f"{who} {what}"] = Try(who, attack, open_to)
    return found


_hanging_offer = applies(ADVERTISEMENT, forge_advertisement(A, finalizers=HANG))
TRIES = _tries()
