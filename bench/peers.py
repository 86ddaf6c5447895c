"""Many peers: what each idle one costs home, and what all of them and 1,000 pods on one take of its memory.

One foreign cluster is real and runs the pods; the others are played by one process (foreigns.py), each with an
address, a CA and keys of its own, so that home's controller cannot share anything between them.
"""

import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from bench import pods
from bench.measure import FOREIGN, HOME, IDLE, Clusters, Figure, middle, resident, worked
from liqo.api.kinds import FOREIGN_CLUSTER
from liqo.api.meta import Wire
from liqo.api.names import NAMESPACE
from liqo.api.reasons import ConditionType
from liqo.runtime.ports import Selection

PEERS = 128  # with the real one
PODS = 1_000
LOOK = timedelta(seconds=1)  # a list of all is a megabyte, and home's API server has other work
ONE_PEER_MAX, EACH_MAX, ALL_MAX = 100, 0.7, 250  # MiB


@dataclass
class Played:
    """The foreign clusters that are played."""

    process: asyncio.subprocess.Process
    specs: list[Wire]

    async def answered(self) -> list[int]:
        """Return how many requests each has answered."""
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n")
        found = await _line(self.process)
        if found["other"]:
            raise AssertionError(f"asked for what is not played: {sorted(set(found['other']))[:10]}")
        return list(found["answered"])


@dataclass(frozen=True)
class Minute:
    """What home's controller took in a minute in which nothing happened."""

    memory: float  # MiB, at its end
    requests: int  # to home's own API server
    cpu: float  # seconds


async def measure(clusters: Clusters, peers: int = PEERS, count: int = PODS) -> list[Figure]:
    """Return what peers cost home; needs clusters of pods.NODES nodes each, not joined."""
    await clusters.create()
    await pods.prepare(clusters)
    alone = await _idle_minute(clusters)
    async with _played(clusters, peers - 1) as played:
        began = clusters.clock.now()
        await asyncio.gather(*(_join(clusters, spec) for spec in played.specs))
        await _all_ready(clusters, peers)
        took = (clusters.clock.now() - began).total_seconds()
        print(f"{peers} peers Ready after {took:.1f} s", file=sys.stderr)
        await clusters.quiet(HOME)
        before = await played.answered()
        many = await _idle_minute(clusters)
        asked = [now - then for now, then in zip(await played.answered(), before, strict=True)]
        async with pods.running(clusters, count) as run:
            print(f"{count} pods beside them: {run.seconds:.1f} s", file=sys.stderr)
        most = resident(clusters.lab, HOME, peak=True)
    further = peers - 1
    each_memory = (many.memory - alone.memory) / further
    each_requests = (many.requests - alone.requests) / further
    return [
        Figure("memory with one peer and many nodes", round(alone.memory, 1), "MiB", ONE_PEER_MAX),
        Figure(f"{further} more peers joined at once, all Ready", round(took, 1), "s", None),
        Figure(f"memory with {peers} idle peers", round(many.memory, 1), "MiB", None),
        Figure("  each further idle peer", round(each_memory, 2), "MiB", EACH_MAX),
        Figure("  requests an idle minute and peer, home", round(each_requests, 1), "", pods.IDLE_MAX[HOME]),
        middle("  requests an idle minute and peer, foreign", asked, "", pods.IDLE_MAX[FOREIGN]),
        Figure(f"  CPU of an idle minute with {peers}", round(many.cpu, 2), "s", None),
        Figure(f"peak memory with {peers} peers and {count:,} pods", round(most, 1), "MiB", ALL_MAX),
    ]


async def _idle_minute(clusters: Clusters) -> Minute:
    before, cpu = (await pods.sent(clusters))[HOME], worked(clusters.lab, HOME)
    await clusters.clock.sleep(IDLE)
    return Minute(
        resident(clusters.lab, HOME),
        (await pods.sent(clusters))[HOME] - before,
        worked(clusters.lab, HOME) - cpu,
    )


async def _join(clusters: Clusters, played: Wire) -> None:
    name = f"played-{played['clusterID'][:6]}"
    spec = {
        **played,
        "join": True,
        "namespace": NAMESPACE,
        "discoveryType": "Manual",
        "allowUntrustedCA": True,
        "acceptOffer": True,
    }
    await clusters.to[HOME].apply(
        FOREIGN_CLUSTER, {"metadata": {"name": name}, "spec": spec}, manager="bench"
    )


async def _all_ready(clusters: Clusters, count: int) -> None:
    async with asyncio.timeout(pods.WITHIN.total_seconds()):
        while True:
            page = await clusters.to[HOME].list(Selection(FOREIGN_CLUSTER))
            told = [c for f in page.items for c in f.get("status", {}).get("conditions", ())]
            ready = [c for c in told if c["type"] == ConditionType.NODE_READY and c["status"] == "True"]
            if len(ready) == count:
                return
            await clusters.clock.sleep(LOOK)


@asynccontextmanager
async def _played(clusters: Clusters, count: int) -> AsyncIterator[Played]:
    """Play so many foreign clusters on the host of the real one."""
    host = clusters.lab.cluster(FOREIGN).host
    with tempfile.TemporaryDirectory(prefix="liqo-bench-") as folder:
        script = str(Path(__file__).with_name("foreigns.py"))
        command = clusters.lab.command(FOREIGN, (sys.executable, script, host, str(count), folder))
        process = await asyncio.create_subprocess_exec(
            *command.argv,
            env=dict(command.env),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=2**20,  # bytes of a line that tells of all
        )
        try:
            yield Played(process, await _line(process))
        finally:
            process.kill()
            await process.wait()


async def _line(process: asyncio.subprocess.Process) -> Any:
    assert process.stdout is not None
    return json.loads(await process.stdout.readline())
