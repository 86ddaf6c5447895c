"""What every Cluster does: the one over HTTP against a real API server, and the one in memory."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from prometheus_client import CollectorRegistry

from liqo.adapters.clock import SystemClock, SystemRandom
from liqo.adapters.kube import HttpCluster
from liqo.adapters.kubeconfig import load_access
from liqo.api.kinds import CLUSTER_ROLE, CONFIG_MAP, EVENT, LEASE, NAMESPACE, SERVICE, SERVICE_ACCOUNT
from liqo.api.meta import Key, Kind, Wire
from liqo.errors import Absent, Conflict, Expired, Fault, Invalid
from liqo.runtime.events import EventWriter
from liqo.runtime.lease import Election
from liqo.runtime.metrics import Metrics
from liqo.runtime.plan import Apply, Create, Delete, Patch, Plan, act, is_applied
from liqo.runtime.ports import Cluster, Selection
from liqo.runtime.store import Store
from liqo.runtime.watch import reflect
from memory_cluster import MemoryCluster

SOON = 5  # seconds; an API server on a busy machine
M, N = "liqo-m", "liqo-n"  # field managers


@pytest.fixture(params=["memory", pytest.param("real", marks=pytest.mark.lab)])
async def cluster(request: pytest.FixtureRequest) -> AsyncIterator[Cluster]:
    if request.param == "memory":
        yield MemoryCluster()
        return
    access = load_access(request.getfixturevalue("plane").cluster("rome").kubeconfig)
    http = HttpCluster(
        access.server,
        ssl_context=access.ssl_context,
        token=access.token,
        server_hostname=access.server_hostname,
        clock=SystemClock(),
        random=SystemRandom(),
        manager="liqo",
    )
    yield http
    await http.close()


@pytest.fixture
def name() -> str:
    return f"t-{uuid4().hex[:10]}"


def config_map(name: str, **data: str) -> Wire:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "default"},
        **({"data": data} if data else {}),
    }


def service(name: str, status: Wire | None = None) -> Wire:
    """Return a Service, or with `status` only that: its conditions are a list-map, and nobody else writes it."""
    found: Wire = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default"},
    }
    return found | (
        {"spec": {"type": "LoadBalancer", "ports": [{"port": 80}]}} if status is None else {"status": status}
    )


def condition(kind: str, status: str = "True", reason: str = "R") -> Wire:
    at = "2026-01-01T00:00:00Z"
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": "",
        "lastTransitionTime": at,
    }


def version(obj: Wire) -> str:
    return str(obj["metadata"]["resourceVersion"])


class NoEvents:
    def emit(self, about: Wire, kind: Kind, *, reason: str, message: str, warning: bool = False) -> None:
        pass


async def test_what_was_created_is_got_listed_and_deleted(cluster: Cluster, name: str) -> None:
    made = await cluster.create(CONFIG_MAP, config_map(name, a="1"))
    key = Key("default", name)

    assert made["data"] == {"a": "1"}
    assert made["metadata"]["uid"]
    assert (await cluster.get(CONFIG_MAP, key))["metadata"]["uid"] == made["metadata"]["uid"]
    page = await cluster.list(Selection(CONFIG_MAP, "default", name=name))
    assert [(o["metadata"]["name"], o["kind"], o["apiVersion"]) for o in page.items] == [
        (name, "ConfigMap", "v1")
    ]
    await cluster.delete(CONFIG_MAP, key, uid=made["metadata"]["uid"])
    with pytest.raises(Absent):
        await cluster.get(CONFIG_MAP, key)


async def test_a_taken_name_is_a_conflict(cluster: Cluster, name: str) -> None:
    await cluster.create(CONFIG_MAP, config_map(name))
    with pytest.raises(Conflict):
        await cluster.create(CONFIG_MAP, config_map(name))


async def test_deleting_what_is_absent_is_done_and_another_of_that_name_is_a_conflict(
    cluster: Cluster, name: str
) -> None:
    await cluster.delete(CONFIG_MAP, Key("default", name))
    await cluster.create(CONFIG_MAP, config_map(name))
    with pytest.raises(Conflict):
        await cluster.delete(CONFIG_MAP, Key("default", name), uid="another")


async def test_a_list_comes_in_pages(cluster: Cluster, name: str) -> None:
    for i in range(5):
        labelled = config_map(f"{name}-{i}")
        labelled["metadata"]["labels"] = {"t": name}
        await cluster.create(CONFIG_MAP, labelled)
    chosen = Selection(CONFIG_MAP, "default", labels=f"t={name}")
    first = await cluster.list(chosen, limit=3)
    rest = await cluster.list(chosen, limit=3, continue_token=first.continue_token)

    assert [o["metadata"]["name"][-1] for o in (*first.items, *rest.items)] == list("01234")
    assert not rest.continue_token
    assert first.resource_version


async def test_an_apply_creates_changes_and_leaves_alone_what_it_does_not_own(
    cluster: Cluster, name: str
) -> None:
    await cluster.apply(CONFIG_MAP, config_map(name, a="1", b="1"), manager=M)
    await cluster.apply(CONFIG_MAP, config_map(name, c="1"), manager=N)
    got = await cluster.apply(CONFIG_MAP, config_map(name, a="2"), manager=M)
    assert got["data"] == {"a": "2", "c": "1"}


async def test_an_apply_with_a_uid_never_creates(cluster: Cluster, name: str) -> None:
    wanted = config_map(name)
    wanted["metadata"]["uid"] = "9a2a6e1e-0000-4000-8000-000000000000"
    with pytest.raises(Conflict):
        await cluster.apply(CONFIG_MAP, wanted, manager=M)
    await cluster.create(CONFIG_MAP, config_map(name))
    with pytest.raises(Conflict):
        await cluster.apply(CONFIG_MAP, wanted, manager=M)


async def test_an_apply_of_a_status_needs_the_object_and_touches_nothing_else(
    cluster: Cluster, name: str
) -> None:
    status = service(name, {"conditions": [condition("A")]}) | {"spec": {"sessionAffinity": "ClientIP"}}
    absent = {"metadata": {"name": name}, "status": {"conditions": []}}
    with pytest.raises(Absent):
        await cluster.apply(NAMESPACE, absent, manager=M, subresource="status")
    await cluster.create(SERVICE, service(name))
    got = await cluster.apply(SERVICE, status, manager=M, subresource="status")

    assert got["spec"].get("sessionAffinity") != "ClientIP"
    assert [c["type"] for c in got["status"]["conditions"]] == ["A"]


async def test_each_manager_has_its_own_conditions(cluster: Cluster, name: str) -> None:
    await cluster.create(SERVICE, service(name))

    async def say(manager: str, *conditions: Wire) -> Wire:
        status = service(name, {"conditions": list(conditions)})
        return await cluster.apply(SERVICE, status, manager=manager, subresource="status")

    await say(M, condition("A"))
    await say(N, condition("B", "False"))
    assert [c["type"] for c in (await say(M))["status"]["conditions"]] == ["B"]


async def test_a_merge_patch_changes_removes_and_is_a_lock_with_a_version(
    cluster: Cluster, name: str
) -> None:
    made, key = await cluster.create(CONFIG_MAP, config_map(name, a="1", b="1")), Key("default", name)
    lock = {"metadata": {"resourceVersion": version(made)}}
    got = await cluster.patch(CONFIG_MAP, key, {**lock, "data": {"a": None, "c": "1"}})

    assert got["data"] == {"b": "1", "c": "1"}
    with pytest.raises(Conflict):
        await cluster.patch(CONFIG_MAP, key, {**lock, "data": {"a": "2"}})
    with pytest.raises(Absent):
        await cluster.patch(CONFIG_MAP, Key("default", f"{name}-no"), {"data": {}})


async def test_what_changes_nothing_has_no_new_version(cluster: Cluster, name: str) -> None:
    key = Key("default", name)
    first = await cluster.apply(CONFIG_MAP, config_map(name, a="1"), manager=M)
    assert version(await cluster.apply(CONFIG_MAP, config_map(name, a="1"), manager=M)) == version(first)
    assert version(await cluster.patch(CONFIG_MAP, key, {"data": {"a": "1"}})) == version(first)


async def test_a_finalizer_holds_an_object(cluster: Cluster, name: str) -> None:
    key, held = Key("default", name), config_map(name)
    held["metadata"]["finalizers"] = ["liqo.io/test"]
    await cluster.create(CONFIG_MAP, held)
    await cluster.delete(CONFIG_MAP, key)

    assert (await cluster.get(CONFIG_MAP, key))["metadata"]["deletionTimestamp"]
    await cluster.patch(CONFIG_MAP, key, {"metadata": {"finalizers": None}})
    with pytest.raises(Absent):
        await cluster.get(CONFIG_MAP, key)


async def test_a_watch_tells_what_happened_since(cluster: Cluster, name: str) -> None:
    chosen, key = Selection(CONFIG_MAP, "default", name=name), Key("default", name)
    since = (await cluster.list(chosen)).resource_version
    await cluster.create(CONFIG_MAP, config_map(name, a="1"))
    await cluster.patch(CONFIG_MAP, key, {"data": {"a": "2"}})
    await cluster.delete(CONFIG_MAP, key)

    told: list[tuple[str, str]] = []
    async with asyncio.timeout(SOON), aclosing(cluster.watch(chosen, since)) as lines:  # type: ignore[type-var]
        async for line in lines:
            told.append((line["type"], line["object"].get("data", {}).get("a", "")))
            if line["type"] == "DELETED":
                break
    assert told == [("ADDED", "1"), ("MODIFIED", "2"), ("DELETED", "2")]


async def test_a_post_beside_the_objects_is_answered_or_absent(cluster: Cluster, name: str) -> None:
    if isinstance(cluster, MemoryCluster):
        cluster.answers["token"] = lambda _path, _body: {"status": {"token": "t"}}
    account = {"metadata": {"name": name, "namespace": "default"}}
    await cluster.create(SERVICE_ACCOUNT, account)
    path = SERVICE_ACCOUNT.path("default", name)
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}

    assert (await cluster.post(f"{path}/token", body))["status"]["token"]
    with pytest.raises(Fault):
        await cluster.post(f"{path}/nothing", body)


async def test_what_breaks_a_rule_is_invalid(cluster: Cluster) -> None:
    with pytest.raises(Invalid):
        await cluster.create(CONFIG_MAP, config_map("Not_A_Name"))


# Whether an apply would change anything: the same answer as the API server's.


async def agree(cluster: Cluster, kind: Kind, wanted: Wire, subresource: str = "") -> bool:
    """Return is_applied, and check it against what an apply does."""
    key = Key.of(wanted)
    before = await cluster.get(kind, key)
    said = is_applied(wanted, before, M, subresource)
    after = await cluster.apply(kind, wanted, manager=M, subresource=subresource)
    assert said == (version(before) == version(after)), (said, before, after)
    assert is_applied(wanted, after, M, subresource), after
    return said


async def rich(cluster: Cluster, name: str) -> Wire:
    """Return an object with all that can be owned; its owners exist, or the garbage collector would take it."""
    owners = []
    for owner in (f"{name}-o1", f"{name}-o2"):
        made = await cluster.create(CONFIG_MAP, config_map(owner))
        uid = made["metadata"]["uid"]
        owners.append({"apiVersion": "v1", "kind": "ConfigMap", "name": owner, "uid": uid})
    owners[1]["controller"] = True
    found = config_map(name, a="1", b="")
    found["metadata"] |= {
        "labels": {"liqo.io/x": "1", "plain": ""},
        "annotations": {"liqo.io/y": "<{&}>"},
        "finalizers": ["liqo.io/a", "liqo.io/b"],
        "ownerReferences": owners,
    }
    return found


def without(obj: Wire, *path: str) -> Wire:
    """Return a copy without one field."""
    first, *rest = path
    if not rest:
        return {k: v for k, v in obj.items() if k != first}
    return {**obj, first: without(obj[first], *rest)}


def with_(obj: Wire, value: Any, *path: str) -> Wire:
    """Return a copy with one field set."""
    first, *rest = path
    return {**obj, first: with_(obj.get(first, {}), value, *rest) if rest else value}


CHANGES = {
    "a value changes": lambda o: with_(o, "2", "data", "a"),
    "a value comes": lambda o: with_(o, "2", "data", "new"),
    "a value goes": lambda o: without(o, "data", "a"),
    "all values go": lambda o: without(o, "data"),
    "a label changes": lambda o: with_(o, "2", "metadata", "labels", "plain"),
    "a label goes": lambda o: without(o, "metadata", "labels", "plain"),
    "all labels go": lambda o: without(o, "metadata", "labels"),
    "an annotation comes": lambda o: with_(o, "x", "metadata", "annotations", "y"),
    "a finalizer goes": lambda o: with_(o, ["liqo.io/b"], "metadata", "finalizers"),
    "a finalizer comes": lambda o: with_(
        o, ["liqo.io/a", "liqo.io/b", "liqo.io/c"], "metadata", "finalizers"
    ),
    "an owner goes": lambda o: with_(o, o["metadata"]["ownerReferences"][:1], "metadata", "ownerReferences"),
}


@pytest.mark.parametrize("change", CHANGES, ids=CHANGES)
async def test_a_change_of_any_field_is_noticed(cluster: Cluster, name: str, change: str) -> None:
    full = await rich(cluster, name)
    await cluster.apply(CONFIG_MAP, full, manager=M)
    assert await agree(cluster, CONFIG_MAP, full)
    assert not await agree(cluster, CONFIG_MAP, CHANGES[change](full))


async def test_what_others_own_does_not_matter_until_they_take_ours(cluster: Cluster, name: str) -> None:
    key, full = Key("default", name), await rich(cluster, name)
    await cluster.apply(CONFIG_MAP, full, manager=M)
    theirs = config_map(name, other="1")
    theirs["metadata"] |= {"labels": {"theirs": "1"}, "finalizers": ["liqo.io/theirs"]}
    await cluster.apply(CONFIG_MAP, theirs, manager=N)
    assert await agree(cluster, CONFIG_MAP, full)
    await cluster.patch(CONFIG_MAP, key, {"data": {"a": "taken"}}, manager="kubectl-edit")
    assert not await agree(cluster, CONFIG_MAP, full)


async def test_who_never_applied_has_not_applied(cluster: Cluster, name: str) -> None:
    await cluster.apply(CONFIG_MAP, config_map(name, a="1"), manager=N)
    assert not await agree(cluster, CONFIG_MAP, config_map(name, a="1"))


STATUSES: dict[str, Wire] = {
    "one condition": {"conditions": [condition("A")]},
    "two conditions": {"conditions": [condition("A"), condition("B", "False")]},
    "another reason": {"conditions": [condition("A", reason="S"), condition("B", "False")]},
    "no conditions": {"conditions": []},
    "a nested list": {
        "conditions": [condition("A")],
        "loadBalancer": {"ingress": [{"ip": "192.0.2.1", "ipMode": "VIP"}]},
    },
    "another nested list": {
        "conditions": [condition("A")],
        "loadBalancer": {"ingress": [{"ip": "192.0.2.2", "ipMode": "VIP"}]},
    },
}


@pytest.mark.parametrize("other", STATUSES, ids=STATUSES)
@pytest.mark.parametrize("one", STATUSES, ids=STATUSES)
async def test_a_change_of_a_status_is_noticed(cluster: Cluster, name: str, one: str, other: str) -> None:
    await cluster.create(SERVICE, service(name))
    theirs = service(name, {"conditions": [condition("Z")]})
    await cluster.apply(SERVICE, theirs, manager=N, subresource="status")
    await cluster.apply(SERVICE, service(name, STATUSES[one]), manager=M, subresource="status")
    same = await agree(cluster, SERVICE, service(name, STATUSES[other]), "status")
    assert same == (one == other)


async def test_a_plan_that_was_carried_out_costs_nothing_the_second_time(cluster: Cluster, name: str) -> None:
    key, once = Key("default", name), f"{name}-once"
    full = await rich(cluster, name)
    remembered: list[str] = []

    async def carry_out(seen: Wire | None) -> int:
        plan = Plan(
            (
                Apply(kind=CONFIG_MAP, obj=full, seen=seen),
                *(() if seen else (Create(kind=CONFIG_MAP, obj=config_map(once)),)),
            )
        )
        note = remembered.append
        return await act(
            plan, cluster, manager=M, events=NoEvents(), remember=lambda _k, o: note(o["metadata"]["name"])
        )

    assert await carry_out(None) == 2
    assert remembered == [name, once]
    assert await carry_out(await cluster.get(CONFIG_MAP, key)) == 0
    ending = Plan(
        (
            Patch(kind=CONFIG_MAP, key=key, patch={"metadata": {"finalizers": None}}),
            Delete(kind=CONFIG_MAP, key=key),
            Create(kind=CONFIG_MAP, obj=config_map(once)),  # is there: left as it is
        )
    )
    assert await act(ending, cluster, manager=M, events=NoEvents()) == 3


async def test_a_reflector_keeps_a_store_equal(cluster: Cluster, name: str) -> None:
    store = Store()
    chosen = Selection(CONFIG_MAP, "default", labels=f"t={name}")
    told: list[str] = []
    here, done = asyncio.Event(), asyncio.Event()

    def listen(_key: Key, old: Wire | None, new: Wire | None) -> None:
        told.append("gone" if new is None else "new" if old is None else "changed")
        (here if new is not None else done).set()

    store.subscribe(listen)
    reflecting = asyncio.create_task(reflect(cluster, chosen, store, SystemClock(), SystemRandom()))
    try:
        async with asyncio.timeout(SOON):
            await store.wait_synced()
            mine = config_map(name, a="1")
            mine["metadata"]["labels"] = {"t": name}
            made = await cluster.create(CONFIG_MAP, mine)
            other = await cluster.create(CONFIG_MAP, config_map(f"{name}-other"))
            assert not store.note(other), "it is not selected"
            got = await cluster.patch(CONFIG_MAP, Key.of(made), {"data": {"a": "2"}})
            await here.wait()
            store.note(got)
            assert store.values()[0]["data"] == {"a": "2"}
            await cluster.delete(CONFIG_MAP, Key.of(made))
            await done.wait()
    finally:
        reflecting.cancel()
        await asyncio.wait({reflecting})
    assert told[0] == "new"
    assert told[-1] == "gone"
    assert len(told) <= 3
    assert len(store) == 0
    assert not store.note(got), "news that is older than its deletion"


async def test_events_about_any_object_are_taken_and_counted(cluster: Cluster, name: str) -> None:
    here = await cluster.create(CONFIG_MAP, config_map(name))
    everywhere = await cluster.create(CLUSTER_ROLE, {"metadata": {"name": name}, "rules": []})
    writer = EventWriter(
        cluster,
        clock=SystemClock(),
        metrics=Metrics(CollectorRegistry()),
        component="liqo-test",
        namespace="kube-system",
    )
    writer.emit(here, CONFIG_MAP, reason="Why", message="So.")
    writer.emit(everywhere, CLUSTER_ROLE, reason="Why", message="So.", warning=True)
    running = asyncio.create_task(writer.run())

    async def counts(namespace: str, expected: list[int]) -> None:
        while True:
            page = await cluster.list(Selection(EVENT, namespace))
            found = [e["count"] for e in page.items if e["involvedObject"]["name"] == name]
            if found == expected:
                return
            await SystemClock().sleep(timedelta(milliseconds=20))

    try:
        async with asyncio.timeout(SOON):
            await counts("default", [1])
            await counts("kube-system", [1])
            writer.emit(here, CONFIG_MAP, reason="Why", message="So.")
            await counts("default", [2])
    finally:
        running.cancel()
        await asyncio.wait({running})


async def test_of_two_candidates_one_leads_and_gives_the_lease_back(cluster: Cluster, name: str) -> None:
    key, leading = Key("default", name), asyncio.Event()

    async def work() -> None:
        leading.set()
        await asyncio.Event().wait()

    def candidate(identity: str) -> Election:
        return Election(cluster, key, identity, clock=SystemClock(), random=SystemRandom())

    first, second = candidate("a"), candidate("b")
    tasks = [asyncio.create_task(first.run(work))]
    try:
        async with asyncio.timeout(SOON):
            await leading.wait()
            tasks.append(asyncio.create_task(second.run(work)))
            await SystemClock().sleep(timedelta(milliseconds=200))
            assert (first.leading, second.leading) == (True, False)
            assert (await cluster.get(LEASE, key))["spec"]["holderIdentity"] == "a"
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    assert not (await cluster.get(LEASE, key))["spec"].get("holderIdentity")


async def test_a_watch_from_before_what_is_kept_is_expired() -> None:
    cluster = MemoryCluster()  # the real one keeps its past for minutes
    await cluster.create(CONFIG_MAP, config_map("a"))
    cluster.compact()
    with pytest.raises(Expired):
        await anext(cluster.watch(Selection(CONFIG_MAP), "1"))
