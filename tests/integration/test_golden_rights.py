"""What each identity that we make may do, as a real API server tells it: one file each in tests/golden/rights.

A right more or less fails here. When it is meant: `make golden`, and read the difference before it goes in.
"""

import json
import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from liqo.api.kinds import CLUSTER_ROLE, NAMESPACE, ROLE, ROLE_BINDING, SERVICE_ACCOUNT
from liqo.api.meta import Key
from liqo.api.names import (
    CONTROLLER,
    DOOR,
    ENABLED_LABEL,
    INVITE_PREFIX,
    KUBELET_APPROVER,
    LAN_AGENT,
    STRANGERS,
    WELL_KNOWN_CONFIG_MAP,
    peer_account,
    remote_namespace,
    request_name,
    tenant_namespace,
)
from liqo.api.rights import (
    OFFLOAD_ROLE,
    forge_object,
    forge_offload_rights,
    forge_peer_rights,
    forge_tenant_rights,
    forge_workload_rights,
)
from liqo.errors import Absent
from liqo.sharing.place import forge_place
from rights_lab import NS, Bench, allowed, eventually, forge_binding, grant, rules

pytestmark = pytest.mark.lab

GOLDEN = Path(__file__).parents[1] / "golden" / "rights"
PEER = "cdefghijklmnopqrstuvwxyz234567ab"
TENANT = tenant_namespace(PEER)
PLACE = remote_namespace("shop", PEER)
ENABLED = "golden-shop"
INVITE = f"{INVITE_PREFIX}golden"
EVERYWHERE = "default"  # nobody of ours has a right here that is not in the whole cluster
NAMESPACES = (NS, TENANT, PLACE, ENABLED, "kube-system", "kube-public", "kube-node-lease")
ACCOUNTS = {
    DOOR: (NS, DOOR),
    CONTROLLER: (NS, CONTROLLER),
    KUBELET_APPROVER: (NS, KUBELET_APPROVER),
    LAN_AGENT: (NS, LAN_AGENT),
    "invite": (NS, INVITE),
    "peer": (NS, peer_account(PEER)),
    "tenant": (TENANT, "home"),
    "pod-of-a-tenant": (PLACE, "default"),
}
STRANGER = {"user": "system:anonymous", "groups": ["system:unauthenticated"]}
Rights = dict[str, Sequence[str]]
"""Lines of text by namespace."""


@pytest.fixture
async def peering(bench: Bench) -> Bench:
    """Have a cluster that is home and foreign to us, with all that it is given."""
    await grant(bench.admin, forge_peer_rights(NS, PEER))
    await grant(bench.admin, forge_tenant_rights(NS, PEER, [request_name(PEER, "1")]))
    await bench.admin.apply(NAMESPACE, forge_place("shop", PLACE, PEER), manager="test")
    enabled = forge_object(NAMESPACE, ENABLED, labels={ENABLED_LABEL: "true"})
    await bench.admin.apply(NAMESPACE, enabled, manager="test")
    await grant(bench.admin, forge_workload_rights(NS, PLACE, PEER))
    await grant(bench.admin, [(ROLE_BINDING, forge_offload_rights(NS, ENABLED))])
    await grant(bench.admin, [(ROLE_BINDING, forge_binding(INVITE, NS, ROLE, STRANGERS, INVITE))])
    for namespace, name in (
        (NS, INVITE),
        (PLACE, "default"),
        (NS, "nobody"),
        (TENANT, "nobody"),
        (PLACE, "nobody"),
    ):
        await bench.admin.apply(
            SERVICE_ACCOUNT, forge_object(SERVICE_ACCOUNT, name, namespace), manager="test"
        )
    return bench


async def of_account(bench: Bench, namespace: str, name: str) -> Rights:
    """Return what an account may do beyond what every account of its namespace may."""
    one, nobody = await bench.account(namespace, name), await bench.account(namespace, "nobody")

    async def more(where: str) -> set[str]:
        return await rules(one, where) - await rules(nobody, where)

    return await by_namespace(more)


async def of_everybody(bench: Bench) -> Rights:
    nobody = await bench.account(NS, "nobody")

    async def all_rules(where: str) -> set[str]:
        return await rules(nobody, where)

    return await by_namespace(all_rules)


async def by_namespace(look: Callable[[str], Awaitable[set[str]]]) -> Rights:
    everywhere = await look(EVERYWHERE)
    found: Rights = {"everywhere": sorted(map(in_a_line, everywhere))}
    for namespace in NAMESPACES:
        found[namespace] = sorted(map(in_a_line, await look(namespace) - everywhere))
    return found


def in_a_line(rule: str) -> str:
    """Return a rule as one line: resources, names, verbs."""
    read = json.loads(rule)
    resources = [
        f"{resource}.{group}" if group else resource
        for group in read["apiGroups"]
        for resource in read["resources"]
    ]
    return f"{' '.join(resources)} [{' '.join(read.get('resourceNames', ['*']))}] {' '.join(read['verbs'])}"


async def of_strangers(bench: Bench) -> Rights:
    """Return what somebody without credentials may do, asked right by right: he may not ask himself."""
    everywhere = await allowed(bench, STRANGER, "")
    found: Rights = {"everywhere": sorted(f"{resource} [*] {verb}" for resource, verb in everywhere)}
    asked = (
        (NS, "", "*"),
        (NS, WELL_KNOWN_CONFIG_MAP, WELL_KNOWN_CONFIG_MAP),
        (NS, "cluster-identity", "cluster-identity"),
        ("kube-system", "", "*"),
    )
    of_all: set[tuple[str, str]] = set()
    for namespace, name, said in asked:
        may = await allowed(bench, STRANGER, namespace, name) - everywhere
        lines = {f"{resource} [{said}] {verb}" for resource, verb in may - of_all}
        of_all = of_all if name else may
        found[namespace] = sorted({*found.get(namespace, ()), *lines})
    return found


def text_of(rights: Rights) -> str:
    sections = ("\n".join([f"[{where}]", *lines, ""]) for where, lines in rights.items())
    return "\n".join(sections)


def differs(name: str, found: Rights) -> bool:
    """Return whether an identity may do something else than its file says, once that is written if asked for."""
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("GOLDEN") == "write":
        GOLDEN.mkdir(parents=True, exist_ok=True)
        path.write_text(text_of(found))
    return text_of(found) != path.read_text()


@pytest.mark.seconds(300)
async def test_every_identity_may_do_what_it_could_before_and_no_more(peering: Bench) -> None:
    async def look() -> None:
        """Look at all; what was granted a moment ago may not be in force yet."""
        found = {name: await of_account(peering, *account) for name, account in ACCOUNTS.items()}
        found |= {"everybody": await of_everybody(peering), "strangers": await of_strangers(peering)}
        if changed := {name: text_of(rights) for name, rights in found.items() if differs(name, rights)}:
            raise Absent(f"if that is meant: make golden; {changed}")
        assert {path.stem for path in GOLDEN.iterdir()} == set(found)

    await eventually(look)


async def test_a_right_that_is_added_is_seen(peering: Bench) -> None:
    account = forge_object(SERVICE_ACCOUNT, "richer", NS)
    await peering.admin.apply(SERVICE_ACCOUNT, account, manager="test")
    assert not any((await of_account(peering, NS, "richer")).values())
    binding = forge_binding("richer", "kube-system", CLUSTER_ROLE, OFFLOAD_ROLE, "richer")
    await peering.admin.apply(ROLE_BINDING, binding, manager="test")

    async def look() -> Rights:
        found = await of_account(peering, NS, "richer")
        if not found["kube-system"]:
            raise Absent("the binding is not in force yet")
        return found

    assert "secrets [*] get list watch" in text_of(await eventually(look))
    await peering.admin.delete(ROLE_BINDING, Key.of(binding))
