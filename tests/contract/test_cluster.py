"""What every Cluster does: the one over HTTP against a real API server, and the one in memory."""

import asyncio
from contextlib import aclosing

import pytest

from liqo.api.kinds import CONFIG_MAP, NAMESPACE, SERVICE, SERVICE_ACCOUNT
from liqo.api.meta import Key, Wire
from liqo.errors import Absent, Conflict, Expired, Fault, Invalid
from liqo.runtime.ports import Cluster, Selection
from memory_cluster import MemoryCluster
from wires import condition, config_map, service, version

SOON = 5  # seconds; an API server on a busy machine
M, N = "liqo-m", "liqo-n"  # field managers


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


async def test_a_watch_from_before_what_is_kept_is_expired() -> None:
    cluster = MemoryCluster()  # the real one keeps its past for minutes
    await cluster.create(CONFIG_MAP, config_map("a"))
    cluster.compact()
    with pytest.raises(Expired):
        await anext(cluster.watch(Selection(CONFIG_MAP), "1"))
