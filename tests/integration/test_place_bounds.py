"""What bounds a home cluster's pods here as a whole: Pod Security, quota and limits, on a real API server."""

import asyncio
from collections.abc import AsyncIterator
from copy import deepcopy
from functools import partial

import pytest

from liqo.adapters.kube import HttpCluster
from liqo.api.kinds import (
    CUSTOM_RESOURCE_DEFINITION,
    LIMIT_RANGE,
    NAMESPACE,
    NAMESPACE_MAP,
    NETWORK_POLICY,
    POD,
    RESOURCE_QUOTA,
    ROLE,
    ROLE_BINDING,
    SERVICE,
)
from liqo.api.meta import Key, Wire
from liqo.api.names import remote_namespace
from liqo.api.namespace_map import NAMESPACES_MAX
from liqo.api.quantity import parse_amounts
from liqo.api.rights import (
    EDIT,
    forge_account_subject,
    forge_object,
    forge_role_ref,
    forge_rule,
    forge_workload_rights,
)
from liqo.errors import Absent, Fault, Forbidden, Invalid
from liqo.sharing.place import (
    BOUND,
    forge_limits,
    forge_network,
    forge_open_network,
    forge_place,
    forge_quota,
)
from rights_lab import ID, NS, TENANT, Bench, Call, clear, eventually, grant
from tenant_lab import forge_mine, refusal

pytestmark = pytest.mark.lab

ROOM = remote_namespace("room", ID)
OFFER = parse_amounts({"cpu": "1", "memory": "1Gi", "pods": "3"})
RACERS = 20


@pytest.fixture
async def home(bench: Bench, tenant: HttpCluster) -> AsyncIterator[HttpCluster]:
    """Return a home cluster's client, which has a place with bounds in force, and no pods in it."""
    admin = bench.admin
    await admin.apply(NAMESPACE, forge_place("room", ROOM, ID), manager="test")
    await grant(admin, forge_workload_rights(NS, ROOM, ID))
    await admin.apply(LIMIT_RANGE, forge_limits(ROOM, ID), manager="test")
    await admin.apply(RESOURCE_QUOTA, forge_quota(ROOM, ID, OFFER), manager="test")
    await eventually(partial(_enforced, admin, tenant))
    yield tenant
    for number in range(RACERS):
        await clear(admin, POD, Key(ROOM, f"web-{number}"))
    await admin.delete(
        RESOURCE_QUOTA, Key(ROOM, BOUND)
    )  # what it has used follows late: each test has its own


async def _enforced(admin: HttpCluster, home: HttpCluster) -> None:
    """See that admission knows of the quota: its status tells so a moment earlier."""
    beyond = forge_racer(RACERS, containers=asks(cpu="2"))
    try:
        await home.create(POD, beyond)
    except Forbidden as fault:
        if "exceeded quota" in fault.message:
            return
        raise
    await clear(admin, POD, Key.of(beyond))
    raise Absent("not enforced yet")


def forge_racer(number: int, **spec: object) -> Wire:
    pod = forge_mine(ROOM, **spec)
    pod["metadata"]["name"] = f"web-{number}"
    return pod


def asks(**requests: str) -> list[Wire]:
    return [{"name": "web", "image": "web:1", "resources": {"requests": requests}}]


async def test_a_pod_that_asks_for_nothing_is_taken_and_asks_for_0(home: HttpCluster) -> None:
    made = await eventually(partial(home.create, POD, forge_racer(0)))
    assert made["spec"]["containers"][0]["resources"] == {"requests": {"cpu": "0", "memory": "0"}}


PRIVILEGED = {
    "privileged": {"privileged": True},
    "with more capabilities": {"capabilities": {"add": ["SYS_ADMIN"]}},
    "without AppArmor": {"appArmorProfile": {"type": "Unconfined"}},
    "without seccomp": {"seccompProfile": {"type": "Unconfined"}},
    "with an SELinux type of the host's": {"seLinuxOptions": {"type": "spc_t"}},
}


@pytest.mark.parametrize("what", PRIVILEGED)
async def test_a_pod_that_reaches_the_host_is_refused_by_pod_security(
    bench: Bench, home: HttpCluster, what: str
) -> None:
    pod = forge_racer(0, containers=[{"name": "web", "image": "web:1", "securityContext": PRIVILEGED[what]}])

    async def attack() -> None:
        await clear(bench.admin, POD, Key.of(pod))
        await home.create(POD, pod)

    assert "PodSecurity" in await refusal(attack)
    label = {"pod-security.kubernetes.io/enforce": "privileged"}
    await bench.admin.patch(NAMESPACE, Key("", ROOM), {"metadata": {"labels": label}})
    await eventually(attack)


@pytest.mark.parametrize("resource", ["cpu", "memory"])
async def test_a_pod_beyond_the_quota_is_refused(home: HttpCluster, resource: str) -> None:
    with pytest.raises(Forbidden, match="exceeded quota"):
        await home.create(POD, forge_racer(0, containers=asks(**{resource: "2Gi"})))


async def test_of_twenty_pods_at_once_one_gets_the_last_place(home: HttpCluster) -> None:
    for number in (0, 1):
        await eventually(partial(home.create, POD, forge_racer(number)))
    answers = await asyncio.gather(
        *(home.create(POD, forge_racer(number)) for number in range(2, RACERS)), return_exceptions=True
    )
    refused = [answer for answer in answers if isinstance(answer, Fault)]
    assert len(answers) - len(refused) == 1, refused
    assert all("exceeded quota" in answer.message for answer in refused), refused


@pytest.mark.parametrize("asked", [{"cpu": "600m"}, {"memory": "600Mi"}])
async def test_of_two_pods_at_once_one_gets_what_is_left(home: HttpCluster, asked: dict[str, str]) -> None:
    answers = await asyncio.gather(
        *(home.create(POD, forge_racer(number, containers=asks(**asked))) for number in (0, 1)),
        return_exceptions=True,
    )
    assert sum(isinstance(answer, Forbidden) for answer in answers) == 1, answers


async def test_a_home_cluster_changes_none_of_its_bounds(home: HttpCluster) -> None:
    for kind in (RESOURCE_QUOTA, LIMIT_RANGE):
        with pytest.raises(Forbidden):
            await home.delete(kind, Key(ROOM, BOUND))
        with pytest.raises(Forbidden):
            await home.patch(kind, Key(ROOM, BOUND), {"spec": {}})
    label = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "privileged"}}}
    with pytest.raises(Forbidden):
        await home.patch(NAMESPACE, Key("", ROOM), label)


async def test_its_network_policy_is_stored_as_it_was_meant(
    controller: HttpCluster, home: HttpCluster
) -> None:
    del home  # who has that place
    for policy in (forge_open_network(ROOM, ID), forge_network(ROOM, ID, ["198.51.100.7", "2001:db8::7"])):
        await eventually(partial(controller.apply, NETWORK_POLICY, policy, manager="liqo-places"))
        stored = await controller.get(NETWORK_POLICY, Key(ROOM, BOUND))
        assert stored["spec"] == policy["spec"]


async def test_a_home_cluster_opens_nothing_that_its_network_policy_closes(
    bench: Bench, home: HttpCluster
) -> None:
    key, further = Key(ROOM, BOUND), forge_open_network(ROOM, ID)
    further["metadata"]["name"] = (
        "further"  # policies add up: one more that opens is as good as none that closes
    )
    await bench.admin.apply(NETWORK_POLICY, forge_network(ROOM, ID, []), manager="test")
    attacks: list[Call] = [
        partial(home.patch, NETWORK_POLICY, key, {"spec": {"egress": [{}]}}),
        partial(home.apply, NETWORK_POLICY, further, manager="home"),
        partial(home.delete, NETWORK_POLICY, key),
    ]
    for attack in attacks:
        with pytest.raises(Forbidden):
            await attack()
    much = "far-too-much"
    rights = [
        (ROLE, forge_object(ROLE, much, ROOM, rules=[forge_rule(NETWORK_POLICY, EDIT)])),
        (
            ROLE_BINDING,
            forge_object(
                ROLE_BINDING,
                much,
                ROOM,
                roleRef=forge_role_ref(ROLE, much),
                subjects=[forge_account_subject(TENANT, "home")],
            ),
        ),
    ]
    await grant(bench.admin, rights)
    for attack in attacks:
        await eventually(attack)
    await bench.admin.delete(ROLE_BINDING, Key(ROOM, much))
    await bench.admin.delete(NETWORK_POLICY, Key(ROOM, "further"))


async def test_a_home_cluster_asks_for_so_many_namespaces_and_no_more(
    bench: Bench, home: HttpCluster
) -> None:
    def ask(count: int) -> Call:
        spec = {"namespaces": [f"n-{number}" for number in range(count)]}
        asked = {"metadata": {"name": ID, "namespace": TENANT}, "spec": spec}
        return partial(home.apply, NAMESPACE_MAP, asked, manager="home")

    await eventually(ask(NAMESPACES_MAX))
    with pytest.raises(Invalid):
        await ask(NAMESPACES_MAX + 1)()
    key = Key("", NAMESPACE_MAP.resource)
    crd = await bench.admin.get(CUSTOM_RESOURCE_DEFINITION, key)
    versions = deepcopy(crd["spec"]["versions"])
    del versions[0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["namespaces"]["maxItems"]
    await bench.admin.patch(CUSTOM_RESOURCE_DEFINITION, key, {"spec": {"versions": versions}})
    try:
        await eventually(ask(NAMESPACES_MAX + 1))
    finally:
        await home.delete(NAMESPACE_MAP, Key(TENANT, ID))
        await bench.admin.patch(
            CUSTOM_RESOURCE_DEFINITION, key, {"spec": {"versions": crd["spec"]["versions"]}}
        )


async def test_services_are_counted(bench: Bench, home: HttpCluster) -> None:
    quota = forge_quota(ROOM, ID, OFFER)
    quota["spec"]["hard"]["services"] = "0"
    await bench.admin.apply(RESOURCE_QUOTA, quota, manager="test")

    async def lowered() -> None:
        found = await bench.admin.get(RESOURCE_QUOTA, Key(ROOM, BOUND))
        if found["status"]["hard"]["services"] != "0":
            raise Absent("not enforced yet")

    await eventually(lowered)
    service = forge_object(SERVICE, "web", ROOM, spec={"ports": [{"port": 80}]})

    async def beyond() -> None:
        with pytest.raises(Forbidden, match="exceeded quota"):
            await home.create(SERVICE, service)

    await eventually(beyond)  # a Conflict before admission knows of the change
