"""What runs on any Cluster: the reflector, events, the election."""

import asyncio
from datetime import timedelta

from prometheus_client import CollectorRegistry

from liqo.adapters.clock import SystemClock, SystemRandom
from liqo.api.kinds import CLUSTER_ROLE, CONFIG_MAP, EVENT, LEASE
from liqo.api.meta import Key, Wire
from liqo.runtime.events import EventWriter
from liqo.runtime.lease import Election
from liqo.runtime.metrics import Metrics
from liqo.runtime.ports import Cluster, Selection
from liqo.runtime.store import Store
from liqo.runtime.watch import reflect
from wires import config_map

SOON = 5  # seconds; an API server on a busy machine


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
            found = [e["count"] for e in page.items if e["involvedObject"].get("name") == name]
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
