"""Each attacker tries what he would, with the credential that he would have, on a real API server.

All of it is refused. Each attack succeeds with an administrator's credential, so that it is no mistake of its own that
stops it; and the suite as a whole fails where it should: with the RBAC that this project's forerunner had in 2020,
and with our rights but without our admission policies.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest

from attack_table import (
    HOLE,
    INVITE,
    OWN,
    PLACE_A,
    PLACE_B,
    THEIRS,
    THEN,
    TRIES,
    A,
    B,
)
from liqo.adapters.kube import HttpCluster
from liqo.api.kinds import (
    ADMISSION_POLICY_BINDING,
    ADVERTISEMENT,
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    FEDERATION_REQUEST,
    FOREIGN_CLUSTER,
    NAMESPACE,
    NAMESPACE_MAP,
    POD,
    RESOURCE_QUOTA,
    ROLE,
    ROLE_BINDING,
    SECRET,
    SERVICE,
    SERVICE_ACCOUNT,
)
from liqo.api.meta import Key, Kind, Wire
from liqo.api.names import (
    DOOR,
    IDENTITY_SECRET,
    LAN_AGENT,
    STRANGERS,
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
from liqo.sharing.place import BOUND, forge_place
from rights_lab import (
    NS,
    Bench,
    clear,
    eventually,
    forge_advertisement,
    forge_binding,
    forge_request,
    grant,
    refused,
)

pytestmark = pytest.mark.lab


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
    invite = forge_object(SERVICE_ACCOUNT, INVITE, NS, automountServiceAccountToken=False)
    await admin.apply(SERVICE_ACCOUNT, invite, manager="test")
    await grant(admin, [(ROLE_BINDING, forge_binding(INVITE, NS, ROLE, STRANGERS, INVITE))])
    home = await bench.account(tenant_namespace(A), TENANT_SERVICE_ACCOUNT)
    own = forge_object(SECRET, "its-own", PLACE_A, stringData={"a": "b"})
    await eventually(partial(home.apply, SECRET, own, manager="test"))
    other = await bench.account(tenant_namespace(B), TENANT_SERVICE_ACCOUNT)
    theirs = forge_object(SECRET, "its-own", PLACE_B, stringData={"a": "b"})
    await eventually(partial(other.apply, SECRET, theirs, manager="test"))
    yield {
        "anonymous": bench.stranger(),
        "the door": await bench.account(NS, DOOR),
        "an invite": await bench.account(NS, INVITE),
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
    (FEDERATION_REQUEST, Key(NS, request_name(A, "named"))),
    (ROLE_BINDING, Key(NS, INVITE)),
    (SERVICE_ACCOUNT, Key(NS, INVITE)),
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
    for sentence, attempt in TRIES.items():
        if attempt.open_to == "bare":
            continue  # those are for everybody
        try:
            await attempt.attack(bench.admin, bench.admin)
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
