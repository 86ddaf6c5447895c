"""One Deployment until all its pods are Ready: through the virtual node, beside the same on both clusters directly.

Each pod through the virtual node exists in two planes, which share this machine's cores; so the same Deployment is
also started on both clusters at once, with nothing of Liqo between them.
"""

import asyncio
import os
import re
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from bench.measure import FOREIGN, HOME, IDLE, LABEL, NAME, Clusters, Row, resident, worked
from liqo.adapters.kube import HttpCluster
from liqo.api.kinds import CLUSTER_CONFIG, DEPLOYMENT, FOREIGN_CLUSTER, NAMESPACE, POD
from liqo.api.meta import Key, Wire
from liqo.api.names import CONFIG_NAME, ENABLED_LABEL, HOME_NAMESPACE_LABEL, NODE_TYPE_LABEL, VIRTUAL_NODE
from liqo.runtime.ports import Selection

NODES = 100  # fake ones on each cluster: 110 pods each
SHOP = "bench"
DIRECTLY = "bench-directly"
APP = "app=bench"
POLL = timedelta(milliseconds=50)
WITHIN = timedelta(minutes=10)
SIDES = (HOME, FOREIGN)
OURS = re.compile(r"^liqo_api_requests_total\{(.*)\} (\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class Run:
    """What one Deployment took."""

    seconds: float
    cpu: float  # seconds of the whole machine
    ours: dict[str, float]  # seconds of Liqo alone, by side
    requests: Counter[str]  # by Liqo, of "home" and "foreign" to home's API server and the other


async def measure(clusters: Clusters, sizes: Sequence[int]) -> list[Row]:
    """Return what pods cost, for each size; needs joined clusters of NODES nodes each."""
    await _prepare(clusters)
    rows: list[Row] = []
    for count in sizes:
        direct = await _run(clusters, count, {HOME: DIRECTLY, FOREIGN: DIRECTLY})
        async with running(clusters, count) as through:
            rows += _rows(count, direct, through)
            rows += [
                (f"  memory of Liqo, {side}", round(resident(clusters.lab, side), 1), "MiB", None)
                for side in SIDES
            ]
            if count == 1_000:
                rows += await _idle(clusters)
    return rows


def _rows(count: int, direct: Run, through: Run) -> list[Row]:
    requests = {
        f"  requests a pod, {side}": round(n / count, 2) for side, n in sorted(through.requests.items())
    }
    return [
        (f"{count:,} pods on both clusters directly", round(direct.seconds, 2), "s", None),
        (
            f"{count:,} pods through the virtual node",
            round(through.seconds, 2),
            "s",
            round(1.1 * direct.seconds + 0.2, 2),
        ),
        ("  CPU a pod, directly, both clusters", round(direct.cpu / count * 1000, 1), "ms", None),
        (
            "  CPU a pod, whole machine",
            round(through.cpu / count * 1000, 1),
            "ms",
            40 if count >= 1_000 else None,
        ),
        *(
            (f"    of that Liqo, {side}", round(seconds / count * 1000, 1), "ms", None)
            for side, seconds in through.ours.items()
        ),
        *((what, value, "", None) for what, value in requests.items()),
    ]


async def _prepare(clusters: Clusters) -> None:
    """Join, offer nearly everything, and make the namespaces."""
    await clusters.create()
    share = {"spec": {"advertisementConfig": {"outgoing": {"resourceSharingPercentage": 95}}}}
    await clusters.to[FOREIGN].patch(CLUSTER_CONFIG, Key("", CONFIG_NAME), share, manager="bench")
    await clusters.to[HOME].patch(FOREIGN_CLUSTER, Key("", NAME), {"spec": {"join": True}}, manager="bench")
    for side in SIDES:
        await clusters.to[side].apply(NAMESPACE, {"metadata": {"name": DIRECTLY}}, manager="bench")
    enabled = {"metadata": {"name": SHOP, "labels": {ENABLED_LABEL: "true"}}}
    await clusters.to[HOME].apply(NAMESPACE, enabled, manager="bench")
    while not await _abroad(clusters):
        await clusters.clock.sleep(POLL)


async def _abroad(clusters: Clusters) -> str:
    """Return the namespace on foreign that stands for SHOP, "" while there is none."""
    found = await clusters.to[FOREIGN].list(Selection(NAMESPACE, labels=f"{HOME_NAMESPACE_LABEL}={SHOP}"))
    return next((str(n["metadata"]["name"]) for n in found.items), "")


def _deployment(namespace: str, count: int) -> Wire:
    labels = dict([APP.split("=")])
    spec: Wire = {"containers": [{"name": "web", "image": "web:1"}]}
    if namespace == SHOP:
        spec["nodeSelector"] = {NODE_TYPE_LABEL: VIRTUAL_NODE}
    template = {"metadata": {"labels": labels}, "spec": spec}
    body = {"replicas": count, "selector": {"matchLabels": labels}, "template": template}
    return {"metadata": {"name": "bench", "namespace": namespace}, "spec": body}


async def _run(clusters: Clusters, count: int, made: dict[str, str]) -> Run:
    """Make a Deployment in each of these namespaces, and take it down again."""
    async with _deployed(clusters, count, made, made) as run:
        return run


@asynccontextmanager
async def running(clusters: Clusters, count: int) -> AsyncIterator[Run]:
    """Have so many pods run through the virtual node."""
    seen = {HOME: SHOP, FOREIGN: await _abroad(clusters)}
    async with _deployed(clusters, count, {HOME: SHOP}, seen) as run:
        yield run


@asynccontextmanager
async def _deployed(
    clusters: Clusters, count: int, made: dict[str, str], seen: dict[str, str]
) -> AsyncIterator[Run]:
    watches = {side: _Pods(clusters.to[side], namespace) for side, namespace in seen.items()}
    async with asyncio.TaskGroup() as group:
        for pods in watches.values():
            await pods.begin(group)
        before, worked_before = await _ours(clusters), _worked(clusters)
        cpu, began = _busy(), clusters.clock.now()
        await asyncio.gather(
            *(clusters.to[s].create(DEPLOYMENT, _deployment(ns, count)) for s, ns in made.items())
        )
        async with asyncio.timeout(WITHIN.total_seconds()):
            await asyncio.gather(*(pods.until(lambda p: len(p.ready) >= count) for pods in watches.values()))
        took, cpu = clusters.clock.now() - began, _busy() - cpu
        ours = {side: now - worked_before[side] for side, now in _worked(clusters).items()}
        after = await _ours(clusters)
        print(f"{count} pods in {'/'.join(made.values())}: {took.total_seconds():.2f} s", file=sys.stderr)
        yield Run(took.total_seconds(), cpu, ours, after - before)
        for side, namespace in made.items():
            await clusters.to[side].delete(DEPLOYMENT, Key(namespace, "bench"))
        async with asyncio.timeout(WITHIN.total_seconds()):
            await asyncio.gather(*(pods.until(lambda p: not p.there) for pods in watches.values()))
        for pods in watches.values():
            pods.end()  # the group waits for it


class _Pods:
    """The pods of one namespace, as a watch tells them."""

    def __init__(self, cluster: HttpCluster, namespace: str) -> None:
        self._cluster, self._selection = cluster, Selection(POD, namespace=namespace, labels=APP)
        self.there: set[str] = set()
        self.ready: set[str] = set()
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def begin(self, group: asyncio.TaskGroup) -> None:
        page = await self._cluster.list(self._selection)
        self._task = group.create_task(self._follow(page.resource_version))

    def end(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def until(self, look: "Callable[[_Pods], bool]") -> None:
        while not look(self):
            self._changed.clear()
            await self._changed.wait()

    async def _follow(self, version: str) -> None:
        while True:  # a server ends a watch every few minutes
            async for event in self._cluster.watch(self._selection, version):
                version = event["object"]["metadata"]["resourceVersion"]
                self._note(event["type"], event["object"])
                self._changed.set()

    def _note(self, change: str, pod: Wire) -> None:
        name = pod["metadata"].get("name", "")
        if change == "DELETED":
            self.there.discard(name)
            self.ready.discard(name)
        elif change != "BOOKMARK":
            self.there.add(name)
            conditions = pod["status"].get("conditions", ())
            if any(c["type"] == "Ready" and c["status"] == "True" for c in conditions):
                self.ready.add(name)


async def _idle(clusters: Clusters) -> list[Row]:
    """Return the requests of Liqo in a minute in which all pods just run."""
    await clusters.quiet(HOME)
    before = await _ours(clusters)
    await clusters.clock.sleep(IDLE)
    found = await _ours(clusters) - before
    return [(f"  requests an idle minute, {side}", n, "", None) for side, n in sorted(found.items())]


async def _ours(clusters: Clusters) -> Counter[str]:
    """Return the requests that the Liqo of both clusters has sent, by where to."""
    found: Counter[str] = Counter()
    for side in SIDES:
        for labels, value in OURS.findall(await clusters.told(side)):
            here = dict(LABEL.findall(labels))["cluster"] == "home"
            found["home" if here == (side == HOME) else "foreign"] += int(float(value))
    return found


def _worked(clusters: Clusters) -> dict[str, float]:
    return {side: worked(clusters.lab, side) for side in SIDES}


def _busy() -> float:
    """Return for how long this machine's cores were busy since it started, in seconds."""
    user, nice, system, _idle, _wait, irq, softirq, *_ = map(
        int, Path("/proc/stat").read_text().split()[1:11]
    )
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")
