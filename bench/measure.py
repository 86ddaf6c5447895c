"""The measurements: each takes two running clusters and returns figures."""

import asyncio
import os
import re
import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Self

from liqo.adapters.clock import SystemClock
from liqo.adapters.kube import HttpCluster
from liqo.api.foreign_cluster import ForeignCluster
from liqo.api.kinds import CONFIG_MAP, FOREIGN_CLUSTER, NAMESPACE
from liqo.api.meta import Key, Wire, is_true
from liqo.api.names import NAMESPACE as LIQO_NAMESPACE
from liqo.api.names import TENANT_LABEL
from liqo.api.reasons import ConditionType
from liqo.app.setup import connected
from liqo.lab.lab import LIQO, Lab
from liqo.runtime.ports import Selection

HOME, FOREIGN = "rome", "milan"
NAME = "foreign-cluster"
POLL = timedelta(milliseconds=2)
WITHIN = timedelta(seconds=60)
IDLE = timedelta(seconds=60)
QUIET = timedelta(seconds=5)  # without an event
Row = tuple[str, float, str, float | None]  # the first four of a Figure
REQUESTS = re.compile(r"^apiserver_request_total\{(.*)\} (\S+)$", re.MULTILINE)
LABEL = re.compile(r'(\w+)="([^"]*)"')
Look = Callable[[ForeignCluster], bool]


@dataclass(frozen=True)
class Figure:
    """One line of the table."""

    what: str
    value: float
    unit: str
    budget: float | None
    ratio: float | None = None  # of one small write, for times
    least: float | None = None  # of several runs, whose median the value is
    most: float | None = None

    @property
    def held(self) -> str:
        if self.budget is None:
            return ""
        return "held" if self.value <= self.budget else "MISSED"


def middle(what: str, values: Sequence[float], unit: str, budget: float | None = None) -> Figure:
    """Return the median of several runs, with the least and the most of them."""
    found = (statistics.median(values), min(values), max(values))
    value, least, most = (round(v, 2) for v in found)
    return Figure(what, value, unit, budget, least=least, most=most)


def quantile(values: list[float], share: float) -> float:
    """Return a quantile as the value at that rank, so that it was really seen."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def _is_ready(foreign: ForeignCluster) -> bool:
    return is_true(foreign.status.conditions, ConditionType.NODE_READY)


@dataclass
class Clusters:
    """Both clusters as their administrators see them."""

    lab: Lab
    clock: SystemClock = field(default_factory=SystemClock)
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    to: dict[str, HttpCluster] = field(default_factory=dict)

    async def __aenter__(self) -> Self:
        for name in (HOME, FOREIGN):
            cluster, _ = await self.stack.enter_async_context(
                connected(self.lab.cluster(name).kubeconfig, None)
            )
            self.to[name] = cluster
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stack.aclose()

    async def create(self) -> None:
        """Apply the seed's ForeignCluster, not joined yet."""
        found = await self.to[FOREIGN].get(CONFIG_MAP, Key(LIQO_NAMESPACE, "cluster-id"))
        spec = {
            "clusterID": found["data"]["cluster-id"],
            "join": False,
            "namespace": LIQO_NAMESPACE,
            "apiUrl": self.lab.cluster(FOREIGN).api_url,
            "discoveryType": "Manual",
            "allowUntrustedCA": True,
        }
        await self.to[HOME].apply(
            FOREIGN_CLUSTER, {"metadata": {"name": NAME}, "spec": spec}, manager="bench"
        )

    async def join(self) -> float:
        """Join and return how long it took until the node was Ready, in seconds."""
        return await self._set(join=True, until=_is_ready)

    async def joined(self) -> None:
        """Wait until home's node is Ready."""
        await self._follow(_is_ready)

    async def unjoin(self) -> float:
        """Unjoin and return how long it took until nothing of it was left at home, in seconds."""
        took = await self._set(join=False, until=lambda f: not f.metadata.finalizers)
        await self.clean()
        return took

    async def clean(self) -> None:
        """Wait until foreign is as before, so that the next join begins from nothing."""
        while (await self.to[FOREIGN].list(Selection(NAMESPACE, labels=TENANT_LABEL))).items:
            await self.clock.sleep(POLL * 20)

    async def _set(self, *, join: bool, until: Look) -> float:
        key, began = Key("", NAME), self.clock.now()
        await self.to[HOME].patch(FOREIGN_CLUSTER, key, {"spec": {"join": join}}, manager="bench")
        await self._follow(until)
        return (self.clock.now() - began).total_seconds()

    async def _follow(self, until: Look) -> None:
        began = self.clock.now()
        while True:
            foreign = ForeignCluster.parse(await self.to[HOME].get(FOREIGN_CLUSTER, Key("", NAME)))
            if until(foreign):
                return
            if self.clock.now() - began > WITHIN:
                raise TimeoutError(f"join={foreign.spec.join}: {foreign.status.wire()}")
            await self.clock.sleep(POLL)

    async def yardstick(self, count: int = 50) -> float:
        """Return what one small write costs on this machine now, in seconds: the unit of all ratios."""
        took = []
        for number in range(count):
            began = self.clock.now()
            body: Wire = {"metadata": {"name": "bench", "namespace": "default"}, "data": {"n": str(number)}}
            await self.to[HOME].apply(CONFIG_MAP, body, manager="bench")
            took.append((self.clock.now() - began).total_seconds())
        await self.to[HOME].delete(CONFIG_MAP, Key("default", "bench"))
        return statistics.median(took)

    async def quiet(self, name: str) -> None:
        """Wait until what came before is over: events are written one after another, slowly."""
        seen: Counter[tuple[str, str]] | None = None
        while True:
            now = await self._requests(name)
            events = Counter({k: v for k, v in now.items() if k[1] == "events"})
            if events == seen:
                return
            seen = events
            await self.clock.sleep(QUIET)

    async def idle(self, name: str) -> Counter[tuple[str, str]]:
        """Return the requests that an API server answered in an idle minute, by verb and resource."""
        await self.quiet(name)
        before = await self._requests(name)
        await self.clock.sleep(IDLE)
        after = await self._requests(name)
        minutes = IDLE / timedelta(minutes=1)
        return Counter({k: round((v - before[k]) / minutes) for k, v in after.items() if v > before[k]})

    async def _requests(self, name: str) -> Counter[tuple[str, str]]:
        text = (await self.to[name].fetch_raw("/metrics")).body.decode()
        found: Counter[tuple[str, str]] = Counter()
        for labels, value in REQUESTS.findall(text):
            known = dict(LABEL.findall(labels))
            # Every client begins its watches anew every few minutes; only those of our own kinds can be ours alone.
            if known["verb"] != "WATCH" or known["group"].endswith("liqo.io"):
                found[known["verb"], known["resource"]] += int(float(value))
        return found

    async def start(self) -> float:
        """Restart Liqo at home and return how long it took from the process's start to its first reconcile."""
        self.lab.kill(HOME, LIQO)
        began = self.clock.now()
        starting = asyncio.create_task(asyncio.to_thread(self.lab.start, HOME, LIQO))
        while not await self._has_reconciled():
            await self.clock.sleep(POLL * 5)
        took = (self.clock.now() - began).total_seconds()
        await starting
        return took

    async def _has_reconciled(self) -> bool:
        try:
            return "liqo_reconciles_total{" in await self.told(HOME)
        except (OSError, TimeoutError):
            return False

    async def told(self, name: str) -> str:
        """Return the metrics of a cluster's Liqo.

        Raises:
            OSError: it does not run yet.
            TimeoutError: it does not answer.
        """
        address, port = self.lab.cluster(name).reach(LIQO)
        reader, writer = await asyncio.open_connection(address, port)
        try:
            writer.write(b"GET /metrics HTTP/1.0\r\nHost: liqo\r\n\r\n")
            return (await asyncio.wait_for(reader.read(-1), 2)).decode()
        finally:
            writer.close()


def resident(lab: Lab, name: str, part: str = LIQO, *, peak: bool = False) -> float:
    """Return the resident memory of one of a cluster's processes, in MiB: now, or the most since it started."""
    field_name = "VmHWM:" if peak else "VmRSS:"
    text = (_process(lab, name, part) / "status").read_text()
    kib = int(next(line.split()[1] for line in text.splitlines() if line.startswith(field_name)))
    return kib / 1024


def worked(lab: Lab, name: str, part: str = LIQO) -> float:
    """Return the CPU time of one of a cluster's processes since it started, in seconds (proc(5), utime and stime)."""
    fields = (_process(lab, name, part) / "stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _process(lab: Lab, name: str, part: str) -> Path:
    return Path(f"/proc/{pid_of(lab, name, part)}")


def pid_of(lab: Lab, name: str, part: str) -> int:
    """Return the process of a component that runs."""
    status = next(c for c in lab.status() if c.name == name)
    pid = next(c.pid for c in status.components if c.name == part)
    assert pid is not None
    return pid
