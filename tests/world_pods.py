"""A world of two clusters in memory, in which pods of rome run in milan."""

from datetime import timedelta
from typing import Any

from liqo.api.kinds import NAMESPACE, POD, RESOURCE_QUOTA
from liqo.api.meta import Key, Wire, format_time
from liqo.api.names import ENABLED_LABEL, HOME_UID_ANNOTATION, NODE_PREFIX
from world import Side, World

SHOP = "shop"
WEB = Key(SHOP, "web")
STEP = timedelta(milliseconds=250)
KUBELET_STEP = timedelta(milliseconds=500)


class Offloading:
    """Rome has joined milan, and the namespace `shop` may run there.

    Args:
        world: with both clusters.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.rome, self.milan = world.sides["rome"], world.sides["milan"]
        self.kubelet_works = True

    async def begin(self) -> None:
        await self.world.join("rome", "milan")
        labels = {ENABLED_LABEL: "true"}
        await self.rome.api.create(NAMESPACE, {"metadata": {"name": SHOP, "labels": labels}})
        await self.run(timedelta(seconds=5))
        assert self.world.is_ready()

    async def work(self) -> None:
        """Do what the other clusters' own controllers, schedulers and kubelets do."""
        for side in self.world.sides.values():
            if side is self.rome:
                continue
            for quota in side.api.objects(RESOURCE_QUOTA):
                status = {"status": {"hard": quota["spec"]["hard"], "used": {}}}
                await side.api.patch(RESOURCE_QUOTA, Key.of(quota), status, subresource="status")
            if self.kubelet_works:
                await self._run_pods(side)

    async def run(self, span: timedelta, step: timedelta = KUBELET_STEP) -> None:
        """Let time pass, in which milan's kubelets work."""
        end = self.world.clock.now() + span
        while self.world.clock.now() < end:
            await self.world.run(step, STEP)
            await self.work()

    async def _run_pods(self, side: Side) -> None:
        api, now = side.api, format_time(self.world.clock.now())
        for pod in api.objects(POD):
            key = Key.of(pod)
            if "deletionTimestamp" in pod["metadata"]:
                await api.delete(POD, key, grace=0)
            elif "nodeName" not in pod["spec"]:
                await api.patch(POD, key, {"spec": {"nodeName": f"{side.name}-1"}})
                ready = [{"type": "Ready", "status": "True"}]
                status = {"phase": "Running", "startTime": now, "conditions": ready}
                await api.patch(POD, key, {"status": status}, subresource="status")

    async def bind(self, key: Key = WEB, where: str = "", **spec: Any) -> None:
        """Have a pod on the virtual node (of the cluster `where`), as home's scheduler does it."""
        name = f"{NODE_PREFIX}{where}"
        (node,) = (n for n in self.rome.virtual_nodes() if n["metadata"]["name"].startswith(name))
        spec |= {"nodeName": node["metadata"]["name"], "containers": [{"name": "web", "image": "web:1"}]}
        meta = {"namespace": key.namespace, "name": key.name}
        await self.rome.api.create(POD, {"metadata": meta, "spec": spec})

    def at_home(self, key: Key = WEB) -> Wire | None:
        return self.rome.api.seen(POD, key.name, key.namespace)

    def abroad(self) -> list[Wire]:
        """Return milan's pods."""
        return self.milan.api.objects(POD)

    def runs_once(self, key: Key = WEB) -> bool:
        """Return whether the pod at home is Running, and one pod abroad stands for it."""
        home = self.at_home(key)
        stands = [
            p["metadata"]["annotations"][HOME_UID_ANNOTATION]
            for p in self.abroad()
            if p["metadata"]["name"] == key.name
        ]
        return home is not None and _phase(home) == "Running" and stands == [home["metadata"]["uid"]]


def _phase(pod: Wire) -> str:
    return str(pod.get("status", {}).get("phase", ""))
