"""How long a domain takes to become ForeignClusters, beside writing as many equal objects with the same client."""

import asyncio
import base64
import hashlib
import sys
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from bench.measure import HOME, IDLE, Clusters, resident
from liqo.api.kinds import CLUSTER_CONFIG, FOREIGN_CLUSTER, SEARCH_DOMAIN
from liqo.api.meta import Key, Wire
from liqo.api.names import CONFIG_NAME
from liqo.api.search_domain import SearchDomain
from liqo.lab.lab import LIQO
from liqo.runtime.ports import Selection

DOMAIN = "bench.example"
AT_ONCE = 64
PORT = 5300  # on 5353 the LAN agent listens
POLL = timedelta(milliseconds=50)
WITHIN = timedelta(seconds=120)


def cluster_id(number: int) -> str:
    return base64.b32encode(hashlib.sha256(str(number).encode()).digest()[:20]).decode().lower()


def zone(count: int) -> str:
    lines = []
    for n in range(count):
        instance = f"c{n}._liqo._tcp.{DOMAIN}."
        lines += [
            f"{DOMAIN}. 60 PTR {instance}",
            f"{instance} 60 SRV 0 0 6443 api{n}.{DOMAIN}.",
            f'{instance} 60 TXT "id={cluster_id(n)}" "namespace=liqo"',
            f"api{n}.{DOMAIN}. 60 A 192.0.{n // 250}.{n % 250}",
        ]
    return "\n".join(lines) + "\n"


async def crowd(work: Iterable[Coroutine[Any, Any, Any]]) -> None:
    places = asyncio.Semaphore(AT_ONCE)

    async def one(task: Coroutine[Any, Any, Any]) -> None:
        async with places:
            await task

    await asyncio.gather(*map(one, work))


async def write_directly(clusters: Clusters, count: int) -> float:
    """Return how long writing equal objects takes, with nobody else at work."""
    to = clusters.to[HOME]
    clusters.lab.stop(HOME, LIQO)

    async def one(number: int) -> None:
        endpoint = f"https://api{number}.{DOMAIN}:6443"
        head: Wire = {"apiVersion": FOREIGN_CLUSTER.api_version, "kind": FOREIGN_CLUSTER.kind}
        spec = {
            "clusterID": cluster_id(number),
            "clusterName": f"c{number}",
            "namespace": "liqo",
            "join": False,
            "discoveryType": "WAN",
            "allowUntrustedCA": False,
            "apiUrl": endpoint,
        }
        name = cluster_id(number)
        made = await to.create(FOREIGN_CLUSTER, {**head, "metadata": {"name": name}, "spec": spec})
        at = "2026-01-01T00:00:00Z"
        found = {"type": "Discovered", "status": "True", "reason": "Found", "message": "Seen by dns/bench."}
        status = {
            "sources": [
                {
                    "name": "dns/bench",
                    "endpoints": [endpoint, "https://192.0.2.1:6443"],
                    "ttlSeconds": 60,
                    "lastSeen": at,
                    "instance": f"c{number}._liqo._tcp.{DOMAIN}",
                }
            ],
            "conditions": [{**found, "lastTransitionTime": at}],
        }
        body = {**head, "metadata": {"name": name, "uid": made["metadata"]["uid"]}, "status": status}
        await to.apply(FOREIGN_CLUSTER, body, manager="bench", subresource="status")

    began = clusters.clock.now()
    await crowd(one(n) for n in range(count))
    took = (clusters.clock.now() - began).total_seconds()
    await crowd(to.delete(FOREIGN_CLUSTER, Key("", cluster_id(n))) for n in range(count))
    clusters.lab.start(HOME, LIQO)
    return took


async def search(clusters: Clusters, count: int) -> float:
    """Return how long it takes from the SearchDomain to the last ForeignCluster with its source."""
    to, began = clusters.to[HOME], clusters.clock.now()
    head: Wire = {"apiVersion": SEARCH_DOMAIN.api_version, "kind": SEARCH_DOMAIN.kind}
    await to.create(SEARCH_DOMAIN, {**head, "metadata": {"name": "bench"}, "spec": {"domain": DOMAIN}})
    while True:
        domain = SearchDomain.parse(await to.get(SEARCH_DOMAIN, Key("", "bench")))
        if domain.status.found_count == count and await _count(clusters) == count:
            return (clusters.clock.now() - began).total_seconds()
        if clusters.clock.now() - began > WITHIN:
            raise TimeoutError(f"{domain.status.found_count} of {count}: {domain.status.problems[:3]}")
        await clusters.clock.sleep(POLL)


async def _count(clusters: Clusters) -> int:
    """Return how many ForeignClusters the domain is a source of."""
    found, token = 0, ""
    while True:
        page = await clusters.to[HOME].list(Selection(FOREIGN_CLUSTER), continue_token=token)
        for wire in page.items:
            sources = wire.get("status", {}).get("sources", ())
            found += any(s["name"] == "dns/bench" for s in sources)
        token = page.continue_token
        if not token:
            return found


async def forget(clusters: Clusters) -> None:
    """Take the domain out and wait until nothing of it is left."""
    to = clusters.to[HOME]
    await to.delete(SEARCH_DOMAIN, Key("", "bench"))
    while await _count(clusters):
        await clusters.clock.sleep(POLL)


@asynccontextmanager
async def far(clusters: Clusters, seconds: float) -> AsyncIterator[str]:
    """Yield the address of the lab's name server, at that distance."""
    host, port = clusters.lab.name_server()
    if not seconds:
        yield f"{host}:{port}"
        return
    script = str(Path(__file__).with_name("delay.py"))
    command = clusters.lab.command(HOME, [sys.executable, script, str(PORT), host, str(port), str(seconds)])
    process = await asyncio.create_subprocess_exec(
        *command.argv, env=dict(command.env), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout
        await process.stdout.readline()
        yield f"127.0.0.1:{PORT}"
    finally:
        process.kill()
        await process.wait()


async def measure(clusters: Clusters, counts: tuple[int, ...]) -> list[tuple[str, float, str, float | None]]:
    """Return rows: what, value, unit, budget."""
    rows: list[tuple[str, float, str, float | None]] = []
    for count in counts:
        clusters.lab.set_records(zone(count))
        direct = await write_directly(clusters, count)
        rows.append((f"{count} ForeignClusters written directly", round(direct, 2), "s", None))
        for delay in (0.0, 0.02):
            async with far(clusters, delay) as server:
                config = {"spec": {"discoveryConfig": {"dnsServer": server, "searchInterval": 3_600}}}
                await clusters.to[HOME].patch(CLUSTER_CONFIG, Key("", CONFIG_NAME), config, manager="bench")
                took = await search(clusters, count)
                what = f"{count} found in a domain, +{delay * 1000:.0f} ms a query"
                budget = direct * 1.6 + (2 if delay else 0) if count == 1_000 else None
                rows.append((what, round(took, 2), "s", round(budget, 2) if budget else None))
                if not delay and count >= 100:
                    await clusters.quiet(HOME)
                    idle = await clusters.idle(HOME)
                    asked = sum(
                        v for (_, kind), v in idle.items() if kind in {"foreignclusters", "searchdomains"}
                    )
                    rows.append((f"requests about them an idle {IDLE.seconds} s, {count}", asked, "", 0))
                    rows.append(
                        (
                            f"memory with {count} that nobody joined",
                            round(resident(clusters.lab, HOME), 1),
                            "MiB",
                            None,
                        )
                    )
                await forget(clusters)
    return rows
