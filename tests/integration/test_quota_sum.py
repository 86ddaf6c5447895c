"""What a home cluster's pods ask for in all its namespaces together, while they race and its offer changes."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from liqo.adapters.clock import SystemClock, SystemRandom
from liqo.adapters.kube import HttpCluster
from liqo.api.cluster_config import ClusterConfigSpec
from liqo.api.kinds import FOREIGN_CLUSTER, NAMESPACE, NAMESPACE_MAP, POD
from liqo.api.meta import Key, Wire
from liqo.api.names import CONTROLLER, TENANT_SERVICE_ACCOUNT, remote_namespace, tenant_namespace
from liqo.api.quantity import Amounts
from liqo.api.rights import forge_object, forge_tenant_rights
from liqo.app.stores import make_stores, selections
from liqo.errors import Absent, Conflict, Forbidden
from liqo.runtime.loop import Loop
from liqo.runtime.metrics import Metrics
from liqo.runtime.ports import Selection
from liqo.runtime.queue import Queue
from liqo.runtime.watch import reflect
from liqo.sharing.loop_places import Places
from liqo.sharing.quota import Quota
from rights_lab import NS, Bench, eventually, grant, refused
from tenant_lab import forge_mine
from world import Quiet

pytestmark = pytest.mark.lab

ID = "defghijklmnopqrstuvwxyz234567abc"  # a home cluster of this file's own
TENANT = tenant_namespace(ID)
ROOMS = [remote_namespace(f"room-{number}", ID) for number in range(3)]
A_POD = 100  # thousandths of a core
CRUMBS = 200  # what is left where each of the three has less than a pod asks for
PAUSE = timedelta(milliseconds=50)
WITHIN = timedelta(seconds=60)
CLOCK = SystemClock()


@dataclass
class Race:
    """A home cluster that makes pods in three namespaces at once, where a loop of the cluster's own gives it places."""

    admin: HttpCluster
    home: HttpCluster
    most: int = 0  # that may be admitted by now
    seen: int = 0  # that was admitted when last looked at
    broken: list[str] = field(default_factory=list)
    said: dict[str, str] = field(default_factory=dict)  # why a namespace took no pod last

    async def offer(self, cpu: int) -> None:
        """Offer so much from now on; what is admitted already stays."""
        spec = {"clusterID": ID, "discoveryType": "IncomingPeering"}
        foreign = forge_object(FOREIGN_CLUSTER, ID, spec=spec)
        await self.admin.apply(FOREIGN_CLUSTER, foreign, manager="test")
        offered = {"cpu": f"{cpu}m", "memory": "8Gi", "pods": "100"}
        self.most = max(cpu, self.most)
        foreign["status"] = {"incoming": {"phase": "Offered", "offered": offered}}
        await self.admin.apply(FOREIGN_CLUSTER, foreign, manager="test", subresource="status")

    async def run(self, room: str, count: int) -> None:
        """Have that many pods made in a room, each as soon as it is let in."""
        requests = {"requests": {"cpu": f"{A_POD}m"}}
        pod = forge_mine(room, containers=[{"name": "web", "image": "web:1", "resources": requests}])
        for number in range(count):
            pod["metadata"]["name"] = f"web-{number}"
            while not await self._made(pod):
                await CLOCK.sleep(PAUSE)

    async def _made(self, pod: Wire) -> bool:
        try:
            await self.home.create(POD, pod)
        except (
            Absent,
            Forbidden,
            Conflict,
        ) as fault:  # no place yet, beyond the quota, or while that changes
            self.said[pod["metadata"]["namespace"]] = fault.message
            return False
        return True

    async def watch(self) -> None:
        """Look again and again whether more is admitted than may be."""
        while True:
            self.seen = A_POD * len(await self.pods())
            if self.seen > self.most:
                self.broken.append(f"{self.seen}m of {self.most}m")
            await CLOCK.sleep(PAUSE)

    async def pods(self) -> list[Wire]:
        """Return all pods in the rooms."""
        page = await self.admin.list(Selection(POD))
        return [pod for pod in page.items if pod["metadata"]["namespace"] in ROOMS]

    async def until(self, cpu: int) -> None:
        """Wait until so much is admitted."""
        end = CLOCK.now() + WITHIN
        while self.seen < cpu:
            assert CLOCK.now() < end, f"only {self.seen}m of {cpu}m are admitted: {self.said}"
            await CLOCK.sleep(PAUSE)


@pytest.fixture
async def race(bench: Bench) -> AsyncIterator[Race]:
    """Run the loop that gives places with the controller's own account, and have home ask for three."""
    await grant(bench.admin, forge_tenant_rights(NS, ID, []))
    controller = await bench.account(NS, CONTROLLER)
    home = await bench.account(TENANT, TENANT_SERVICE_ACCOUNT)
    made, tasks = Race(bench.admin, home), []

    def begin(work: Coroutine[Any, Any, Any]) -> None:
        tasks.append(asyncio.create_task(work))

    random, metrics = SystemRandom(), Metrics(CollectorRegistry())
    stores, queue = make_stores(), Queue(CLOCK, random)
    places = Places(
        home=controller,
        foreigns=stores.foreigns,
        maps=stores.maps,
        namespaces=stores.tenants,
        quotas=stores.quotas,
        nodes=stores.nodes,
        config=ClusterConfigSpec,
        own_host=str,
        closed=tuple,
        namespace=NS,
        events=Quiet(),
        clock=CLOCK,
    )
    watched = [stores.foreigns, stores.maps, stores.tenants, stores.quotas, stores.nodes]
    for selection, store in selections(NS, stores):
        if any(store is one for one in watched):
            store.subscribe(lambda *_: queue.add(Key("", ID)))
            begin(reflect(controller, selection, store, CLOCK, random))
    for store in watched:
        await store.wait_synced()
    begin(Loop("place", places.reconcile, queue, clock=CLOCK, metrics=metrics).run())
    begin(made.watch())
    names = [f"room-{number}" for number in range(len(ROOMS))]
    asked = {"metadata": {"name": ID, "namespace": TENANT}, "spec": {"namespaces": names}}
    await eventually(partial(home.apply, NAMESPACE_MAP, asked, manager="test"))
    for room, count in zip(ROOMS, (25, 1, 1), strict=True):
        begin(made.run(room, count))
    yield made
    for task in tasks:
        task.cancel()
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    for pod in await made.pods():  # else their namespaces take twice as long
        await bench.admin.delete(POD, Key.of(pod), grace=0)
    for namespace in (*ROOMS, TENANT):
        await bench.admin.delete(NAMESPACE, Key("", namespace))
    for namespace in (*ROOMS, TENANT):
        await refused(partial(bench.admin.get, NAMESPACE, Key("", namespace)), Absent)
    await bench.admin.delete(FOREIGN_CLUSTER, Key("", ID))
    assert not [end for end in ends if isinstance(end, Exception)]


async def test_pods_that_race_in_three_namespaces_never_ask_for_more_than_the_offer(race: Race) -> None:
    await race.offer(900)
    await race.until(900 - CRUMBS)
    await race.offer(1800)
    await race.until(1800 - CRUMBS)
    await race.offer(1200)  # evicts nothing
    await race.offer(2700)
    await race.until(2700 - CRUMBS)
    assert race.broken == []


async def test_without_the_spreading_they_would(race: Race, monkeypatch: pytest.MonkeyPatch) -> None:
    def whole(
        offer: Amounts, quotas: Mapping[str, Quota | None], _needs: Mapping[str, Amounts]
    ) -> dict[str, Amounts]:
        return {name: offer for name, quota in quotas.items() if quota is None or quota.asked != offer}

    monkeypatch.setattr("liqo.sharing.loop_places.spread", whole)
    await race.offer(900)
    await race.until(1000)
    assert race.broken
