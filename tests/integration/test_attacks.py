"""Each attacker tries what he would, with the credential that he would have, on a real API server.

All of it is refused. Each attack succeeds with an administrator's credential, so that it is no mistake of its own that
stops it; and the suite as a whole fails where it should: with the RBAC that this project's forerunner had in 2020,
and with our rights but without our admission policies.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

import pytest

from liqo.adapters.kube import HttpCluster
from liqo.adapters.transport import Request
from liqo.api.kinds import (
    ADMISSION_POLICY_BINDING,
    ADVERTISEMENT,
    CLUSTER_CONFIG,
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
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
    DOOR,
    IDENTITY_SECRET,
    LAN_AGENT,
    TENANT_SERVICE_ACCOUNT,
    peer_account,
    remote_namespace,
    request_name,
    tenant_namespace,
)
from liqo.api.rights import (
    forge_account_subject,
    forge_group_subject,
    forge_object,
    forge_peer_rights,
    forge_role_ref,
    forge_rule,
    forge_tenant_rights,
    forge_workload_rights,
)
from liqo.errors import Fault, Refused
from liqo.install.policies import forge_policies
from liqo.install.rights import UNAUTHENTICATED
from liqo.node.forge_pod import forge_pod
from liqo.runtime.ports import Selection
from liqo.sharing.place import BOUND, forge_place
from rights_lab import NS, Bench, clear, eventually, forge_binding, forge_token_request, grant, refused

pytestmark = pytest.mark.lab

A, B, C = (
    "efghijklmnopqrstuvwxyz234567abcd",
    "fghijklmnopqrstuvwxyz234567abcde",
    "ghijklmnopqrstuvwxyz234567abcdef",
)
PLACE_A, PLACE_B = remote_namespace("mall", A), remote_namespace("mall", B)
OWN, THEIRS = request_name(A, "own"), request_name(B, "theirs")

Attack = Callable[[HttpCluster, HttpCluster], Awaitable[object]]
"""(admin, attacker): sets the stage as the first, and tries as the second."""


@dataclass(frozen=True)
class Try:
    """Who tries what, and which rules would let him: `2020` those of then, `bare` ours without the policies."""

    who: str
    attack: Attack
    open_to: str = ""


def forge_request(name: str, **metadata: object) -> Wire:
    spec = {
        "protocol": 1,
        "clusterID": name[: len(A)],
        "clusterName": "rome",
        "namespace": "liqo",
        "keys": {"keys": []},
        "kubeConfig": "sealed",
        "proof": "proof",
    }
    return {
        "apiVersion": FEDERATION_REQUEST.api_version,
        "kind": FEDERATION_REQUEST.kind,
        "metadata": {"name": name, "namespace": NS, **metadata},
        "spec": spec,
    }


def forge_advertisement(cluster_id: str, **metadata: object) -> Wire:
    spec = {"protocol": 1, "clusterID": cluster_id, "clusterName": "m", "phase": "Offered", "answers": "a"}
    return {"metadata": {"name": cluster_id, "namespace": NS, **metadata}, "spec": spec}


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
        ("anonymous", STRANGER, HANGING),
        ("the door", STRANGER, HANGING),
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


@pytest.fixture
async def attackers(bench: Bench) -> AsyncIterator[dict[str, HttpCluster]]:
    """Have two clusters that are home and foreign to us, and everybody's clients."""
    admin = bench.admin
    for cluster_id, request in ((A, OWN), (B, THEIRS)):
        place = remote_namespace("mall", cluster_id)
        await grant(admin, forge_peer_rights(NS, cluster_id))
        await grant(admin, forge_tenant_rights(NS, cluster_id, [request]))
        await admin.apply(NAMESPACE, forge_place("mall", place, cluster_id), manager="test")
        await grant(admin, forge_workload_rights(NS, place, cluster_id))
        await admin.apply(SERVICE_ACCOUNT, forge_object(SERVICE_ACCOUNT, "default", place), manager="test")
        await admin.apply(FEDERATION_REQUEST, forge_request(request), manager="test")
        await admin.apply(ADVERTISEMENT, forge_advertisement(cluster_id), manager="test")
        tenant = tenant_namespace(cluster_id)
        listed = {"metadata": {"name": cluster_id, "namespace": tenant}, "spec": {"namespaces": ["x"]}}
        await admin.apply(NAMESPACE_MAP, listed, manager="test")
        quota = forge_object(RESOURCE_QUOTA, BOUND, place, spec={"hard": {"pods": "50"}})
        await admin.apply(RESOURCE_QUOTA, quota, manager="test")
    await admin.apply(SERVICE_ACCOUNT, forge_object(SERVICE_ACCOUNT, "default", NS), manager="test")
    known = {"metadata": {"name": B}, "spec": {"clusterID": B, "discoveryType": "Manual"}}
    await admin.apply(FOREIGN_CLUSTER, known, manager="test")
    for namespace, name in ((NS, IDENTITY_SECRET), ("kube-system", "theirs")):
        await admin.apply(
            SECRET, forge_object(SECRET, name, namespace, stringData={"a": "b"}), manager="test"
        )
    home = await bench.account(tenant_namespace(A), TENANT_SERVICE_ACCOUNT)
    own = forge_object(SECRET, "its-own", PLACE_A, stringData={"a": "b"})
    await eventually(partial(home.apply, SECRET, own, manager="test"))
    other = await bench.account(tenant_namespace(B), TENANT_SERVICE_ACCOUNT)
    theirs = forge_object(SECRET, "its-own", PLACE_B, stringData={"a": "b"})
    await eventually(partial(other.apply, SECRET, theirs, manager="test"))
    yield {
        "anonymous": bench.stranger(),
        "the door": await bench.account(NS, DOOR),
        "a peer": await bench.account(NS, peer_account(A)),
        "a home cluster": home,
        "a pod of a home cluster": await bench.account(PLACE_A, "default"),
        "the LAN agent": await bench.account(NS, LAN_AGENT),
    }
    for kind, key in LEFT:
        await clear(admin, kind, key)


LEFT = (
    (FOREIGN_CLUSTER, Key("", A)),
    (FOREIGN_CLUSTER, Key("", B)),
    (FEDERATION_REQUEST, Key(NS, OWN)),
    (FEDERATION_REQUEST, Key(NS, THEIRS)),
    (FEDERATION_REQUEST, Key(NS, request_name(A, "hang"))),
    (FEDERATION_REQUEST, Key(NS, request_name(A, "lan"))),
    (SECRET, Key(NS, "planted")),
    (SECRET, Key(NS, IDENTITY_SECRET)),
    (ROLE_BINDING, Key.of(HOLE)),
    (POD, Key(NS, "miner")),
    (POD, Key(PLACE_A, "web")),
    (POD, Key(PLACE_B, "web")),
    (SERVICE, Key(PLACE_A, "door")),
    (ADVERTISEMENT, Key(NS, A)),
    (ADVERTISEMENT, Key(NS, B)),
)
"""What attacks leave behind that succeeded, or were meant to be seen."""


async def succeed(admin: HttpCluster, attackers: dict[str, HttpCluster]) -> set[str]:
    """Try everything once and return what was not refused."""
    found = set()
    for sentence, attempt in TRIES.items():
        try:
            await attempt.attack(admin, attackers[attempt.who])
        except Refused:
            continue
        found.add(sentence)
    return found


def open_to(rules: str) -> set[str]:
    return {sentence for sentence, attempt in TRIES.items() if attempt.open_to == rules}


async def in_force(admin: HttpCluster, attackers: dict[str, HttpCluster], rules: str) -> None:
    """Wait until each attacker can do what those rules let him."""
    for sentence in open_to(rules):
        attempt = TRIES[sentence]
        await eventually(partial(attempt.attack, admin, attackers[attempt.who]))


async def test_every_attack_is_refused(bench: Bench, attackers: dict[str, HttpCluster]) -> None:
    assert await succeed(bench.admin, attackers) == set()


@pytest.mark.usefixtures("attackers")
async def test_every_attack_that_rights_stop_is_one_that_an_administrator_can_do(bench: Bench) -> None:
    for sentence in TRIES.keys() - open_to("bare"):
        try:
            await TRIES[sentence].attack(bench.admin, bench.admin)
        except Fault as fault:
            raise AssertionError(f"{sentence}: {fault}") from fault


async def test_the_suite_fails_with_the_rules_of_2020(
    bench: Bench, attackers: dict[str, HttpCluster]
) -> None:
    async with rules_of_2020(bench.admin):
        await in_force(bench.admin, attackers, "2020")
        assert await succeed(bench.admin, attackers) == open_to("2020")
    for who in THEN:
        await refused(partial(attackers[who].get, SECRET, Key(NS, IDENTITY_SECRET)), Refused)


async def test_the_suite_fails_without_the_admission_policies(
    bench: Bench, attackers: dict[str, HttpCluster]
) -> None:
    async with no_policies(bench.admin):
        await in_force(bench.admin, attackers, "bare")
        assert await succeed(bench.admin, attackers) == open_to("bare")
    for sentence in open_to("bare"):
        attempt = TRIES[sentence]
        await refused(partial(attempt.attack, bench.admin, attackers[attempt.who]), Refused)


@asynccontextmanager
async def rules_of_2020(admin: HttpCluster) -> AsyncIterator[None]:
    """Give strangers and peers what they had then: requests and Secrets to the ones, all Secrets to the others."""
    verbs = ["create", "delete", "get", "list", "update"]
    strangers = [forge_rule(FEDERATION_REQUEST, verbs), forge_rule(SECRET, ["create"])]
    peers = [forge_rule(SECRET, ["get", "list", "watch"])]
    subjects = [
        forge_account_subject(NS, peer_account(A)),
        forge_account_subject(tenant_namespace(A), TENANT_SERVICE_ACCOUNT),
    ]
    objects: list[tuple[Kind, Wire]] = []
    for name, rules, whom in (
        ("then-strangers", strangers, [forge_group_subject(UNAUTHENTICATED)]),
        ("then-peers", peers, subjects),
    ):
        ref = forge_role_ref(CLUSTER_ROLE, name)
        objects += [
            (CLUSTER_ROLE, forge_object(CLUSTER_ROLE, name, rules=rules)),
            (CLUSTER_ROLE_BINDING, forge_object(CLUSTER_ROLE_BINDING, name, roleRef=ref, subjects=whom)),
        ]
    await grant(admin, objects)
    try:
        yield
    finally:
        for kind, obj in objects:
            await admin.delete(kind, Key.of(obj))


@asynccontextmanager
async def no_policies(admin: HttpCluster) -> AsyncIterator[None]:
    """Take all our admission policies out of force."""
    bindings = [obj for kind, obj in forge_policies(NS) if kind is ADMISSION_POLICY_BINDING]
    for binding in bindings:
        await admin.delete(ADMISSION_POLICY_BINDING, Key.of(binding))
    try:
        yield
    finally:
        for binding in bindings:
            await admin.apply(ADMISSION_POLICY_BINDING, binding, manager="liqo-install")
