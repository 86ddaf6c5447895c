"""One Deployment until all its pods are Ready: through the virtual node, beside the same on both clusters directly.

Each pod through the virtual node exists in two planes, which share this machine's cores; so the same Deployment is
also started on both clusters at once, with nothing of Liqo between them. Both are done in turn, RUNS times each.
"""

import asyncio
import os
import re
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from bench.measure import FOREIGN, HOME, IDLE, LABEL, NAME, Clusters, Figure, middle, resident, worked
from liqo.adapters.kube import HttpCluster
from liqo.api.kinds import CLUSTER_CONFIG, DEPLOYMENT, FOREIGN_CLUSTER, NAMESPACE, POD
from liqo.api.meta import Key, Wire
from liqo.api.names import (
    CLUSTERS_ANNOTATION,
    CONFIG_NAME,
    ENABLED_LABEL,
    FOREIGN_CLUSTER_LABEL,
    HOME_NAMESPACE_LABEL,
)
from liqo.runtime.ports import Selection

RUNS = 3
ONCE = 3_000  # from so many pods on, one run, which takes minutes
IDLE_WITH = 1_000  # pods that just run, in the minute whose requests are counted
# A pod needs a create and a delete on foreign, and at home a status and its end; one more for a status that changes on
# its way to Ready. More would be a write for every step that a kubelet reports.
REQUESTS_MAX = 3
CPU_MAX = 40  # ms of the whole machine a pod, which is in two planes
IDLE_MAX = {HOME: 12, FOREIGN: 10}  # requests a minute and peer
NODES = 100  # fake ones on each cluster: 110 pods each
SHOP = "bench"
DIRECTLY = "bench-directly"
APP = "app=bench"
POLL = timedelta(milliseconds=50)
WITHIN = timedelta(minutes=10)
SIDES = (HOME, FOREIGN)
SHOWN = {HOME: "home", FOREIGN: "foreign"}
OURS = re.compile(r"^liqo_api_requests_total\{(.*)\} (\S+)$", re.MULTILINE)


@dataclass
class Run:
    """What one Deployment took until all was Ready."""

    seconds: float
    cpu: float  # seconds of the whole machine
    ours: dict[str, float]  # seconds of Liqo alone, by side
    requests: Counter[str] = field(default_factory=Counter)
    """By Liqo, to home's API server and the other's, until all was gone again."""


async def measure(clusters: Clusters, sizes: Sequence[int]) -> list[Figure]:
    """Return what pods cost, for each size; needs clusters of NODES nodes each, not joined."""
    await clusters.create()
    unjoined = await _idle(clusters) if IDLE_WITH in sizes else None
    await prepare(clusters)
    figures: list[Figure] = []
    for count in sizes:
        direct: list[Run] = []
        through: list[Run] = []
        idle: list[Figure] = []
        runs = 1 if count >= ONCE else RUNS
        for run in range(runs):
            direct.append(await _run(clusters, count, {HOME: DIRECTLY, FOREIGN: DIRECTLY}))
            async with running(clusters, count) as found:
                through.append(found)
                if count == IDLE_WITH and unjoined is not None and run == runs - 1:
                    idle = _idle_figures(unjoined, await _idle(clusters))
        figures += _figures(count, direct, through)
        figures += [
            Figure(
                f"  peak memory of Liqo with {count:,}, {SHOWN[side]}",
                round(resident(clusters.lab, side, peak=True), 1),
                "MiB",
                None,
            )
            for side in SIDES
        ]
        figures += idle
    return figures


def _figures(count: int, direct: Sequence[Run], through: Sequence[Run]) -> list[Figure]:
    seconds = middle(f"{count:,} pods on both clusters directly", [r.seconds for r in direct], "s")
    each = 1000 / count  # of seconds for all, in ms
    most = round(1.1 * seconds.value + 0.2, 2)
    return [
        seconds,
        middle(f"{count:,} pods through the virtual node", [r.seconds for r in through], "s", most),
        middle(f"  CPU of each of {count:,}, directly", [r.cpu * each for r in direct], "ms"),
        middle(
            f"  CPU of each of {count:,}, whole machine",
            [r.cpu * each for r in through],
            "ms",
            CPU_MAX if count == 1_000 else None,
        ),
        *(
            middle(
                f"    of that Liqo, {SHOWN[side]}, each of {count:,}",
                [r.ours[side] * each for r in through],
                "ms",
            )
            for side in SIDES
        ),
        *(
            middle(
                f"  requests for each of {count:,}, {SHOWN[side]}",
                [r.requests[side] / count for r in through],
                "",
                REQUESTS_MAX,
            )
            for side in SIDES
        ),
    ]


async def prepare(clusters: Clusters) -> None:
    """Join, offer nearly everything, and make the namespaces; one for the virtual node of that cluster alone."""
    share = {"spec": {"advertisementConfig": {"outgoing": {"resourceSharingPercentage": 95}}}}
    await clusters.to[FOREIGN].patch(CLUSTER_CONFIG, Key("", CONFIG_NAME), share, manager="bench")
    await clusters.to[HOME].patch(FOREIGN_CLUSTER, Key("", NAME), {"spec": {"join": True}}, manager="bench")
    for side in SIDES:
        await clusters.to[side].apply(NAMESPACE, {"metadata": {"name": DIRECTLY}}, manager="bench")
    names = {"name": SHOP, "labels": {ENABLED_LABEL: "true"}, "annotations": {CLUSTERS_ANNOTATION: NAME}}
    await clusters.to[HOME].apply(NAMESPACE, {"metadata": names}, manager="bench")
    while not await _abroad(clusters):
        await clusters.clock.sleep(POLL)


async def _abroad(clusters: Clusters) -> str:
    """Return the namespace on foreign that stands for SHOP, "" while there is none."""
    found = await clusters.to[FOREIGN].list(Selection(NAMESPACE, labels=f"{HOME_NAMESPACE_LABEL}={SHOP}"))
    return next((str(n["metadata"]["name"]) for n in found.items), "")


def forge_deployment(namespace: str, count: int, name: str = "bench") -> Wire:
    """Return a Deployment whose pods run through the virtual node if they are in SHOP."""
    labels = {"app": name}
    spec: Wire = {"containers": [{"name": "web", "image": "web:1"}]}
    if namespace == SHOP:
        spec["nodeSelector"] = {FOREIGN_CLUSTER_LABEL: NAME}
    template = {"metadata": {"labels": labels}, "spec": spec}
    body = {"replicas": count, "selector": {"matchLabels": labels}, "template": template}
    return {"metadata": {"name": name, "namespace": namespace}, "spec": body}


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
        before, worked_before = await sent(clusters), _worked(clusters)
        cpu, began = _busy(), clusters.clock.now()
        await asyncio.gather(
            *(clusters.to[s].create(DEPLOYMENT, forge_deployment(ns, count)) for s, ns in made.items())
        )
        async with asyncio.timeout(WITHIN.total_seconds()):
            await asyncio.gather(*(pods.until(lambda p: len(p.ready) >= count) for pods in watches.values()))
        took, cpu = clusters.clock.now() - began, _busy() - cpu
        ours = {side: now - worked_before[side] for side, now in _worked(clusters).items()}
        after = await sent(clusters)
        print(f"{count} pods in {'/'.join(made.values())}: {took.total_seconds():.2f} s", file=sys.stderr)
        run = Run(took.total_seconds(), cpu, ours)
        yield run
        kept = await sent(clusters)
        for side, namespace in made.items():
            await clusters.to[side].delete(DEPLOYMENT, Key(namespace, "bench"))
        async with asyncio.timeout(WITHIN.total_seconds()):
            await asyncio.gather(*(pods.until(lambda p: not p.there) for pods in watches.values()))
        run.requests = after - before + (await sent(clusters) - kept)
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


@dataclass(frozen=True)
class _Idle:
    """What went on in a minute in which nothing should."""

    requests: Counter[str]
    cores: float  # that were busy, with whatever else this machine does


async def _idle(clusters: Clusters) -> _Idle:
    await clusters.quiet(HOME)
    before, cpu = await sent(clusters), _busy()
    await clusters.clock.sleep(IDLE)
    return _Idle(await sent(clusters) - before, (_busy() - cpu) / IDLE.total_seconds())


def _idle_figures(unjoined: _Idle, running: _Idle) -> list[Figure]:
    """Return what the one peer adds to the requests of a minute, with all pods running."""
    with_pods = f"{IDLE_WITH:,} pods"
    return [
        *(
            Figure(
                f"requests an idle minute and peer, {with_pods}, {SHOWN[side]}",
                running.requests[side] - unjoined.requests[side],
                "",
                IDLE_MAX[side],
            )
            for side in SIDES
        ),
        Figure("cores busy in an idle minute, not joined", round(unjoined.cores, 2), "", None),
        Figure(f"cores busy in an idle minute, {with_pods}", round(running.cores, 2), "", None),
    ]


async def sent(clusters: Clusters) -> Counter[str]:
    """Return the requests that the Liqo of both clusters has sent, by the cluster whose API server they went to."""
    found: Counter[str] = Counter()
    for side in SIDES:
        for labels, value in OURS.findall(await clusters.told(side)):
            here = dict(LABEL.findall(labels))["cluster"] == "home"
            found[HOME if here == (side == HOME) else FOREIGN] += int(float(value))
    return found


def _worked(clusters: Clusters) -> dict[str, float]:
    return {side: worked(clusters.lab, side) for side in SIDES}


def _busy() -> float:
    """Return for how long this machine's cores were busy since it started, in seconds."""
    user, nice, system, _idle, _wait, irq, softirq, *_ = map(
        int, Path("/proc/stat").read_text().split()[1:11]
    )
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")
